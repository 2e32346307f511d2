//! The pure cores of the three services: every state against every message, properties over random histories, and all
//! three together in a seeded simulation.
//!
//! There is no server here and no clock. What the daemons do around the cores is tested end to end, elsewhere.

#![cfg(test)]

mod action_table;
mod beside_table;
mod drawings;
mod fixtures;
mod inventory_cases;
mod inventory_properties;
mod inventory_table;
mod life;
mod order_cases;
mod order_properties;
mod order_table;
mod payment_cases;
mod payment_properties;
mod payment_release;
mod payment_table;
mod simulation;
mod simulator;
mod table;
