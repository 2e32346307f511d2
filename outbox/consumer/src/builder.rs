//! From a service to a running consumer: what it needs, with defaults, and the handle of what runs.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use outbox::inbox::Inbox;
use outbox::{Outbox, OutboxConfig, Relay, RelayConfig, RelayError, TopicSpec};
use rdkafka::ClientConfig;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::contract::Contract;
use crate::database::Database;
use crate::engine::{Engine, EngineConfig, Halted};
use crate::failure::Failure;
use crate::health::Health;
use crate::lot::Parking;
use crate::planted::Planted;
use crate::restored::{Gate, Roads};
use crate::service::Service;
use crate::topics;

/// Where a consumer begins: `Consumer::builder(service)`.
#[derive(Debug)]
pub struct Consumer;

impl Consumer {
    /// A consumer of this service; its database and Kafka have to be named before it starts.
    pub fn builder<S: Service>(service: S, contract: S::Contract) -> Builder<S> {
        Builder {
            service,
            contract: Arc::new(contract),
            database: None,
            outbox: None,
            kafka: None,
            group: S::NAME.to_owned(),
            topic_prefix: String::new(),
            partitions: None,
            sends: Vec::new(),
            has_relay: false,
            max_batch_items: 1000,
            max_pace: Duration::from_millis(10),
            timer_period: Duration::from_millis(500),
            dead_letter_limit_bytes: 1_000_000 + 64 * 1024,
            parking: Parking::default(),
            clock: now,
            deadlines_rest: Duration::ZERO,
            roads: Roads::default(),
            health: Health::default(),
            planted: Planted::NONE,
        }
    }
}

/// What a consumer needs besides its service. Only `database` and `kafka` have no default.
#[must_use = "a builder does nothing until it starts"]
pub struct Builder<S: Service> {
    service: S,
    contract: Arc<S::Contract>,
    pub(crate) database: Option<Database>,
    outbox: Option<Outbox>,
    pub(crate) kafka: Option<ClientConfig>,
    pub(crate) group: String,
    pub(crate) topic_prefix: String,
    partitions: Option<i32>,
    sends: Vec<String>,
    has_relay: bool,
    max_batch_items: usize,
    max_pace: Duration,
    timer_period: Duration,
    pub(crate) dead_letter_limit_bytes: usize,
    parking: Parking,
    pub(crate) clock: fn() -> Timestamp,
    deadlines_rest: Duration,
    roads: Roads,
    health: Health,
    planted: Planted,
}

impl<S: Service> Builder<S> {
    /// The service's database: its schema has the service's own tables, and those that `outbox::migrate` makes.
    pub fn database(mut self, database: &Database) -> Self {
        self.database = Some(database.clone());
        self
    }

    /// librdkafka's properties, `bootstrap.servers` among them. What lanes and positions rest on is set here whatever they
    /// say.
    pub fn kafka(mut self, kafka: ClientConfig) -> Self {
        self.kafka = Some(kafka);
        self
    }

    /// The consumer group; by default the service's name.
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group = group.into();
        self
    }

    /// What stands in front of every topic's name on the brokers; by default nothing.
    pub fn topic_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.topic_prefix = prefix.into();
        self
    }

    /// An outbox that is open already. By default one is opened in the database's schema, with the source `/NAME`, for the
    /// dead letters and the topics of `sends`.
    pub fn outbox(mut self, outbox: &Outbox) -> Self {
        self.outbox = Some(outbox.clone());
        self
    }

    /// The topics, in full, that the service sends to, of the outbox that is opened here; by default its dead letters alone.
    pub fn sends(mut self, topics: Vec<String>) -> Self {
        self.sends = topics;
        self
    }

    /// Run a relay beside it, which publishes what the service sends, dead letters among it, and ends after it. By default
    /// that is another's: the program `outbox-relay`, or a relay that the process runs by itself.
    pub fn with_relay(mut self) -> Self {
        self.has_relay = true;
        self
    }

    /// The partition count of all topics; by default the brokers are asked for it.
    pub fn partitions(mut self, partitions: i32) -> Self {
        self.partitions = Some(partitions);
        self
    }

    /// The most items of one transaction; by default 1000.
    pub fn max_batch_items(mut self, items: usize) -> Self {
        self.max_batch_items = items;
        self
    }

    /// The longest rest between two transactions under load; by default 10 ms. Zero switches pacing off.
    pub fn max_pace(mut self, pace: Duration) -> Self {
        self.max_pace = pace;
        self
    }

    /// How often the service is asked what is due (`look_up`); by default twice a second.
    pub fn timer_period(mut self, period: Duration) -> Self {
        self.timer_period = period;
        self
    }

    /// The largest dead letter with its body; a larger one loses it and says so. By default 64 KiB more than an outbox's
    /// largest message.
    pub fn dead_letter_limit_bytes(mut self, bytes: usize) -> Self {
        self.dead_letter_limit_bytes = bytes;
        self
    }

    /// How much may be parked of what cannot be taken, and when it is tried again.
    pub fn parking(mut self, parking: Parking) -> Self {
        self.parking = parking;
        self
    }

    /// Where the present comes from; by default this host's clock.
    pub fn clock(mut self, clock: fn() -> Timestamp) -> Self {
        self.clock = clock;
        self
    }

    /// How long no deadline fires after an older state of the database was accepted; by default not at all.
    pub fn deadlines_rest(mut self, rest: Duration) -> Self {
        self.deadlines_rest = rest;
        self
    }

    /// What a person can do about a database that was set back.
    pub fn roads(mut self, roads: Roads) -> Self {
        self.roads = roads;
        self
    }

    /// Where the consumer reports how it is, if it is shown before the start.
    pub fn health(mut self, health: &Health) -> Self {
        self.health = health.clone();
        self
    }

    /// What befalls the Kafka client, in tests.
    pub fn planted(mut self, planted: Planted) -> Self {
        self.planted = planted;
        self
    }

    /// Make the topics that only this service writes to, its dead letters and those of `sends`, where they are missing, with as
    /// many partitions as its inputs have. For whoever has no tool for it; a service that may not make topics does not call it.
    ///
    /// # Errors
    /// In words for a person: no brokers, no inputs, no right to make topics.
    pub async fn create_topics(&self) -> Result<(), Halted> {
        let kafka = self.kafka.as_ref().ok_or_else(|| missing::<S>("kafka configuration"))?;
        topics::create(kafka, &self.own_topics(), self.known_partitions(kafka).await?).await
    }

    /// Look at the servers, join the group, work.
    ///
    /// # Errors
    /// In words for a person: a setting that is missing or wrong, a server that does not answer, a schema without tables.
    pub async fn start(self) -> Result<Handle, Halted> {
        let database = self.database.clone().ok_or_else(|| missing::<S>("database"))?;
        let kafka = self.kafka.clone().ok_or_else(|| missing::<S>("kafka configuration"))?;
        let partitions = self.known_partitions(&kafka).await?;
        let outbox = self.opened_outbox(&database, partitions).await?;
        let inbox = Inbox::new(database.schema()).map_err(|error| Halted(error.to_string()))?;
        let gate = Gate::new(S::NAME, &outbox, &database, kafka.clone(), self.deadlines_rest, &self.health, self.roads);
        let (stop, stopping) = watch::channel(false);
        let relay = self.has_relay.then(|| {
            let (connector, tls) = database.connector();
            Relay::new(&outbox, RelayConfig::new(outbox::Database::new(connector, tls), kafka.clone()))
        });
        let health = self.health;
        let engine = Engine::new(
            self.service,
            EngineConfig {
                kafka,
                group: self.group,
                topic_prefix: self.topic_prefix,
                max_batch_items: self.max_batch_items,
                max_pace: self.max_pace,
                timer_period: self.timer_period,
                dead_letter_limit_bytes: self.dead_letter_limit_bytes,
                parking: self.parking,
                database,
                outbox,
                inbox,
                contract: self.contract,
                partitions,
                clock: self.clock,
                planted: self.planted,
                health: health.clone(),
                gate: gate.clone(),
                shutdown: stopping.clone(),
            },
        )?;
        health.alive();
        let task = tokio::spawn(work(engine, relay, gate.keep_looking(stopping), stop.clone()));
        Ok(Handle { stop, task, health })
    }

    /// The outbox that was given, or one that is opened here.
    pub(crate) async fn opened_outbox(&self, database: &Database, partitions: i32) -> Result<Outbox, Halted> {
        match self.outbox.clone() {
            Some(outbox) => Ok(outbox),
            None => self.open_outbox(database, partitions).await,
        }
    }

    pub(crate) async fn known_partitions(&self, kafka: &ClientConfig) -> Result<i32, Halted> {
        if let Some(partitions) = self.partitions {
            return Ok(partitions);
        }
        let names: Vec<String> = S::INPUTS.iter().map(|topic| self.full(S::Contract::topic_name(*topic))).collect();
        let counts = topics::counts(kafka, &names).await?;
        match counts.split_first() {
            Some(((_, count), rest)) if *count > 0 && rest.iter().all(|(_, other)| other == count) => Ok(*count),
            Some(_) | None => Err(Halted(format!(
                "the topics of {} must exist and have equally many partitions; they have: {counts:?}",
                S::NAME
            ))),
        }
    }

    async fn open_outbox(&self, database: &Database, partitions: i32) -> Result<Outbox, Halted> {
        let client = database.first_client().await.map_err(|error| Halted(error.to_string()))?;
        let topics = self.own_topics().into_iter().map(|name| TopicSpec { name, partitions }).collect();
        let mut config = OutboxConfig::new(database.schema(), format!("/{}", S::NAME), topics);
        S::Contract::CONTENT_TYPE.clone_into(&mut config.content_type);
        Outbox::open(&client, config).await.map_err(|error| Halted(Failure::of_outbox(error).to_string()))
    }

    /// The topics of the outbox that is opened here, in full.
    fn own_topics(&self) -> Vec<String> {
        let dead = S::INPUTS.iter().map(|topic| self.full(&S::Contract::dead_letter_topic(*topic)));
        dead.chain(self.sends.iter().cloned()).collect()
    }

    fn full(&self, topic: &str) -> String {
        format!("{}{topic}", self.topic_prefix)
    }
}

pub(crate) fn missing<S: Service>(what: &str) -> Halted {
    Halted(format!("a consumer of {} needs a {what}", S::NAME))
}

/// All tasks of a consumer, joined before this returns. The relay goes last: it publishes what the last batches have sent.
async fn work<S: Service>(
    engine: Engine<S>,
    relay: Option<Relay>,
    keep_looking: impl Future<Output = ()> + Send + 'static,
    stop: watch::Sender<bool>,
) -> Result<(), Halted> {
    let looking = tokio::spawn(keep_looking);
    let (end, ends) = oneshot::channel::<()>();
    let publishing = relay.map(|relay| tokio::spawn(relay.run(async { drop(ends.await) })));
    let worked = engine.run().await;
    stop.send_replace(true);
    looking.await.map_err(|error| Halted(error.to_string()))?;
    drop(end);
    let published: Result<(), RelayError> = match publishing {
        Some(publishing) => publishing.await.map_err(|error| Halted(error.to_string()))?,
        None => Ok(()),
    };
    worked.and(published.map_err(|error| Halted(format!("relay: {error}"))))
}

/// This host's clock, in the microseconds that a database keeps.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

/// A consumer that runs. Dropped, it ends by itself; `join` waits for that.
#[derive(Debug)]
pub struct Handle {
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), Halted>>,
    health: Health,
}

impl Handle {
    /// How it is, at any time.
    pub fn status(&self) -> Health {
        self.health.clone()
    }

    /// Ask it to end: it commits what it has in hand, then leaves its group. Returns at once.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Work until `end` has come, then end in good order.
    ///
    /// # Errors
    /// Why it stopped on its own.
    pub async fn until(mut self, end: impl Future<Output = ()>) -> Result<(), Halted> {
        tokio::select! {
            ended = self.join() => return ended,
            () = end => self.stop(),
        }
        self.join().await
    }

    /// Wait for its end. May be given up and called again until it has answered.
    ///
    /// # Errors
    /// Why it stopped on its own.
    pub async fn join(&mut self) -> Result<(), Halted> {
        match (&mut self.task).await {
            Ok(ended) => ended,
            Err(error) => Err(Halted(error.to_string())),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stop();
    }
}
