//! The door on a real pipeline: three services, Kafka and Postgres.

mod admission;
mod api;
mod cached;
mod keys;
mod lists;
mod orders;
mod pipeline;
mod returns;
mod status;
mod storm;
mod stream;
mod stuck;
mod view;
