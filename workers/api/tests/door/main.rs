//! The door on a real pipeline: three services, Kafka and Postgres.

mod api;
mod issuer;
mod keys;
mod orders;
mod pipeline;
mod roles;
mod storm;
mod stream;
mod tokens;
mod view;
