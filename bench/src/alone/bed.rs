//! What a load works on: a database with an opened outbox, and its topic.
//!
//! Each load has its own, so that none finds what another left.

use std::time::Duration;

use outbox::{Announcer, Client, Database, Outbox, OutboxConfig, TopicSpec};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_postgres::NoTls;

use super::events::Events;
use super::relay::RelayProcess;
use super::topic::{Reader, Verdict, verify};
use super::writer::Sink;
use crate::error::{BenchError, Doing, Result};
use crate::measure::{Target, connect};
use crate::servers::Servers;

/// Schema of the outbox.
pub(crate) const SCHEMA: &str = "bench";
/// How long to wait for messages that are under way.
const ARRIVAL: Duration = Duration::from_secs(120);

/// What all loads share.
pub(crate) struct Work<'s> {
    pub(crate) servers: &'s Servers,
    pub(crate) partitions: i32,
}

/// A database, a topic and an outbox.
pub(crate) struct Bed<'s> {
    pub(crate) servers: &'s Servers,
    pub(crate) url: String,
    pub(crate) outbox: Outbox,
    pub(crate) events: Events,
    pub(crate) topic: String,
    /// For counters.
    pub(crate) meter: tokio_postgres::Client,
    name: String,
    config: tokio_postgres::Config,
    partitions: i32,
}

impl<'s> Bed<'s> {
    /// Makes all three.
    pub(crate) async fn new(work: &Work<'s>, load: &str) -> Result<Self> {
        let name = format!("outbox_{load}_{}", work.servers.next_number());
        let topic = name.replace('_', ".");
        work.servers.create_topics(std::slice::from_ref(&topic), work.partitions).await?;
        let url = work.servers.create_database(&name)?;
        let config: tokio_postgres::Config = url.parse().map_err(BenchError::other)?;
        let mut client = outbox::connect(&config, NoTls).await.map_err(BenchError::other)?;
        outbox::migrate(&mut client, SCHEMA).await.map_err(BenchError::other)?;
        let spec = TopicSpec { name: topic.clone(), partitions: work.partitions };
        let mut opened = OutboxConfig::new(SCHEMA, "/bench", vec![spec]);
        opened.content_type = "application/octet-stream".to_owned();
        let outbox = Outbox::open(&client, opened).await.map_err(BenchError::other)?;
        let meter = connect(&url).await?;
        let events = Events::new(&topic);
        let (servers, partitions) = (work.servers, work.partitions);
        Ok(Self { servers, url, outbox, events, topic, meter, name, config, partitions })
    }

    /// How connections are opened.
    pub(crate) fn database(&self) -> Database {
        Database::new(self.config.clone(), NoTls)
    }

    /// A connection for transactions.
    pub(crate) async fn client(&self) -> Result<Client> {
        self.database().connect().await.map_err(BenchError::other)
    }

    /// Where so many writers write, each over a connection of its own.
    pub(crate) async fn sinks(&self, writers: usize) -> Result<Vec<Sink>> {
        let mut sinks = Vec::new();
        for _ in 0..writers {
            let (client, outbox, events) = (Box::new(self.client().await?), self.outbox.clone(), self.events.clone());
            sinks.push(Sink::Outbox { client, outbox, events });
        }
        Ok(sinks)
    }

    /// Starts a reader of the topic that notes when each of the first `expected` events came.
    pub(crate) fn read(&self, expected: usize) -> Result<Reader> {
        Reader::start(self.servers.brokers(), &self.topic, self.partitions, expected)
    }

    /// Starts a relay in a process of its own.
    pub(crate) fn relay(&self) -> Result<RelayProcess> {
        RelayProcess::start(self.servers, &self.url)
    }

    /// Starts a task that tells the relay of another process what is committed here.
    pub(crate) fn announce(&self) -> Running {
        let announcer = Announcer::new(&self.outbox, self.database());
        Running::start(|stopped| async move { announcer.run(stopped).await })
    }

    /// What to measure beside the servers and this process.
    pub(crate) fn targets(&self, relay: Option<&RelayProcess>) -> Result<Vec<Target>> {
        let mut targets = self.servers.targets();
        if let Some(relay) = relay {
            targets.push(relay.target()?);
        }
        targets.push(Target::own("own"));
        Ok(targets)
    }

    /// Waits until the reader has `events`.
    pub(crate) async fn arrived(&self, reader: &Reader, events: u64) -> Result<()> {
        match reader.sees(events, ARRIVAL).await? {
            true => Ok(()),
            false => Err(BenchError::other(format!("{} of {events} events came in time", reader.count()))),
        }
    }

    /// Reads the whole topic once more and fails unless it holds exactly so many events in order.
    pub(crate) async fn verify(&self, events: u64) -> Result<Verdict> {
        let (brokers, topic, partitions) = (self.servers.brokers().to_owned(), self.topic.clone(), self.partitions);
        let verifying = tokio::task::spawn_blocking(move || verify(&brokers, &topic, partitions));
        let verdict = verifying.await.map_err(BenchError::other)??;
        if verdict.events != events || verdict.gaps > 0 {
            return Err(BenchError::other(format!("{events} events were committed, and the topic has {verdict:?}")));
        }
        Ok(verdict)
    }

    /// Drops the database.
    pub(crate) async fn end(self) -> Result<()> {
        drop(self.meter);
        self.servers.drop_database(&self.name).await
    }

    /// Writes dirty pages now rather than in the window, and makes statistics what they are in a service that runs.
    pub(crate) async fn settle(&self) -> Result<()> {
        for statement in ["vacuum analyze", "checkpoint"] {
            self.meter.batch_execute(statement).await.doing("settling the database")?;
        }
        Ok(())
    }
}

/// A task that runs until it is told to stop.
pub(crate) struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) fn start<F>(run: impl FnOnce(std::pin::Pin<Box<dyn Future<Output = ()> + Send>>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(run(Box::pin(async move { drop(stopped.await) })));
        Self { stop, task }
    }

    pub(crate) async fn stop(self) -> Result<()> {
        drop(self.stop);
        self.task.await.map_err(BenchError::other)
    }
}
