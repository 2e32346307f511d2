//! The payment service: what is held and taken from whom, by way of a provider.

pub mod charge;
pub mod provider;
pub mod simulator;
