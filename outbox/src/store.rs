//! The outbox as a program holds it: opened once, cloned freely, begins transactions.
//!
//! Holds the formatted statements, the topics and the way to the relay of the same process. It holds no connection:
//! every transaction runs on one that the caller brings.

use std::sync::Arc;

use deadpool_postgres::ClientWrapper;
use tokio_postgres::Client;

use crate::append::{Batch, fixed_bytes};
use crate::change::{self, Changing, Last};
use crate::error::{OutboxError, SQLSTATE_PARTITIONS};
use crate::hint::Hints;
use crate::lanes::{Lanes, TopicSpec};
use crate::migrate;
use crate::planted::{Planted, PlantedBug};
use crate::position;
use crate::send::send_sql;
use crate::sql;
use crate::transaction::Transaction;

/// What an outbox is opened with. Made by [`OutboxConfig::new`]; the fields may then be changed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OutboxConfig {
    /// Database schema that holds the tables.
    pub schema: String,
    /// `ce_source` of everything that is published, and the source in its position; for instance `/order`.
    pub source: String,
    /// Topics that messages may go to.
    pub topics: Vec<TopicSpec>,
    /// Largest record in bytes, headers included; dead letters (raw records) may be 64 KiB larger. Default 1,000,000,
    /// a little below what a broker accepts unless told otherwise.
    pub max_message_bytes: usize,
    /// `content-type` header of events. Default `application/avro`.
    pub content_type: String,
    /// Bytes of committed messages that may wait in memory for the relay of the same process. Default 8 MiB. What does
    /// not fit is read from the table.
    pub hint_bytes: usize,
    pub(crate) planted: Planted,
}

impl OutboxConfig {
    /// A configuration with the defaults named at the fields.
    pub fn new(schema: impl Into<String>, source: impl Into<String>, topics: Vec<TopicSpec>) -> Self {
        Self {
            schema: schema.into(),
            source: source.into(),
            topics,
            max_message_bytes: 1_000_000,
            content_type: "application/avro".to_owned(),
            hint_bytes: 8 * 1024 * 1024,
            planted: Planted::none(),
        }
    }

    /// Plants a bug, to show that tests catch it. Exists only with the feature `planted-bugs`.
    #[cfg(feature = "planted-bugs")]
    #[must_use]
    pub fn with_planted_bug(mut self, bug: PlantedBug) -> Self {
        self.planted = Planted::some(bug);
        self
    }
}

/// An opened outbox: cheap to clone, shared by all tasks of a program.
#[derive(Debug, Clone)]
pub struct Outbox {
    pub(crate) shared: Arc<Shared>,
}

/// What all clones share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: OutboxConfig,
    pub(crate) lanes: Lanes,
    pub(crate) hints: Arc<Hints>,
    pub(crate) fixed_bytes: usize,
    quoted: String,
    /// The append of a transaction without changes.
    pub(crate) append_sql: String,
    /// How a test's planted bug appends; none: as it should be.
    planted_append: Option<String>,
    pub(crate) send_sql: String,
}

impl Outbox {
    /// Checks the tables and registers the topics. `client` may be any connection; it is not kept.
    ///
    /// # Errors
    /// When the tables are missing or of another version, when a topic is already registered with another partition
    /// count, or when a name in the configuration cannot be used.
    pub async fn open(client: &Client, config: OutboxConfig) -> Result<Self, OutboxError> {
        check(&config)?;
        let quoted = sql::quoted_schema(&config.schema)?;
        migrate::check(client, &config.schema).await?;
        let identify = format!("select {quoted}.outbox_identify($1, $2)");
        client.query_one(&identify, &[&config.source, &config.content_type]).await.map_err(refusal)?;
        let register = format!("select {quoted}.outbox_register($1, $2)");
        let mut topics = Vec::with_capacity(config.topics.len());
        for topic in &config.topics {
            let row = client.query_one(&register, &[&topic.name, &topic.partitions]).await.map_err(refusal)?;
            topics.push((row.get::<_, i16>(0), topic.clone()));
        }
        let planted = config.planted;
        if planted.is(PlantedBug::CursorWithoutLock) {
            let create = format!("create sequence if not exists {quoted}.outbox_planted");
            client.batch_execute(&create).await.map_err(OutboxError::database("planting a bug"))?;
        }
        let shared = Shared {
            lanes: Lanes::new(topics),
            hints: Arc::new(Hints::new(config.hint_bytes)),
            fixed_bytes: fixed_bytes(&config.source, &config.content_type),
            append_sql: change::compose(&quoted, &[], Last::Append(&Batch::default())),
            planted_append: planted_append(&quoted, planted),
            send_sql: send_sql(&config.schema)?,
            quoted,
            config,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Opens an outbox that some program has opened before, with what is recorded about it and without topics to write
    /// to: for a relay that runs alone.
    ///
    /// # Errors
    /// As [`Outbox::open`], and when nobody has opened it yet.
    pub async fn open_recorded(client: &Client, schema: &str) -> Result<Self, OutboxError> {
        let quoted = sql::quoted_schema(schema)?;
        migrate::check(client, schema).await?;
        let recorded = client
            .query_opt(&format!("select source, content_type from {quoted}.outbox_identity"), &[])
            .await
            .map_err(OutboxError::database("reading who publishes from this outbox"))?;
        let Some(row) = recorded else {
            let reason = "no program has opened this outbox yet; start one that writes to it".to_owned();
            return Err(OutboxError::Schema { schema: schema.to_owned(), reason });
        };
        let mut config = OutboxConfig::new(schema, row.get::<_, String>(0), Vec::new());
        config.content_type = row.get(1);
        Self::open(client, config).await
    }

    /// Begins a transaction. BEGIN is sent together with the first statement, so this costs no round trip, except for
    /// preparing this crate's statement the first time that a connection is used.
    ///
    /// `client` is a pooled connection ([`deadpool_postgres::Object`]) or one made by [`crate::connect`].
    pub async fn begin<'c>(&'c self, client: &'c mut ClientWrapper) -> Result<Transaction<'c>, OutboxError> {
        Transaction::begin(&self.shared, client).await
    }

    /// The configuration that this outbox was opened with.
    pub fn config(&self) -> &OutboxConfig {
        &self.shared.config
    }
}

/// The texts of a transaction's last statements.
pub(crate) struct FinaleTexts {
    /// The changes, and the append where it can be one with them.
    pub(crate) changes: String,
    /// The append by itself, in a planted form.
    pub(crate) append: Option<String>,
}

impl Shared {
    /// Whether changes and append are one statement.
    pub(crate) fn is_composed(&self) -> bool {
        self.planted_append.is_none()
    }

    /// For these changes and messages.
    pub(crate) fn finale_texts(&self, changes: &[Changing], batch: &Batch<'_>) -> FinaleTexts {
        let append = self.planted_append.clone().filter(|_| !batch.lanes.is_empty());
        let last = if append.is_some() || batch.lanes.is_empty() { Last::Guard } else { Last::Append(batch) };
        FinaleTexts { changes: change::compose(&self.quoted, changes, last), append }
    }
}

fn check(config: &OutboxConfig) -> Result<(), OutboxError> {
    let wrong = |reason: String| Err(OutboxError::Configuration { reason });
    if !position::is_source(&config.source) {
        return wrong(format!(
            "source `{}` is empty, too long or has control characters",
            config.source.escape_debug()
        ));
    }
    if config.content_type.is_empty() || config.content_type.len() > 128 {
        return wrong("content type must have 1 to 128 bytes".to_owned());
    }
    let mut names: Vec<&str> = config.topics.iter().map(|topic| topic.name.as_str()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return wrong(format!("topic `{}` is listed twice", twice[0]));
    }
    for topic in &config.topics {
        let fit = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if topic.name.is_empty() || topic.name.len() > 249 || !topic.name.bytes().all(fit) {
            return wrong(format!("`{}` is not a topic name", topic.name.escape_debug()));
        }
        if !(1..=65_536).contains(&topic.partitions) {
            return wrong(format!("topic `{}` cannot have {} partitions", topic.name, topic.partitions));
        }
    }
    Ok(())
}

fn refusal(error: tokio_postgres::Error) -> OutboxError {
    match error.as_db_error() {
        Some(server) if server.code().code() == SQLSTATE_PARTITIONS => {
            OutboxError::Configuration { reason: server.message().to_owned() }
        }
        _ => OutboxError::Database { doing: "registering a topic", source: error },
    }
}

/// An append with a bug.
fn planted_append(quoted: &str, planted: Planted) -> Option<String> {
    let heads = if planted.is(PlantedBug::SequenceInLockStatement) {
        // What a statement that locks and reads at once sees: its snapshot is older than the lock.
        format!(
            "select array_agg(coalesce((select max(m.sequence) from {quoted}.outbox_messages m where m.lane = g.lane), 0) \
             order by g.n) from (select u.lane, u.n, pg_advisory_xact_lock({space}, u.lane) \
             from unnest($1::int4[]) with ordinality as u (lane, n) offset 0) g",
            space = sql::space(quoted)
        )
    } else if planted.is(PlantedBug::CursorWithoutLock) {
        format!(
            "select array_agg(1000000 * nextval('{quoted}.outbox_planted') order by g.n) \
             from unnest($1::int4[]) with ordinality as g (lane, n)"
        )
    } else {
        return None;
    };
    Some(format!(
        "with head (sequences) as materialized ({heads}), inserted as ( \
           insert into {quoted}.outbox_messages_0 \
             (lane, sequence, id, type, key, payload, time, causation, causation_text, trace, headers) \
           select ($1::int4[])[i.slot], (select sequences from head)[i.slot] + i.ordinal, \
             i.id, i.type, i.key, i.payload, i.time, i.causation, i.causation_text, i.trace, i.headers \
           from unnest($2::int4[], $3::int8[], $4::uuid[], $5::text[], $6::bytea[], $7::bytea[], $8::timestamptz[], \
             $9::uuid[], $10::text[], $11::bytea[], $12::bytea[]) \
             as i (slot, ordinal, id, type, key, payload, time, causation, causation_text, trace, headers) \
         ) select sequences from head"
    ))
}
