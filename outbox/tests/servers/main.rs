//! Tests of the outbox on a real Postgres and a real Kafka, which the first test starts and the process's end stops.

#[cfg(test)]
mod append;
#[cfg(test)]
mod relay;
#[cfg(test)]
mod rig;
#[cfg(test)]
mod topic;
