//! The pipeline under load: three daemons, a publisher and an observer, on servers of a benchmark.
//!
//! A pipeline is started once per source of orders and then takes one load after the other. A load ends only when all its
//! orders are finished, so the next one starts from rest; what is left unfinished is an error, not a footnote.

mod board;
mod daemons;
mod observer;
mod orders;
mod publisher;
mod wave;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use schemas::{CommandId, MessageType, ReceiveStock, ServiceName, Sku, TopicName};
use tokio_postgres::Client;

pub(crate) use board::Board;
pub(crate) use daemons::{Deployment, Workers};
pub(crate) use observer::TopicReader;
pub(crate) use orders::{Orders, SKUS, number_of, order_id};
pub(crate) use publisher::{Arrivals, Publisher, headers, headers_of};
pub(crate) use wave::Wave;

use crate::error::{BenchError, Doing, Result};
use crate::journey::{Hops, Wanted, journey_topics, read};
use crate::measure::{Meter, Target, connect};
use crate::run::Run;
use crate::servers::Servers;
use daemons::Daemons;
use observer::Observer;

/// Pieces of every SKU: more than any load takes.
pub(crate) const PIECES: i64 = 1_000_000_000_000;
/// How long the pipeline may stand still while it is expected to finish something.
const STANDSTILL: Duration = Duration::from_secs(60);
/// Of orders that have ended, whatever is in the topics comes at once.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most orders of a load that lasts as long as something takes.
const LONGEST_LOAD: usize = 10_000_000;
/// Orders per second for which a load at full speed has room in its book-keeping.
const HIGHEST_RATE: u64 = 30_000;

/// A running pipeline.
pub(crate) struct Pipeline<'s> {
    name: String,
    place: Deployment<'s>,
    daemons: Daemons,
    orders: Arc<Orders>,
    client: Client,
}

/// One load.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    /// Its name in the report and in order ids.
    pub(crate) name: String,
    /// How fast.
    pub(crate) pace: Arrivals,
    /// Load before the window.
    pub(crate) warm_up: Duration,
    /// The window.
    pub(crate) window: Duration,
    /// Whether the time of its orders is looked at hop by hop, when they have ended.
    pub(crate) with_hops: bool,
}

impl<'s> Pipeline<'s> {
    /// Starts the daemons in a database and topics of their own and fills the stock.
    pub(crate) async fn start(
        servers: &'s Servers,
        name: &str,
        orders: impl Into<Arc<Orders>>,
        partitions: u32,
    ) -> Result<Self> {
        let program = std::env::current_exe().doing("finding this program")?;
        Self::start_of(Workers::of(program), servers, name, orders, partitions).await
    }

    /// The same with these services.
    pub(crate) async fn start_of(
        workers: Workers,
        servers: &'s Servers,
        name: &str,
        orders: impl Into<Arc<Orders>>,
        partitions: u32,
    ) -> Result<Self> {
        let database_url = servers.create_database(name)?;
        let client = connect(&database_url).await?;
        let place = Deployment { servers, workers, database_url, prefix: format!("{name}."), partitions };
        place.prepare()?;
        let daemons = Daemons::start(&place)?;
        let pipeline = Pipeline { name: name.to_owned(), place, daemons, orders: orders.into(), client };
        pipeline.receive(&pipeline.orders.skus()?, PIECES)?;
        Ok(pipeline)
    }

    /// Puts the pipeline under one load and measures its window.
    pub(crate) async fn load(&self, load: &Load) -> Result<Run> {
        let board = Arc::new(Board::new(load.name.as_str(), capacity(load)?));
        let brokers = self.place.servers.brokers();
        let ends = load.with_hops.then(|| TopicReader::ends(brokers, &journey_topics(self.prefix()))).transpose()?;
        let observer = Observer::start(brokers, &self.topic(TopicName::OrderEvents), board.clone())?;
        let publisher = self.publisher(load.pace, board.clone())?;
        let (orders, pace, shared) = (self.orders.clone(), load.pace, board.clone());
        let publishing = tokio::task::spawn_blocking(move || publisher.run(&orders, pace, &shared));
        let broken = || self.daemons.check().is_err() || observer.ended() || publishing.is_finished();
        let measured = self.measure(load, &board, broken).await;
        board.stop();
        publishing.await.map_err(BenchError::other)??;
        let measured = match measured {
            Ok(run) => self.drain(|| board.unfinished()).await.map(|()| run),
            Err(error) => Err(error),
        };
        let heard = observer.finish()?;
        let mut run = measured?;
        run.confirm_latency_ms = heard.confirmed.quantiles();
        if let Arrivals::PerSecond(rate) = load.pace {
            run.offered_per_second = Some(rate);
        }
        if let Some(ends) = ends {
            let (first, count) = board.measured();
            let wanted = Wanted { tag: &load.name, first, count, patience: PATIENCE };
            run.hops = Some(Hops::of(read(&TopicReader::open_at(brokers, &ends)?, wanted)?.iter())?);
        }
        Ok(run)
    }

    fn publisher(&self, pace: Arrivals, board: Arc<Board>) -> Result<Publisher> {
        let (brokers, prefix) = (self.place.servers.brokers(), self.prefix());
        match self.place.workers.compression {
            Some(codec) => Publisher::compressing(codec, brokers, prefix, pace, board),
            None => Publisher::connect(brokers, prefix, pace, board),
        }
    }

    /// Places so many orders, as fast as it goes, whatever becomes of them; they are all in Kafka when this returns.
    pub(crate) async fn place(&self, count: u64) -> Result<()> {
        let board = Arc::new(Board::for_all("placed", usize::try_from(count).map_err(BenchError::other)?));
        let pace = Arrivals::InFlight(count);
        let publisher = self.publisher(pace, board.clone())?;
        let orders = self.orders.clone();
        let published = tokio::task::spawn_blocking(move || publisher.run(&orders, pace, &board)).await;
        published.map_err(BenchError::other)?
    }

    /// How many orders inventory has reserved stock for.
    pub(crate) async fn reserved(&self) -> Result<u64> {
        let count = "select count(*) from inventory.reservations";
        let row = self.client.query_one(count, &[]).await.doing("counting reservations")?;
        u64::try_from(row.get::<_, i64>(0)).map_err(BenchError::other)
    }

    /// One of its services.
    pub(crate) fn daemon(&self, service: ServiceName) -> Result<&dev_stack::Daemon> {
        self.daemons.of(service)
    }

    /// Where its database is.
    pub(crate) fn database_url(&self) -> &str {
        &self.place.database_url
    }

    /// The full name of one of its topics.
    pub(crate) fn topic(&self, topic: TopicName) -> String {
        format!("{}{}", self.place.prefix, topic.as_str())
    }

    /// What stands in front of its topics' names.
    pub(crate) fn prefix(&self) -> &str {
        &self.place.prefix
    }

    /// An error when a service has ended.
    pub(crate) fn check(&self) -> Result<()> {
        self.daemons.check()
    }

    /// Stops the daemons in good order; the next thing is to start them again, or to look at what they left.
    pub(crate) fn stop_workers(&mut self) -> Result<()> {
        self.daemons.stop()
    }

    /// Starts the daemons once more, and waits until they are ready.
    pub(crate) fn start_workers(&mut self) -> Result<()> {
        self.daemons = Daemons::start(&self.place)?;
        Ok(())
    }

    /// SIGKILL to a service's daemon, which is started again at once.
    pub(crate) fn kill_and_start(&mut self, service: ServiceName) -> Result<()> {
        self.daemons.kill_and_start(service, &self.place)
    }

    /// Lets the daemons of a service drain one after another, and puts these in their places.
    pub(crate) fn replace(&mut self, service: ServiceName, workers: &Workers) -> Result<()> {
        self.place.workers = workers.clone();
        self.daemons.replace(service, &self.place)
    }

    /// Brings a service's tables to what these daemons want.
    pub(crate) fn migrate(&mut self, service: ServiceName, workers: &Workers) -> Result<()> {
        self.place.workers = workers.clone();
        self.place.set_up(service, &["migrate"])
    }

    /// Asks each daemon for its metrics.
    pub(crate) fn scrape(&self) -> Result<()> {
        self.daemons.scrape()
    }

    /// Does something while orders come at a rate, and waits until all of them have ended; with what became of them. What is done
    /// may block.
    pub(crate) async fn under_load<T>(
        &mut self,
        tag: &str,
        rate: f64,
        work: impl FnOnce(&mut Self, &Board) -> Result<T>,
    ) -> Result<(T, Arc<Board>)> {
        let board = Arc::new(Board::new(tag, LONGEST_LOAD));
        let pace = Arrivals::PerSecond(rate);
        let observer =
            Observer::start(self.place.servers.brokers(), &self.topic(TopicName::OrderEvents), board.clone())?;
        let publisher = self.publisher(pace, board.clone())?;
        let (orders, shared) = (self.orders.clone(), board.clone());
        let publishing = tokio::task::spawn_blocking(move || publisher.run(&orders, pace, &shared));
        let done = tokio::task::block_in_place(|| work(self, &board));
        board.stop();
        publishing.await.map_err(BenchError::other)??;
        let done = match done {
            Ok(done) => self.drain(|| board.unfinished()).await.map(|()| done),
            Err(error) => Err(error),
        };
        observer.finish()?;
        Ok((done?, board))
    }

    /// Stops the daemons in good order and drops the database.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.daemons.stop()?;
        drop(self.client);
        self.place.servers.drop_database(&self.name).await
    }

    async fn measure(&self, load: &Load, board: &Board, broken: impl Fn() -> bool) -> Result<Run> {
        rest(load.warm_up, &broken).await;
        let targets = self.targets()?;
        let statements = self.daemons.statements();
        let topic_bytes = self.place.servers.topic_bytes(self.prefix())?;
        board.measure_from_now();
        let meter = Meter::start(targets, &self.client).await?;
        let (_, completed_before, otherwise_before, _) = board.counts();
        rest(load.window.saturating_sub(meter.elapsed()), &broken).await;
        let (_, completed, otherwise, lost) = board.counts();
        let usage = meter.finish(&self.client).await?;
        self.daemons.check()?;
        if lost > 0 {
            return Err(BenchError::other(format!("Kafka did not take {lost} orders")));
        }
        let mut run = Run::of(&load.name, self.orders.lines_per_order(), completed - completed_before, &usage);
        run.ended_otherwise = otherwise - otherwise_before;
        run.count_topic_bytes(self.place.servers.topic_bytes(self.prefix())?.saturating_sub(topic_bytes));
        if let (Some(before), Some(after)) = (statements, self.daemons.statements()) {
            run.count_statements(after.saturating_sub(before));
        }
        Ok(run)
    }

    /// The daemons as processes.
    pub(crate) fn worker_processes(&self) -> Result<Vec<Target>> {
        self.daemons.targets()
    }

    /// The servers and the daemons.
    pub(crate) fn processes(&self) -> Result<Vec<Target>> {
        let mut targets = self.place.servers.targets();
        targets.extend(self.daemons.targets()?);
        Ok(targets)
    }

    /// What is measured: the servers, the daemons, and this process, which publishes.
    pub(crate) fn targets(&self) -> Result<Vec<Target>> {
        let mut targets = self.processes()?;
        targets.push(Target::own("publisher"));
        Ok(targets)
    }

    /// Waits until no order is left.
    async fn drain(&self, orders_left: impl Fn() -> u64) -> Result<()> {
        let mut left = orders_left();
        let mut moved = Instant::now();
        while left > 0 {
            self.daemons.check()?;
            tokio::time::sleep(Duration::from_millis(10)).await;
            let now = orders_left();
            if now < left {
                (left, moved) = (now, Instant::now());
            } else if moved.elapsed() > STANDSTILL {
                return Err(BenchError::other(format!("{left} orders did not finish within {STANDSTILL:?}")));
            }
        }
        Ok(())
    }

    /// Publishes a receipt of so many pieces per SKU, of which there is none yet, and waits until all are booked.
    pub(crate) fn receive(&self, skus: &[Sku], pieces: i64) -> Result<()> {
        let board = Arc::new(Board::new("stock", 0));
        let pace = Arrivals::InFlight(0);
        let publisher = Publisher::connect(self.place.servers.brokers(), &self.place.prefix, pace, board)?;
        for sku in skus {
            let command_id = CommandId::new(format!("bench-{sku}")).map_err(BenchError::other)?;
            publisher.publish(&ReceiveStock::of(sku.clone(), command_id, pieces).into())?;
        }
        publisher.flush()?;
        let reader = TopicReader::open(self.place.servers.brokers(), &[self.topic(TopicName::StockEvents)], false)?;
        let mut missing: HashSet<&[u8]> = skus.iter().map(|sku| sku.as_str().as_bytes()).collect();
        let mut moved = Instant::now();
        while !missing.is_empty() {
            self.daemons.check()?;
            let found = reader.next(Duration::from_millis(100), |seen| {
                if seen.kind == Some(MessageType::StockReceived) {
                    missing.remove(seen.key);
                }
            })?;
            if found {
                moved = Instant::now();
            } else if moved.elapsed() > STANDSTILL {
                return Err(BenchError::other(format!("{} receipts of stock were not booked", missing.len())));
            }
        }
        Ok(())
    }

    /// Fresh statistics and an empty checkpoint, so that every load starts alike.
    pub(crate) async fn settle(&self) -> Result<()> {
        self.client.batch_execute("checkpoint").await.doing("settling the database before a load")
    }
}

/// Waits, but not on when something broke.
async fn rest(time: Duration, broken: &impl Fn() -> bool) {
    let until = Instant::now() + time;
    while Instant::now() < until && !broken() {
        tokio::time::sleep(Duration::from_millis(200).min(until.saturating_duration_since(Instant::now()))).await;
    }
}

/// How many orders a load may place at most.
#[expect(clippy::float_arithmetic, reason = "a pace, not an amount")]
fn capacity(load: &Load) -> Result<usize> {
    let seconds = load.warm_up.as_secs() + load.window.as_secs() + 30;
    let orders = match load.pace {
        Arrivals::InFlight(limit) => seconds.saturating_mul(HIGHEST_RATE).saturating_add(limit),
        Arrivals::PerSecond(rate) => {
            Duration::try_from_secs_f64(seconds as f64 * rate).map_err(BenchError::other)?.as_secs() + 1_000
        }
    };
    usize::try_from(orders).map_err(BenchError::other)
}
