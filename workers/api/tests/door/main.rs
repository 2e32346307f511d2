//! The door on a real pipeline: three services, Kafka and Postgres.

mod api;
mod keys;
mod orders;
mod pipeline;
mod products;
mod storm;
mod stream;
mod view;
