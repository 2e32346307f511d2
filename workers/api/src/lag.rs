//! How far behind the order service and the read model are: looked up every two seconds, for admission and `/v1/status`.
//!
//! The order service by its group's offsets, which it stores for people; the read model by its own positions. What could not be
//! looked up lately is not known, and keeps nobody out.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use consumer::Database;
use outbox::inbox::Inbox;
use outbox::log::{self, Partition};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};
use schemas::{ServiceName, TopicName};
use tokio::sync::watch;

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(2);

/// How long one look may take.
const LIMIT: Duration = Duration::from_secs(5);

const UNKNOWN: i64 = -1;

/// How far behind; cheap to clone.
#[derive(Debug, Clone)]
pub struct Lag(Arc<Known>);

#[derive(Debug)]
struct Known {
    commands: AtomicI64,
    view: AtomicI64,
}

/// Who looks, and where.
#[derive(Clone)]
pub struct Look {
    /// librdkafka's properties.
    pub kafka: ClientConfig,
    /// The deployment's prefix.
    pub topic_prefix: String,
    /// How many partitions each topic has.
    pub partitions: i32,
    /// The read model's.
    pub database: Database,
}

impl Default for Lag {
    fn default() -> Self {
        Lag(Arc::new(Known { commands: AtomicI64::new(UNKNOWN), view: AtomicI64::new(UNKNOWN) }))
    }
}

impl Lag {
    /// Commands that the order service has not taken yet, where that is known.
    pub fn commands(&self) -> Option<i64> {
        known(&self.0.commands)
    }

    /// Events that the read model has not taken yet, where that is known.
    pub fn view(&self) -> Option<i64> {
        known(&self.0.view)
    }

    /// Looks until asked to stop.
    pub async fn keep_looking(self, look: Look, mut stopping: watch::Receiver<bool>) {
        let client = Arc::new(Mutex::new(None));
        loop {
            let (commands, view) = look.once(&client).await.unwrap_or_else(|error| {
                tracing::debug!(error, "how far behind is not known");
                (UNKNOWN, UNKNOWN)
            });
            self.0.commands.store(commands, Ordering::Relaxed);
            self.0.view.store(view, Ordering::Relaxed);
            tokio::select! {
                // An error means that the sender is gone, which is an end as well.
                _ = stopping.wait_for(|stopped| *stopped) => return,
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
    }
}

fn known(value: &AtomicI64) -> Option<i64> {
    Some(value.load(Ordering::Relaxed)).filter(|value| *value >= 0)
}

impl Look {
    async fn once(&self, client: &Arc<Mutex<Option<BaseConsumer>>>) -> Result<(i64, i64), String> {
        let (look, shared) = (self.clone(), Arc::clone(client));
        let asked = tokio::task::spawn_blocking(move || look.ask(&shared));
        let (commands, ends) = asked.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        let database = self.database.client().await.map_err(|error| error.to_string())?;
        let inbox = Inbox::new(self.database.schema()).map_err(|error| error.to_string())?;
        let states = inbox.load_all(&database).await.map_err(|error| error.to_string())?;
        let read: i64 = states.values().filter_map(|state| state.next_offset).sum();
        Ok((commands, ends.saturating_sub(read).max(0)))
    }

    /// Blocks. Commands that are not taken, and the sum of the ends of the read model's topics.
    fn ask(&self, client: &Mutex<Option<BaseConsumer>>) -> Result<(i64, i64), rdkafka::error::KafkaError> {
        let mut client = client.lock().unwrap_or_else(PoisonError::into_inner);
        let client = match &mut *client {
            Some(client) => client,
            none => none.insert(self.client()?),
        };
        let commands = self.places(TopicName::OrderCommands);
        let mut taken = TopicPartitionList::new();
        for place in &commands {
            taken.add_partition(&place.topic, place.partition);
        }
        let taken = client.committed_offsets(taken, LIMIT)?;
        let bounds = log::bounds(client, &commands, LIMIT)?;
        let waiting = commands.iter().zip(bounds).map(|(place, bounds)| {
            let found = taken.find_partition(&place.topic, place.partition).map(|found| found.offset());
            let next = if let Some(Offset::Offset(next)) = found { next } else { bounds.low };
            bounds.high.saturating_sub(next).max(0)
        });
        let waiting = waiting.sum();
        let events: Vec<Partition> = view::INPUTS.iter().flat_map(|topic| self.places(*topic)).collect();
        let ends = log::bounds(client, &events, LIMIT)?.iter().map(|bounds| bounds.high).sum();
        Ok((waiting, ends))
    }

    /// In the order service's group's name, which it asks about and does not join.
    fn client(&self) -> Result<BaseConsumer, rdkafka::error::KafkaError> {
        let mut config = self.kafka.clone();
        log::configure(&mut config, &format!("{}{}-worker", self.topic_prefix, ServiceName::Order));
        config.create()
    }

    fn places(&self, topic: TopicName) -> Vec<Partition> {
        let name: Arc<str> = format!("{}{topic}", self.topic_prefix).into();
        (0..self.partitions).map(|partition| Partition { topic: Arc::clone(&name), partition }).collect()
    }
}
