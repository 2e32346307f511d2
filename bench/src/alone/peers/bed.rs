//! What a peer's load works on: a database with its tables, and a topic. Each load has its own.

use std::fs;
use std::time::Duration;

use super::{OXIDE, OutboxPeers, Peer, PeerProcess, Programs, TableSink};
use crate::alone::bed::Work;
use crate::alone::events::Events;
use crate::alone::topic::{Reader, Tally, tally};
use crate::alone::writer::Sink;
use crate::error::{BenchError, Doing, Result};
use crate::measure::{Target, connect};
use crate::servers::Servers;

/// How long a peer may take to fetch what it needs and to start, and to end.
const START: Duration = Duration::from_secs(900);
const END: Duration = Duration::from_secs(20);
/// How long anything that has not come yet may take to come.
pub(crate) const ARRIVAL: Duration = Duration::from_secs(300);

/// A database, a topic, and how to start the peer on them.
pub(crate) struct PeerBed<'w> {
    pub(crate) servers: &'w Servers,
    /// For counters.
    pub(crate) meter: tokio_postgres::Client,
    peers: &'w OutboxPeers,
    peer: Peer,
    url: String,
    name: String,
    topic: String,
    insert: String,
    partitions: i32,
}

impl<'w> PeerBed<'w> {
    /// Makes database, tables and topic.
    pub(crate) async fn new(work: &Work<'w>, peers: &'w OutboxPeers, peer: Peer) -> Result<Self> {
        let name = format!("{}_{}", peer.folder(), work.servers.next_number());
        let topic = name.replace('_', ".");
        work.servers.create_topics(std::slice::from_ref(&topic), work.partitions).await?;
        let url = work.servers.create_database(&name)?;
        let file = |name: &str| peers.0.file(&format!("{}/{name}.sql", peer.folder()));
        let meter = connect(&url).await?;
        // A slot is not made in a transaction that has written, so it has a file of its own.
        for file in [file("tables"), file("slot")].iter().filter(|file| file.is_file()) {
            let sql = fs::read_to_string(file).doing("reading a peer's tables")?;
            meter.batch_execute(&sql).await.doing("making a peer's tables")?;
        }
        let insert = fs::read_to_string(file("insert")).doing("reading a peer's insert")?;
        let (servers, partitions) = (work.servers, work.partitions);
        Ok(Self { servers, meter, peers, peer, url, name, topic, insert, partitions })
    }

    /// Starts the peer.
    pub(crate) fn start(&self) -> Result<PeerProcess> {
        let folder = self.servers.logs().join(&self.name);
        fs::create_dir_all(&folder).doing("making a folder for a peer")?;
        let brokers = self.servers.brokers();
        let mut command;
        match self.peer {
            Peer::DebeziumForRate | Peer::DebeziumForLatency => {
                let tuned = if self.peer == Peer::DebeziumForRate { "rate" } else { "latency" };
                command = super::Command::new(self.peers.0.file("debezium/run"));
                command.arg(Programs::cache()).arg(&folder).args([tuned, &self.url, brokers, &self.topic]);
            }
            Peer::Oxide => {
                command = super::Command::new(self.peers.0.find(OXIDE).map_err(BenchError::Other)?);
                let task = serde_json::json!({ "database_url": self.url, "brokers": brokers, "topic": self.topic });
                command.arg(task.to_string());
            }
        }
        PeerProcess::start("relay", command, &folder.join("peer.log"))
    }

    /// Waits until it relays.
    pub(crate) fn relays(&self, peer: &PeerProcess) -> Result<()> {
        peer.says(self.peer.ready(), START).map(drop)
    }

    /// Where so many writers write, each over a connection of its own.
    pub(crate) async fn sinks(&self, writers: usize) -> Result<Vec<Sink>> {
        let mut sinks = Vec::new();
        for _ in 0..writers {
            let (client, events) = (connect(&self.url).await?, Events::new(&self.topic));
            sinks.push(Sink::Table(TableSink::new(client, &self.insert, events, self.peer.takes_json()).await?));
        }
        Ok(sinks)
    }

    /// Starts a reader of the topic that notes when each of the first `expected` events came.
    pub(crate) fn read(&self, expected: usize) -> Result<Reader> {
        Reader::start(self.servers.brokers(), &self.topic, self.partitions, expected)
    }

    /// What to measure: the servers, the peer, and this process.
    pub(crate) fn targets(&self, peer: &PeerProcess) -> Result<Vec<Target>> {
        let mut targets = self.servers.targets();
        targets.extend(peer.targets()?);
        targets.push(Target::own("own"));
        Ok(targets)
    }

    /// Writes dirty pages now rather than in the window.
    pub(crate) async fn settle(&self) -> Result<()> {
        for statement in ["vacuum analyze", "checkpoint"] {
            self.meter.batch_execute(statement).await.doing("settling the database")?;
        }
        Ok(())
    }

    /// Reads the whole topic once more and counts what it holds.
    pub(crate) async fn tally(&self) -> Result<Tally> {
        let (brokers, topic, partitions) = (self.servers.brokers().to_owned(), self.topic.clone(), self.partitions);
        let counting = tokio::task::spawn_blocking(move || tally(&brokers, &topic, partitions));
        counting.await.map_err(BenchError::other)?
    }

    /// Ends the peer and drops its database, with the slot that holds it.
    pub(crate) async fn end(&self, peer: PeerProcess) -> Result<String> {
        let version = peer.version()?;
        peer.stop(END)?;
        let drop_slots = "select pg_drop_replication_slot(slot_name) from pg_replication_slots \
                          where database = current_database()";
        self.meter.batch_execute(drop_slots).await.doing("dropping a peer's slot")?;
        self.servers.drop_database(&self.name).await?;
        Ok(version)
    }
}
