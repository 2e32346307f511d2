//! What the pipeline decides, and nothing of how it is carried out: the pure cores of the three services.
//!
//! `saga` (order), `stock` (inventory) and `charge` (payment) have one shape: a state, `decide` of it and an input and the
//! present, `evolve` of it and an event. `decision` is what they return. `provider` is the port to a payment provider,
//! `simulator` one that answers by a seed, `statement` what a provider says that it did,
//! `amounts` how one counts.
//! `planted` makes mistakes in tests.
//! Whoever has the records can fold them with this crate: the daemons, the client, the checker, a rebuild.
//!
//! Deliberately absent: servers, files, clocks, chance, logging, concurrency. This crate depends on the contract alone
//! and on crates that compute; clippy refuses the rest of std.

pub mod amounts;
pub mod charge;
pub mod decision;
pub mod planted;
pub mod provider;
pub mod saga;
pub mod simulator;
pub mod statement;
pub mod stock;
