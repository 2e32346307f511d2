//! The workers of the order pipeline: three services that talk only through topics, and the client that talks to them.
//!
//! `order`, `inventory`, `payment` have the same shape: a pure core, its SQL, its wiring. `tables` describes the rows that
//! they keep; `runtime` is what they share; `daemon` is their entry; `client` is for whoever publishes and looks.

mod accept_gap;
mod accept_restore;
mod acls;
pub mod client;
mod clock;
mod columns;
pub mod config;
pub mod daemon;
pub mod decision;
mod grants;
mod health;
mod http;
pub mod inventory;
mod listen;
pub mod metrics;
pub mod migrate;
pub mod order;
pub mod payment;
pub mod planted;
mod postgres;
mod prepared;
mod relay;
mod restored;
pub mod runtime;
mod signals;
mod start;
pub mod tables;
mod telemetry;
pub mod topics;

pub use tables::Timestamptz;
