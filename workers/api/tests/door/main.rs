//! The door on a real pipeline: three services, Kafka and Postgres.

mod api;
mod keys;
mod look_ups;
mod orders;
mod pipeline;
mod storm;
mod stream;
mod view;
