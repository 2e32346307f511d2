//! Other outboxes under the loads R1, R2 and R3: the same events, keys and partitions, the same servers, the same reader.
//!
//! A peer is its tables, one statement that inserts a transaction's events, and a program that relays; all three are in
//! `bench/peers`. Inserting in one statement is the cheapest way for each of them, whatever its own library does. What is
//! missing in the topic is an error; what came twice is counted, and after R1, where one writer committed in the order of
//! the numbers, so are the keys that are out of order. Where a peer does not catch up in a bounded time, that is a figure.

mod bed;
mod loads;
mod table;
mod writer;

use std::process::Command;
use std::time::Duration;

use super::bed::Work;
use crate::error::Result;
use crate::figures::Figures;
use crate::peers::{Beside, Outcome, PeerProcess, Programs, first_line};
use bed::PeerBed;

pub(crate) use table::beside_table;
pub(crate) use writer::TableSink;

/// Setting of Postgres that log-based peers need; it holds for all systems of the run.
pub(crate) const POSTGRES: [(&str, &str); 1] = [("wal_level", "logical")];
/// The only program that is compiled.
const OXIDE: &str = "peer-oxide";
const ALL: [Peer; 3] = [Peer::DebeziumForRate, Peer::DebeziumForLatency, Peer::Oxide];

/// Another outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Peer {
    /// Debezium Server with its event router, large batches.
    DebeziumForRate,
    /// The same, polling every millisecond.
    DebeziumForLatency,
    /// The crates of oxide-outbox.
    Oxide,
}

/// Which loads the peers take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loads {
    /// R1, with so many events.
    pub(crate) drain: Option<u32>,
    /// R2.
    pub(crate) latency: bool,
    /// R3.
    pub(crate) live: bool,
    /// Length of R2 and R3.
    pub(crate) length: Duration,
}

/// The built peers.
pub(crate) struct OutboxPeers(Programs);

impl OutboxPeers {
    /// Builds what has to be compiled.
    pub(crate) fn build() -> Result<Self> {
        super::announce("building the peers");
        Programs::build(&[OXIDE]).map(OutboxPeers)
    }

    /// Puts each of them under each of the loads.
    pub(crate) async fn run(&self, work: &Work<'_>, loads: Loads) -> Result<Vec<Beside<Figures>>> {
        let mut all = Vec::new();
        for peer in ALL {
            let mut note = |load: &str, done: Result<(String, Figures)>| {
                let outcome = match done {
                    Ok((version, reached)) => Outcome::Ran { version, reached },
                    Err(error) => Outcome::NotRun { reason: error.to_string() },
                };
                if let Outcome::NotRun { reason } = &outcome {
                    super::announce(&format!("{}, {load}: {}", peer.name(), first_line(reason)));
                }
                all.push(Beside { system: peer.name().to_owned(), load: load.to_owned(), outcome });
            };
            if let Some(events) = loads.drain {
                super::announce(&format!("{}, R1: a backlog", peer.name()));
                note("drain", loads::drain(&PeerBed::new(work, self, peer).await?, events).await);
            }
            if loads.latency {
                super::announce(&format!("{}, R2: single events", peer.name()));
                note("latency-notify", loads::latency(&PeerBed::new(work, self, peer).await?, loads.length).await);
            }
            if loads.live {
                super::announce(&format!("{}, R3: eight writers", peer.name()));
                note("live", loads::live(&PeerBed::new(work, self, peer).await?, loads.length).await);
            }
        }
        Ok(all)
    }
}

impl Peer {
    fn name(self) -> &'static str {
        match self {
            Peer::DebeziumForRate => "Debezium for rate",
            Peer::DebeziumForLatency => "Debezium for latency",
            Peer::Oxide => "oxide-outbox",
        }
    }

    /// Its folder in `bench/peers`.
    fn folder(self) -> &'static str {
        match self {
            Peer::DebeziumForRate | Peer::DebeziumForLatency => "debezium",
            Peer::Oxide => "oxide",
        }
    }

    /// Whether its payloads are JSON documents, because it takes nothing else.
    fn takes_json(self) -> bool {
        self == Peer::Oxide
    }

    /// What it says once it relays.
    fn ready(self) -> &'static str {
        match self {
            Peer::DebeziumForRate | Peer::DebeziumForLatency => "Processing messages",
            Peer::Oxide => "ready",
        }
    }
}
