//! The program `bench-single`: orders that come alone, far apart, and where each of them spends its time.
//!
//! With nothing else to do, an order's time is made of waits: for wake-ups, round trips and flushes, and for whatever keeps a
//! loop from turning. It is read from the records' own timestamps, after the fact, so that looking costs the orders nothing.
//! Its own pipeline is measured, or one that runs (`KAFKA_BROKERS`, `TOPIC_PREFIX`): so an older build can be held against
//! a newer one by the same program.

mod report;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use jiff::Timestamp;
use schemas::{CommandId, CustomerId, MessageType, OrderLine, PlaceOrder, ReceiveStock, Sku, Time, TopicName};

use crate::error::{BenchError, Doing, Result};
use crate::journey::{Journey, Wanted, journey_topics, read};
use crate::pipeline::{Arrivals, Board, Orders, Pipeline, Publisher, TopicReader, order_id};
use crate::program::{self, Command};
use crate::report::Machine;
use crate::servers::Servers;
use report::Report;

/// Of what every order wants one piece.
const SKU: &str = "bench-single";
/// How long nothing may come of orders that are unfinished.
const STANDSTILL: Duration = Duration::from_secs(60);
/// How long one look at the topics may take.
const LOOK: Duration = Duration::from_millis(100);
/// The partitions of the own pipeline's topics: the daemons' own default.
const PARTITIONS: u32 = 6;
/// In front of the own pipeline's topics and in its database's name.
const NAME: &str = "single";

/// Measure single orders on an idle pipeline, from the command's time in the log to OrderCompleted, hop by hop.
#[derive(Debug, Parser)]
#[command(name = "bench-single", version)]
struct Arguments {
    /// How many orders
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    orders: u64,
    /// From one order to the next, in milliseconds
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..=600_000))]
    gap_ms: u64,
    /// A running pipeline's brokers; without them servers and workers are started
    #[arg(long, env = "KAFKA_BROKERS")]
    brokers: Option<String>,
    /// In front of the running pipeline's topic names
    #[arg(long, env = "TOPIC_PREFIX", default_value = "")]
    topic_prefix: String,
    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Where the pipeline is.
struct Cluster {
    brokers: String,
    prefix: String,
}

/// The program.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    program::run("bench-single", arguments.command.as_ref(), || bench(&arguments).map(|()| ExitCode::SUCCESS))
}

fn bench(arguments: &Arguments) -> Result<()> {
    let began = Timestamp::now().to_string();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().doing("starting the runtime")?;
    let journeys = match arguments.brokers.as_deref().filter(|brokers| !brokers.is_empty()) {
        Some(brokers) => {
            let cluster = Cluster { brokers: brokers.to_owned(), prefix: arguments.topic_prefix.clone() };
            cluster.measure(arguments)?
        }
        None => runtime.block_on(own_pipeline(arguments))?,
    };
    let report = Report::new(began, Machine::here(), &journeys)?;
    program::show(&report, Report::text, arguments.json)
}

async fn own_pipeline(arguments: &Arguments) -> Result<Vec<Journey>> {
    eprintln!("bench-single: starting Kafka, Postgres and the workers");
    let servers = Servers::start()?;
    let pipeline = Pipeline::start(&servers, NAME, Orders::Synthetic { lines: 1 }, PARTITIONS).await?;
    let cluster = Cluster { brokers: servers.brokers().to_owned(), prefix: format!("{NAME}.") };
    let journeys = tokio::task::block_in_place(|| cluster.measure(arguments))?;
    pipeline.stop().await?;
    servers.stop()?;
    Ok(journeys)
}

impl Cluster {
    fn measure(&self, arguments: &Arguments) -> Result<Vec<Journey>> {
        let tag = format!("single-{}", Timestamp::now().as_microsecond());
        let publisher =
            Publisher::connect(&self.brokers, &self.prefix, Arrivals::PerSecond(1.0), Board::new("", 0).into())?;
        self.receive_stock(&publisher, &tag, arguments.orders)?;
        let seconds = arguments.orders * arguments.gap_ms / 1_000;
        eprintln!("bench-single: {} orders, {} ms apart: {seconds} s", arguments.orders, arguments.gap_ms);
        let began = Instant::now();
        for number in 0..arguments.orders {
            let due = began + Duration::from_millis(number * arguments.gap_ms);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            publisher.publish(&order(&tag, number)?.into())?;
        }
        publisher.flush()?;
        self.read(&tag, arguments.orders)
    }

    /// One piece for each order, so that nobody waits for stock.
    fn receive_stock(&self, publisher: &Publisher, tag: &str, pieces: u64) -> Result<()> {
        let sku = Sku::new(SKU).map_err(BenchError::other)?;
        let reader = TopicReader::open(&self.brokers, &[self.topic(TopicName::StockEvents)], true)?;
        let quantity = i64::try_from(pieces).map_err(BenchError::other)?;
        let command_id = CommandId::new(tag).map_err(BenchError::other)?;
        publisher.publish(&ReceiveStock::of(sku, command_id, quantity).into())?;
        publisher.flush()?;
        let (asked, mut is_booked) = (Instant::now(), false);
        while !is_booked {
            reader.next(LOOK, |seen| {
                is_booked = seen.kind == Some(MessageType::StockReceived) && seen.key == SKU.as_bytes();
            })?;
            if asked.elapsed() > STANDSTILL {
                return Err(BenchError::other(format!("the stock was not booked within {STANDSTILL:?}")));
            }
        }
        Ok(())
    }

    /// Reads the topics from their beginnings until every order has ended.
    fn read(&self, tag: &str, orders: u64) -> Result<Vec<Journey>> {
        let reader = TopicReader::open(&self.brokers, &journey_topics(&self.prefix), false)?;
        let journeys = read(&reader, Wanted { tag, first: 0, count: orders, patience: STANDSTILL })?;
        match journeys.iter().filter(|journey| !journey.has_ended()).count() {
            0 => Ok(journeys),
            open => Err(BenchError::other(format!("{open} of {orders} orders came to no end"))),
        }
    }

    fn topic(&self, topic: TopicName) -> String {
        format!("{}{}", self.prefix, topic.as_str())
    }
}

fn order(tag: &str, number: u64) -> Result<PlaceOrder> {
    let customer_id = CustomerId::new("single").map_err(BenchError::other)?;
    let lines = vec![OrderLine { sku: Sku::new(SKU).map_err(BenchError::other)?, quantity: 1, unit_price_minor: 100 }];
    Ok(PlaceOrder::new(order_id(tag, number)?, customer_id, Time::from(Timestamp::now()), "USD", lines))
}
