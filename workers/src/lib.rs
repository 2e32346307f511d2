//! The workers of the order pipeline: three services that talk only through topics.
//!
//! `order`, `inventory`, `payment` have the same shape: a core of the crate `domain`, its SQL, its wiring. `runtime` is what
//! they share; `daemon` is their entry. Absent: what is decided (`domain`), the rows that are kept (`tables`), and publishing
//! and looking (`client`).

mod accept_gap;
mod accept_restore;
mod acls;
mod clock;
mod columns;
pub mod config;
pub mod daemon;
mod http;
pub mod inventory;
pub mod listen;
pub mod metrics;
pub mod order;
mod parked;
pub mod payment;
pub mod pipeline_contract;
pub mod planted;
mod postgres;
pub mod prepared;
pub mod probes;
mod relay;
mod services;
pub mod signals;
pub mod start;
pub mod status;
pub mod telemetry;
mod verbs;
