//! The drills of docs/runbook.md, carried out: a loss under a small load, what an operator sees of it, the runbook's steps, and
//! how long and what it costs.
//!
//! The program `drills` runs them for people and prints what it sees and does; the tests run the short ones. A drill fails
//! when anything is not as the runbook says. Deliberately absent: faults that need no operator and no words, which `cargo chaos`
//! draws by the dozen, and what is lost when a machine's disks are.

mod archive;
mod broker;
mod database;
mod partitions;
mod scene;
mod schema;
mod set_back;
mod story;
mod topics;
mod worker;

use std::time::Duration;

use crate::Outcome;
pub use database::SMALL_DISK;
use set_back::Road;

/// A drill of the runbook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Drill {
    /// A worker is killed, and started again
    WorkerDies,
    /// The broker is away, and comes back
    BrokerAway,
    /// The database is away, and comes back
    DatabaseAway,
    /// The database is read-only for a while
    DatabaseReadOnly,
    /// The database's disk is full for a while
    DatabaseFull,
    /// The database has no connection left for a while
    DatabaseOutOfConnections,
    /// An older dump of one service's tables; they are brought up to what was published
    OneSetBackRebuilt,
    /// An older dump of one service's tables; it is accepted
    OneSetBackAccepted,
    /// An older snapshot of all services' tables; they are brought up to what was published
    AllSetBackRebuilt,
    /// An older snapshot of all services' tables; it is accepted
    AllSetBackAccepted,
    /// A service's schema is dropped
    SchemaDropped,
    /// One topic is deleted and made anew
    TopicMadeAnew,
    /// All topics are lost
    TopicsLost,
    /// A topic gets more partitions
    PartitionsAdded,
}

/// What a drill has shown.
#[derive(Debug, Clone)]
pub struct Shown {
    /// From the loss until an operator could see it.
    pub noticed: Duration,
    /// From then until work went on; where nobody had to do anything, from the end of the cause.
    pub back: Duration,
    /// What was lost, in words.
    pub lost: String,
}

impl Drill {
    /// Carries it out. `program` is the daemons' program and, with `replay-tool` as its first word, that of `replay-tool`.
    pub async fn run(self, program: &str) -> Outcome<Shown> {
        match self {
            Drill::WorkerDies => worker::dies(program).await,
            Drill::BrokerAway => broker::away(program).await,
            Drill::DatabaseAway => database::away(program).await,
            Drill::DatabaseReadOnly => database::read_only(program).await,
            Drill::DatabaseFull => database::full(program).await,
            Drill::DatabaseOutOfConnections => database::out_of_connections(program).await,
            Drill::OneSetBackRebuilt => set_back::one(program, Road::Rebuild).await,
            Drill::OneSetBackAccepted => set_back::one(program, Road::Accept).await,
            Drill::AllSetBackRebuilt => set_back::all(program, Road::Rebuild).await,
            Drill::AllSetBackAccepted => set_back::all(program, Road::Accept).await,
            Drill::SchemaDropped => schema::dropped(program).await,
            Drill::TopicMadeAnew => topics::made_anew(program).await,
            Drill::TopicsLost => topics::lost(program).await,
            Drill::PartitionsAdded => partitions::added(program).await,
        }
    }
}
