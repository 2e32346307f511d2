//! The door on a real pipeline: three services, Kafka and Postgres.

mod api;
mod behind;
mod keys;
mod orders;
mod pipeline;
mod storm;
mod stream;
mod view;
