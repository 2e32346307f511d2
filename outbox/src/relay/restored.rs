//! Was the database set back? Asked by a relay that is to hold then, and by a service before it works.
//!
//! After a restore, or a failover with loss, the topics hold messages that the tables do not. Going on from there voids
//! them; whether that is wanted is a person's choice, and whoever works meanwhile decides from a state that is older than
//! what others have seen. So it is found before anything is decided: one look at the topics' ends, as a take-over takes.

use std::fmt;
use std::time::Duration;

use rdkafka::ClientConfig;

use crate::database::Database;
use crate::error::OutboxError;
use crate::relay::session::Session;
use crate::relay::takeover::{Depth, survey};
use crate::relay::{RelayConfig, RelayError};
use crate::sql;
use crate::store::Outbox;

/// What a relay does that finds the database set back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnRestore {
    /// Begin a new epoch, in which what the tables hold after the last equal message is published again.
    #[default]
    BeginEpoch,
    /// Publish nothing until the tables hold what the topics do, or a person has begun the epoch
    /// ([`crate::operate::rebase`]).
    Hold,
}

/// A message that a topic holds and the database does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Full topic name.
    pub topic: String,
    /// Partition number.
    pub partition: i32,
    /// Where it lies.
    pub offset: i64,
    /// Its epoch.
    pub epoch: i64,
    /// Its sequence.
    pub sequence: i64,
}

impl fmt::Display for Restored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, partition, offset, epoch, sequence } = self;
        write!(
            f,
            "{topic}[{partition}] holds message {epoch}:{sequence} at offset {offset}, which the database does not"
        )
    }
}

/// How the tables stand to their topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// The first message found that the database does not hold: it was set back. None: it holds all that was published.
    pub restored: Option<Restored>,
    /// How long ago the last epoch began, by the database's clock; none without any after the first.
    pub last_epoch_age: Option<Duration>,
}

impl Outbox {
    /// Compares every lane's end in its topic with the tables; changes nothing, and stops at the first difference. What is
    /// in the tables and not in the topics is no difference: it is published, or published again.
    ///
    /// # Errors
    /// When database or brokers do not answer, or topics are not as they should be.
    pub async fn compare(&self, database: &Database, kafka: &ClientConfig) -> Result<Comparison, RelayError> {
        let schema = &self.config().schema;
        let session = Session::open(database, schema).await?;
        let name = format!("set application_name = 'outbox-relay-operator {schema}'");
        session.run("naming a session", &name).await?;
        let config = RelayConfig::new(database.clone(), kafka.clone());
        let survey = survey(self, &config, &session, Depth::FirstDifference).await?;
        let restored = survey.difference();
        let text = format!(
            "select extract(epoch from clock_timestamp() - max(created))::float8 from {}.outbox_epochs",
            sql::quoted_schema(schema)?
        );
        let rows = session.query("looking for the last epoch", &text, &[]).await?;
        let age_s: Option<f64> = rows.first().ok_or(OutboxError::CorruptRow { what: "no age of an epoch" })?.get(0);
        survey.close().await?;
        Ok(Comparison {
            restored,
            last_epoch_age: age_s.map(|age| Duration::try_from_secs_f64(age).unwrap_or_default()),
        })
    }
}
