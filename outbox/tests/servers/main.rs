//! Tests of the outbox on a real Postgres and a real Kafka, which the first test starts and the process's end stops.

mod append;
mod rig;
