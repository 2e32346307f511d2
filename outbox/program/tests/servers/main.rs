//! Tests of the outbox on a real Postgres and a real Kafka, which the first test starts and the process's end stops.

#[cfg(test)]
mod append;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod certificates;
mod change;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod encryption;
#[cfg(test)]
mod foreign;
#[cfg(test)]
mod grants;
#[cfg(test)]
mod inbox;
#[cfg(test)]
mod parking;
#[cfg(test)]
mod plan;
#[cfg(test)]
mod planted;
#[cfg(test)]
mod pooler;
#[cfg(test)]
mod process;
#[cfg(test)]
mod python;
#[cfg(test)]
mod rebase;
#[cfg(test)]
mod relay;
#[cfg(test)]
mod repair;
#[cfg(test)]
mod restored;
#[cfg(test)]
mod rig;
#[cfg(test)]
mod rotation;
#[cfg(test)]
mod secured;
#[cfg(test)]
mod send;
#[cfg(test)]
mod stall;
#[cfg(test)]
mod status;
#[cfg(test)]
mod tables;
#[cfg(test)]
mod takeover;
#[cfg(test)]
mod topic;
