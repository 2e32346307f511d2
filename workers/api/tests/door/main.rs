//! The door on a real pipeline: three services, Kafka and Postgres.

mod admission;
mod api;
mod behind;
mod cached;
mod console;
mod console_letters;
mod console_orders;
mod console_stuck;
mod console_sweep;
mod issuer;
mod keys;
mod lists;
mod look_ups;
mod orders;
mod payment_action;
mod pipeline;
mod products;
mod returns;
mod roles;
mod status;
mod storm;
mod stream;
mod stuck;
mod tokens;
mod view;
