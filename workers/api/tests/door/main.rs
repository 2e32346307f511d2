//! The door on a real pipeline: three services, Kafka and Postgres.

mod pipeline;
mod view;
