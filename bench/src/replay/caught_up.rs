//! The read model made from nothing, beside a service that takes as large a backlog: both by the consumer's engine, in this process,
//! from Kafka into Postgres, one after the other.
//!
//! The inventory service, because of the three it does the most that the read model does too: a row for an order, and sums for its
//! SKUs. Its relay does not run: it would only make the service slower. Counted from the first batch on, so that joining a group is
//! no part of it.

use std::time::{Duration, Instant};

use consumer::{Consumer, Database, Service};
use domain::planted::Planted;
use order_api::view::View;
use outbox::inbox::Inbox;
use rdkafka::ClientConfig;
use replay_tool::MemoryLog;
use schemas::{Codec, ServiceName, TopicName};
use workers::inventory::InventoryService;
use workers::pipeline_contract::Pipeline;

use super::{Figure, announce, bare, figure, synthetic};
use crate::error::{BenchError, Result};
use crate::goals::{Goal, at_least, quotient};
use crate::servers::Servers;

/// Between two looks at the positions.
const LOOK: Duration = Duration::from_millis(20);
/// How long nothing may move.
const PATIENCE: Duration = Duration::from_secs(60);

/// The service's backlog, taken.
pub(super) async fn backlog(servers: &Servers, events: u64) -> Result<Figure> {
    let url = servers.create_database("backlog")?;
    announce("publishing receipts and reservations");
    let commands = synthetic::commands(events, super::PARTITIONS)?;
    let inventory = open(&url, "inventory")?;
    let mut client = inventory.first_client().await.map_err(BenchError::other)?;
    let migrated = provision::migrate::migrate(&mut client, ServiceName::Inventory, "inventory").await;
    migrated.map_err(BenchError::other)?;
    drop(client);
    bare::publish(servers.brokers(), &commands, &[TopicName::StockCommands]).await?;
    let service = || InventoryService::new(Planted::NONE);
    let place = Place { servers, database: &inventory, log: &commands };
    place.take(service(), &[TopicName::StockCommands], "the service's receipts").await?;
    bare::publish(servers.brokers(), &commands, &[TopicName::InventoryCommands]).await?;
    let taken = place.take(service(), &[TopicName::InventoryCommands], "inventory takes a backlog").await?;
    servers.drop_database("backlog").await?;
    Ok(taken)
}

/// The read model from nothing, held against that.
pub(super) async fn read_model(
    servers: &Servers,
    log: &MemoryLog,
    backlog: Figure,
    figures: &mut Vec<Figure>,
    goals: &mut Vec<Goal>,
) -> Result<()> {
    let url = servers.create_database("read_model")?;
    announce("the read model from nothing");
    let database = open(&url, view::DEFAULT_SCHEMA)?;
    view::migrate(&database).await.map_err(BenchError::other)?;
    let partitions = i32::try_from(super::PARTITIONS).map_err(BenchError::other)?;
    let place = Place { servers, database: &database, log };
    let folded = place.take(View::new(partitions), view::INPUTS, "the read model from nothing").await?;
    let ratio = quotient(folded.per_second, backlog.per_second);
    goals.push(at_least("events/s of the read model, by commands/s of the inventory service", "", 0.5, ratio));
    figures.extend([backlog, folded]);
    servers.drop_database("read_model").await
}

fn open(url: &str, schema: &str) -> Result<Database> {
    Database::open(url, None, schema, "bench-replay").map_err(BenchError::other)
}

/// Where a service takes what.
struct Place<'p> {
    servers: &'p Servers,
    database: &'p Database,
    log: &'p MemoryLog,
}

impl Place<'_> {
    /// The service at work until it has taken all of these topics.
    async fn take<S: Service<Contract = Pipeline>>(
        &self,
        service: S,
        topics: &[TopicName],
        what: &'static str,
    ) -> Result<Figure> {
        let mut kafka = ClientConfig::new();
        kafka.set("bootstrap.servers", self.servers.brokers());
        let consumer = Consumer::builder(service, Pipeline::new(Codec::embedded()))
            .database(self.database)
            .kafka(kafka)
            .group(format!("bench-{}", S::NAME))
            .sends(self.sends(S::NAME))
            .partitions(i32::try_from(super::PARTITIONS).map_err(BenchError::other)?);
        let mut working = consumer.start().await.map_err(BenchError::other)?;
        let taken = self.watch(topics).await;
        working.stop();
        working.join().await.map_err(BenchError::other)?;
        let (records, seconds) = taken?;
        Ok(figure(what, records, seconds))
    }

    /// What a service writes to besides its dead letters.
    fn sends(&self, name: &str) -> Vec<String> {
        let outputs = ServiceName::parse(name).into_iter().flat_map(ServiceName::outputs);
        outputs.map(|topic| topic.as_str().to_owned()).collect()
    }

    /// Until everything is taken: how many records after the first look at which some were, and the seconds since.
    async fn watch(&self, topics: &[TopicName]) -> Result<(u64, f64)> {
        let all: usize = topics.iter().map(|topic| self.log.records(*topic).count()).sum();
        let all = i64::try_from(all).map_err(BenchError::other)?;
        let inbox = Inbox::new(self.database.schema()).map_err(BenchError::other)?;
        let client = self.database.first_client().await.map_err(BenchError::other)?;
        let (mut begun, mut last, mut moved) = (None, 0, Instant::now());
        loop {
            let positions = inbox.load_all(&client).await.map_err(BenchError::other)?;
            let own = positions.iter().filter(|(at, _)| topics.iter().any(|topic| topic.as_str() == at.topic));
            let taken: i64 = own.filter_map(|(_, state)| state.next_offset).sum();
            let now = Instant::now();
            if taken > last {
                (last, moved) = (taken, now);
                let (before, since) = *begun.get_or_insert((taken, now));
                if taken >= all {
                    let records = u64::try_from(all - before).map_err(BenchError::other)?;
                    return Ok((records, since.elapsed().as_secs_f64()));
                }
            }
            if moved.elapsed() > PATIENCE {
                return Err(BenchError::other(format!("{last} of {all} records are taken, and no more for a minute")));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
