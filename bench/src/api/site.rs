//! What is measured: a pipeline, the door, and the bare handlers, on servers of their own.
//!
//! The bare handlers produce to the same topic, so the services and the read model have the same to do for either side, and only who
//! answers over HTTP differs. After each load all orders are waited for: the next one starts from rest, and one that was lost or
//! doubled ends the run.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dev_stack::{Child, Daemon};
use schemas::{Codec, Message, Time, TopicName};
use tokio_postgres::Client;

use super::bare;
use super::caller::{Kind, SEEDED, Work};
use super::load::{Answered, Window};
use crate::error::{BenchError, Doing, Result};
use crate::measure::{Target, connect, resident_of};
use crate::pipeline::{Arrivals, Board, Orders, Pipeline, Publisher};
use crate::servers::Servers;

/// In front of the pipeline's topics, and its database's name.
const NAME: &str = "api";
/// Lines of an order, as in the pipeline's own benchmark.
const LINES: u32 = 5;
/// How long a process may take to be ready, or to end.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long nothing may come of orders that are not finished.
const STANDSTILL: Duration = Duration::from_secs(60);
/// Between two looks whether all orders are finished.
const PAUSE: Duration = Duration::from_millis(250);

/// How all of it is set up.
pub(crate) struct Deployed {
    /// Partitions of every topic.
    pub(crate) partitions: u32,
    /// How long the producers of both sides gather records, where it is not as long as the door's does by itself.
    pub(crate) linger_ms: Option<u32>,
    /// Orders that are there before anything is measured.
    pub(crate) orders: u64,
}

/// All of it.
pub(crate) struct Site<'s> {
    pub(crate) servers: &'s Servers,
    pub(crate) pipeline: Pipeline<'s>,
    pub(crate) door: Daemon,
    pub(crate) door_address: SocketAddr,
    /// Partitions of every topic.
    pub(crate) partitions: u32,
    /// For counters, and to look what is finished.
    pub(crate) client: Client,
    bare: Daemon,
    orders: Arc<Orders>,
    seeded: u64,
    placed: AtomicU64,
}

impl<'s> Site<'s> {
    /// Starts everything, and has so many orders go all the way.
    pub(crate) async fn start(servers: &'s Servers, deployed: &Deployed) -> Result<Self> {
        let &Deployed { partitions, linger_ms, orders: seeded } = deployed;
        let orders = Arc::new(Orders::Synthetic { lines: LINES });
        let pipeline = Pipeline::start(servers, NAME, Arc::clone(&orders), partitions).await?;
        let migrate = door_command(servers, &pipeline, "migrate")?;
        let migrating = Child::spawn(migrate, "door-migrate", &servers.logs().join("door-migrate.log"));
        migrating.and_then(|migrating| migrating.wait_success(PATIENCE)).map_err(BenchError::other)?;
        let (door, door_address) = tokio::task::block_in_place(|| start_door(servers, &pipeline, linger_ms))?;
        let url = pipeline.database_url();
        let client = connect(url).await?;
        let sample: Message = orders.order(SEEDED, 0, Time::from_micros(0))?.into();
        let topic = pipeline.topic(TopicName::OrderCommands);
        let bare = bare::Place::new([servers.brokers(), &topic, sample.type_name(), url], linger_ms);
        let bare = tokio::task::block_in_place(|| bare.start(servers.logs()))?;
        let placed = AtomicU64::new(0);
        let site = Site { servers, pipeline, door, door_address, partitions, client, bare, orders, seeded, placed };
        site.seed().await?;
        Ok(site)
    }

    async fn seed(&self) -> Result<()> {
        let publisher = Publisher::connect(
            self.servers.brokers(),
            self.pipeline.prefix(),
            Arrivals::InFlight(self.seeded),
            Board::new(SEEDED, 0).into(),
        )?;
        for number in 0..self.seeded {
            let now = Time::from(jiff::Timestamp::now());
            publisher.publish(&self.orders.order(SEEDED, number, now)?.into())?;
        }
        publisher.flush()?;
        self.placed.store(self.seeded, Ordering::Release);
        self.settle().await
    }

    /// Requests of this kind; `tag` is in the ids of their orders and must be new.
    pub(crate) fn work(&self, kind: Kind, tag: String) -> Arc<Work> {
        let address = if kind.is_bare() { self.bare.address() } else { self.door_address };
        let (orders, seeded, codec) = (Arc::clone(&self.orders), self.seeded, Codec::embedded());
        Arc::new(Work { kind, address, orders, tag, seeded, codec })
    }

    /// A window in which the CPU of all processes is looked at.
    pub(crate) fn window(&self, length: Duration) -> Result<Window<'_>> {
        let mut targets = self.pipeline.targets()?;
        targets.push(Target::tree("order-api", pid(&self.door)?));
        targets.push(Target::tree("bare", pid(&self.bare)?));
        Ok(Window { length, targets, client: &self.client })
    }

    /// Notes what a load has placed, and waits until all of it has gone its way.
    pub(crate) async fn settle_after(&self, kind: Kind, answered: &Answered) -> Result<()> {
        if kind.places() {
            self.placed.fetch_add(answered.all, Ordering::AcqRel);
        }
        self.settle().await
    }

    /// Waits until the read model has every order, completed; but for rows that were made in the database.
    async fn settle(&self) -> Result<()> {
        let placed = i64::try_from(self.placed.load(Ordering::Acquire)).map_err(BenchError::other)?;
        let (mut seen, mut moved) = (-1, Instant::now());
        loop {
            self.pipeline.check()?;
            let query = "select count(*) filter (where stage = 'completed'), count(*) from view.orders \
                where order_id not like 'filled-%'";
            let row = self.client.query_one(query, &[]).await.doing("counting orders")?;
            let (completed, all): (i64, i64) = (row.get(0), row.get(1));
            if completed == placed && all == placed {
                return self.client.batch_execute("checkpoint").await.doing("settling the database");
            }
            if completed > seen {
                (seen, moved) = (completed, Instant::now());
            }
            if moved.elapsed() > STANDSTILL || all > placed {
                let words = format!("of {placed} orders the read model has {all}, of which {completed} are completed");
                return Err(BenchError::other(words));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The door's resident memory, in bytes.
    pub(crate) fn door_memory(&self) -> Result<u64> {
        Ok(resident_of(pid(&self.door)?))
    }

    /// Ends all of it in good order.
    pub(crate) async fn stop(self) -> Result<()> {
        for daemon in [&self.door, &self.bare] {
            daemon.terminate().map_err(BenchError::other)?;
            let ended = tokio::task::block_in_place(|| daemon.wait_timeout(PATIENCE)).map_err(BenchError::other)?;
            if !ended.is_some_and(|status| status.success()) {
                return Err(BenchError::other(format!("{} did not end well\n{}", daemon.name(), daemon.tail())));
            }
        }
        drop(self.client);
        self.pipeline.stop().await
    }
}

fn pid(daemon: &Daemon) -> Result<u32> {
    u32::try_from(daemon.pid()).map_err(BenchError::other)
}

/// This program again, as the door.
fn door_command(servers: &Servers, pipeline: &Pipeline<'_>, verb: &str) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().doing("finding this program")?);
    command.args(["door", verb, "--topic-prefix", pipeline.prefix()]);
    command.env("KAFKA_BROKERS", servers.brokers()).env("DATABASE_URL", pipeline.database_url());
    command.env("LISTEN", "127.0.0.1:0").env("API_LISTEN", "127.0.0.1:0");
    Ok(command)
}

fn start_door(servers: &Servers, pipeline: &Pipeline<'_>, linger_ms: Option<u32>) -> Result<(Daemon, SocketAddr)> {
    let mut command = door_command(servers, pipeline, "run")?;
    if let Some(linger_ms) = linger_ms {
        command.args(["-X", &format!("linger.ms={linger_ms}")]);
    }
    let log = servers.logs().join("order-api.log");
    let started = || {
        let daemon = Daemon::spawn_announced(command, "order-api", &log, "listening", PATIENCE)?;
        daemon.wait_ready(PATIENCE)?;
        let line = daemon.wait_for_line("the API answers", PATIENCE)?;
        Ok::<_, dev_stack::Error>((daemon, line.unwrap_or_default()))
    };
    let (daemon, line) = started().map_err(BenchError::other)?;
    let address = line.split_whitespace().find_map(|word| word.strip_prefix("address=")?.parse().ok());
    Ok((daemon, address.ok_or_else(|| BenchError::other("the door does not say where it answers"))?))
}
