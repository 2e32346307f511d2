//! The workers of the order pipeline: three services that talk only through topics, and the client that talks to them.
//!
//! `order`, `inventory`, `payment` have the same shape: a pure core, its SQL, its wiring. `runtime` is what they share;
//! `daemon` is their entry; `client` is for whoever publishes and looks.

mod accept_gap;
mod accept_restore;
mod acls;
pub mod client;
mod clock;
mod columns;
pub mod config;
pub mod daemon;
mod grants;
mod health;
mod http;
pub mod inventory;
mod listen;
pub mod metrics;
pub mod migrate;
pub mod order;
pub mod payment;
mod postgres;
mod relay;
mod restored;
pub mod runtime;
mod signals;
mod start;
mod telemetry;
pub mod topics;
mod topology;

pub use columns::Timestamptz;
