//! A model of the whole protocol, explored without leaving anything out inside small bounds.
//!
//! Writers, relays, database, broker and consumers take their steps in every possible order, with faults in between.
//! Where the protocol decides, the crate's own code is called: `Course`, `Resume`, `Facts`, `NewEpoch`, `Epochs`,
//! `Acked`, `LeadTerm`, `judge`. The numbers are in `docs/model.md`. Deliberately absent: time; what reality bounds by
//! time may happen at any time here.

mod bounds;
mod consumer;
mod explorer;
mod property;
mod relay;
mod scenarios;
mod state;
mod step;
mod takeover;
mod tests;
mod world;
mod writer;
