//! The relay: publishes what was committed. One leads per outbox; others stand by.
//!
//! Each process that writes may run one, and a daemon may too: they elect their leader through the database. A leader
//! connects, takes the lead, reads where the topics stand, and publishes until something breaks; then it begins anew.
//! This file has the configuration and that outermost loop.

pub(crate) mod acked;
mod board;
pub(crate) mod course;
pub(crate) mod cursor;
pub(crate) mod fence;
mod leader;
mod listener;
pub(crate) mod matching;
mod memory;
mod pace;
mod publisher;
pub(crate) mod restore;
mod restored;
pub(crate) mod resume;
mod rotation;
pub(crate) mod session;
pub(crate) mod setback;
mod stall;
mod standby;
mod status;
mod stop;
pub(crate) mod tail;
pub(crate) mod takeover;
pub(crate) mod wire;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;

pub use restored::{Comparison, OnRestore, Restored};
pub use standby::Announcer;
pub use status::{HeldLane, NamedMessage, RelayReport, RelayStatus, Role, Stalled};

use crate::database::Database;
use crate::error::OutboxError;
use crate::kafka::Unanswered;
use crate::relay::leader::Term;
use crate::relay::listener::Listener;
use crate::relay::memory::Memory;
use crate::relay::publisher::Publisher;
use crate::relay::rotation::Rotation;
use crate::relay::session::Session;
use crate::relay::standby::Turn;
use crate::relay::stop::Stop;
use crate::relay::takeover::take_over;
use crate::store::Outbox;

/// How long a relay that was asked to stop may take.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// How a relay works. Made by [`RelayConfig::new`]; the fields may then be changed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RelayConfig {
    /// Where the database is. A direct connection, not through a transaction pooler.
    pub database: Database,
    /// Any librdkafka properties: brokers, TLS, SASL, tuning. What the protocol needs (idempotence, all replicas, no
    /// message time-out, gapless) is set on top.
    pub kafka: ClientConfig,
    /// How long the producer waits for more before it sends, whatever the load. Default 0; see `longest_pace`.
    pub linger: Duration,
    /// Under load messages gather for up to so long before they are handed to the producer; with few there is no wait.
    /// Default 5 ms; 0 turns it off.
    pub longest_pace: Duration,
    /// Most messages in flight: what a relay that is paused may still send after another took over. Default 5,000.
    pub max_in_flight_messages: u32,
    /// Most bytes of keys and payloads in flight. Default 8 MiB.
    pub max_in_flight_bytes: usize,
    /// Rows read at a time, over all lanes. Default 1,000.
    pub batch_rows: u32,
    /// Bytes read at a time; one row more may come. Default 1 MiB.
    pub batch_bytes: usize,
    /// How often the table is looked at although nothing was heard. Also the leader's sign of life. Default 500 ms.
    pub poll_interval: Duration,
    /// How often a standby asks for the leadership. Default 100 ms.
    pub standby_interval: Duration,
    /// How often positions are saved while they move. Default 200 ms.
    pub position_interval: Duration,
    /// Nothing is sent when the last proof of leadership is older. Default 1.5 s; less than `stale_after`.
    pub fence_age: Duration,
    /// A leader whose session has been silent for so long is taken for paused, and its session is ended. Default 4 s:
    /// longer than any statement of a live leader may take.
    pub stale_after: Duration,
    /// How long a lane rests after the broker has refused one of its messages, or the table lacks one, before it is tried
    /// again. Default 10 s.
    pub hold: Duration,
    /// How long published messages stay in the table at least; twice as long at most, unless something is in the way of
    /// truncating. Must outlive what the brokers may lose in a crash, and be enough to look into what has happened.
    /// Default 1 h.
    pub retention: Duration,
    /// How often the leader looks whether a table can be truncated. Default 1 s.
    pub rotation_interval: Duration,
    /// A producer that has had messages in flight for so long without any acknowledgement is replaced: a client can lose
    /// its brokers and not come back. Default 10 s, longer than a healthy broker's pauses.
    pub renew_producer_after: Duration,
    /// After so long without any acknowledgement, whichever producer was tried, the lead is given up: another instance may
    /// reach the brokers. Default 30 s.
    pub give_up_lead_after: Duration,
    /// What to do when the topics hold messages that the database does not. Default: begin a new epoch.
    pub on_restore: OnRestore,
    pub(crate) lost_producers: u32,
}

impl RelayConfig {
    /// A configuration with the defaults named at the fields.
    pub fn new(database: Database, kafka: ClientConfig) -> Self {
        Self {
            database,
            kafka,
            linger: Duration::ZERO,
            longest_pace: Duration::from_millis(5),
            max_in_flight_messages: 5_000,
            max_in_flight_bytes: 8 * 1024 * 1024,
            batch_rows: 1_000,
            batch_bytes: 1024 * 1024,
            poll_interval: Duration::from_millis(500),
            standby_interval: Duration::from_millis(100),
            position_interval: Duration::from_millis(200),
            fence_age: Duration::from_millis(1500),
            stale_after: Duration::from_secs(4),
            hold: Duration::from_secs(10),
            retention: Duration::from_secs(3_600),
            rotation_interval: Duration::from_secs(1),
            renew_producer_after: Duration::from_secs(10),
            give_up_lead_after: Duration::from_secs(30),
            on_restore: OnRestore::default(),
            lost_producers: 0,
        }
    }

    /// Lets the first producers of this relay find no broker, as a client that has lost them for good. Exists only with the
    /// feature `planted-bugs`.
    #[cfg(feature = "planted-bugs")]
    #[must_use]
    pub fn with_lost_producers(mut self, producers: u32) -> Self {
        self.lost_producers = producers;
        self
    }
}

/// Why a relay cannot go on. All but a misconfigured client are tried again by [`Relay::run`].
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The database.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The brokers do not answer, or do not let the relay in.
    #[error("{0}")]
    Unanswered(#[from] Unanswered),
    /// The Kafka client.
    #[error("{doing}: {}", crate::kafka::words(source))]
    Kafka {
        /// What was being done.
        doing: &'static str,
        /// The client's error.
        source: KafkaError,
    },
    /// The user has no permission on a topic.
    #[error("topic `{topic}`: {}", crate::kafka::words(source))]
    Denied {
        /// The topic's name.
        topic: String,
        /// The client's error.
        source: KafkaError,
    },
    /// The broker did not take a message.
    #[error("a message for `{topic}` partition {partition} was not taken ({message}): {}", crate::kafka::words(source))]
    Delivery {
        /// The topic's name.
        topic: String,
        /// The partition.
        partition: i32,
        /// The message.
        message: Box<NamedMessage>,
        /// The client's error.
        source: KafkaError,
    },
    /// Messages are in flight and none is acknowledged. The relay makes a new producer, and gives up its lead when that
    /// does not help.
    #[error("nothing was acknowledged for {} s although messages are in flight: {reason}", lasts.as_secs())]
    NothingAcknowledged {
        /// For how long.
        lasts: Duration,
        /// What the client says.
        reason: String,
    },
    /// The topics hold a message that the database does not, and the relay is to hold then.
    #[error("the database was set back: {0}; nothing is published until a person chooses whose state counts")]
    Restored(Restored),
    /// The broker acknowledged a message at an offset that the topic partition had passed: the topic was deleted and made
    /// anew while this relay led. It looks at the topics again, and publishes again what the table still holds.
    #[error("topic `{topic}` was made anew (partition {partition} begins again)")]
    LogBeganAnew {
        /// The topic's name.
        topic: String,
        /// The partition in which it was noticed.
        partition: i32,
    },
    /// A topic of the outbox does not exist.
    #[error("topic `{topic}` does not exist; create it")]
    TopicMissing {
        /// The topic's name.
        topic: String,
    },
    /// A topic has another partition count than the outbox was opened with; keys would be in other partitions.
    #[error("topic `{topic}` has {found} partitions; the outbox has {expected}")]
    PartitionCount {
        /// The topic's name.
        topic: String,
        /// The count that the outbox has registered.
        expected: i32,
        /// The count that the broker tells.
        found: usize,
    },
    /// A topic partition that is said to hold records gives none.
    #[error("topic partitions that should have records gave none in time")]
    TopicSilent,
    /// Topics or epochs were added to the outbox while this relay led: it looks at the topics again.
    #[error("the outbox has new topics or epochs")]
    ShapeChanged,
    /// A task of the relay ended by a panic.
    #[error("a task of the relay panicked")]
    Panicked,
    /// The configuration contradicts itself.
    #[error("relay configuration: {reason}")]
    Configuration {
        /// What is wrong, in words for a person.
        reason: &'static str,
    },
}

impl RelayError {
    pub(crate) fn kafka(doing: &'static str) -> impl FnOnce(KafkaError) -> Self {
        move |source| Self::Kafka { doing, source }
    }

    /// Whether trying again cannot help.
    fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Configuration { .. }
                | Self::Unanswered(Unanswered::Settings(_))
                | Self::Kafka { source: KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_), .. }
        )
    }
}

/// Publishes one outbox's messages. Made by [`Relay::new`], driven by [`Relay::run`].
pub struct Relay {
    outbox: Outbox,
    config: RelayConfig,
    status: RelayStatus,
}

impl Relay {
    /// A relay for this outbox; it does nothing until it is run. Commits made through `outbox` or its clones reach it
    /// from memory while it leads.
    pub fn new(outbox: &Outbox, config: RelayConfig) -> Self {
        let status = RelayStatus::new(&outbox.config().schema);
        Self { outbox: outbox.clone(), config, status }
    }

    /// A handle to what this relay is doing.
    pub fn status(&self) -> RelayStatus {
        self.status.clone()
    }

    /// Leads or stands by until `shutdown` completes; then lets what is in flight arrive, saves where it ended, and
    /// releases the leadership. Troubles with database or broker are reported in [`Relay::status`], logged, and tried
    /// again without end.
    ///
    /// # Errors
    /// When the configuration cannot work.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), RelayError> {
        if self.config.fence_age >= self.config.stale_after || self.config.poll_interval >= self.config.stale_after {
            return Err(RelayError::Configuration { reason: "fence age and poll interval must be below stale_after" });
        }
        let (switch, stop) = Stop::new();
        let mut running = std::pin::pin!(self.keep_going(stop));
        tokio::select! {
            ended = &mut running => return ended,
            () = shutdown => {}
        }
        switch.send_replace(true);
        let ended = tokio::time::timeout(STOP_TIMEOUT, running).await;
        ended.unwrap_or_else(|_| {
            tracing::warn!("the relay did not stop in time; the next leader finds out what was published");
            Ok(())
        })
    }

    async fn keep_going(&self, mut stop: Stop) -> Result<(), RelayError> {
        let mut memory = Memory::default();
        while !stop.is_asked() {
            let began = Instant::now();
            let led = self.lead_once(&mut stop, &mut memory).await;
            memory.calm(began);
            self.outbox.shared.hints.lead(false);
            self.status.set_role(Role::Disconnected);
            if let Err(error) = led {
                if error.is_final() {
                    return Err(error);
                }
                let pause = memory.pause_after(&error);
                self.tell(&error, pause, &mut memory);
                tokio::select! {
                    () = stop.asked() => {}
                    () = tokio::time::sleep(pause) => {}
                }
            }
        }
        Ok(())
    }

    /// Logs why the relay begins anew; a database that was set back once, everything else again and again.
    fn tell(&self, error: &RelayError, pause: Duration, memory: &mut Memory) {
        self.status.set_error(error.to_string());
        if let RelayError::Restored(_) = error {
            if !memory.is_restored {
                tracing::error!(%error, look_again_in = ?pause, "the relay holds");
            }
            memory.is_restored = true;
            self.status.set_restored(true);
        } else if let Some(untold) = memory.repeats.tell(&error.to_string(), Instant::now()) {
            tracing::warn!(%error, retry_in = ?pause, untold, "the relay begins anew");
        }
    }

    /// Connects, waits for the lead, and publishes term by term: a failed delivery ends a term but not the leadership.
    async fn lead_once(&self, stop: &mut Stop, memory: &mut Memory) -> Result<(), RelayError> {
        let session = Arc::new(Session::open(&self.config.database, &self.outbox.config().schema).await?);
        match standby::wait_for_turn(&self.outbox, &self.config, &session, &self.status, stop).await? {
            Turn::AtOnce => {}
            Turn::AfterAnother => memory.stall.clear(),
            Turn::Stopped => return Ok(()),
        }
        let listener = Listener::start(self.config.database.clone(), &self.outbox.config().schema);
        let led = loop {
            let term = self.term(&session, &listener, stop, memory).await;
            match term {
                Err(error @ RelayError::Delivery { .. }) => {
                    if let Some(untold) = memory.repeats.tell(&error.to_string(), Instant::now()) {
                        tracing::warn!(%error, untold, "scanning again");
                    }
                    self.status.set_error(error.to_string());
                    self.outbox.shared.hints.lead(false);
                    if let Err(error) = session.alive(tokio::time::sleep(memory.backoff.wait())).await {
                        break Err(error.into());
                    }
                }
                Err(error @ RelayError::NothingAcknowledged { .. })
                    if memory.stall.lasts(Instant::now()) < self.config.give_up_lead_after =>
                {
                    tracing::warn!(%error, "making a new producer");
                    self.status.add_renewed_producer();
                    self.status.set_error(error.to_string());
                    self.outbox.shared.hints.lead(false);
                }
                Err(error @ RelayError::LogBeganAnew { .. }) => {
                    tracing::error!(%error, "publishing again what the table holds");
                    self.status.set_error(error.to_string());
                    self.outbox.shared.hints.lead(false);
                }
                Err(RelayError::ShapeChanged) => self.outbox.shared.hints.lead(false),
                ended => break ended,
            }
        };
        listener.stop().await;
        led
    }

    fn open_publisher(&self, memory: &mut Memory) -> Result<Publisher, RelayError> {
        let is_lost = memory.producers < self.config.lost_producers;
        memory.producers = memory.producers.saturating_add(1);
        Publisher::open(&self.config, self.outbox.config().max_message_bytes, is_lost)
            .map_err(RelayError::kafka("creating the producer"))
    }

    async fn term(
        &self,
        session: &Arc<Session>,
        listener: &Listener,
        stop: &mut Stop,
        memory: &mut Memory,
    ) -> Result<(), RelayError> {
        self.status.set_role(Role::TakingOver);
        self.status.meters().takeovers.increment(1);
        let publisher = self.open_publisher(memory)?;
        let taken = match take_over(&self.outbox, &self.config, session, &self.status).await {
            Ok(taken) => taken,
            Err(error) => {
                takeover::close(publisher.end()).await?;
                return Err(error);
            }
        };
        if std::mem::take(&mut memory.is_restored) {
            tracing::info!("the database holds what the topics do, or an epoch says what is void: the relay resumes");
        }
        self.status.set_restored(false);
        let session_of_term = Arc::clone(session);
        let mut term =
            Term::new(&self.outbox, &self.config, session_of_term, &self.status, taken.lanes, publisher, memory)?;
        // Not before: what the topics have lost must be published again, and a saved position may not know of it.
        let schema = &self.outbox.config().schema;
        let rotation = Rotation::start(&self.config, schema, session.pid(), self.status.clone())?;
        self.outbox.shared.hints.lead(true);
        self.status.set_role(Role::Leading);
        tracing::info!(schema, "the relay leads");
        let began = Instant::now();
        let published = term.publish(listener, stop).await;
        let publisher = term.end().await;
        memory.calm(began);
        let ending = takeover::close(publisher.end());
        let all = futures_util::future::join3(ending, takeover::close(taken.closing), rotation.stop());
        let (ended, closed, ()) = match &published {
            Err(
                RelayError::Delivery { .. }
                | RelayError::NothingAcknowledged { .. }
                | RelayError::LogBeganAnew { .. }
                | RelayError::ShapeChanged,
            ) => session.alive(all).await?,
            _ => all.await,
        };
        published.and(ended).and(closed)
    }
}
