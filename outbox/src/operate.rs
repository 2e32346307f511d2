//! The operator's verbs, as functions: what `outbox-relay status`, `audit`, `rebase` and `doctor` do.
//!
//! They look from outside: at the tables, at the database's own views of its sessions, at the topics. None needs the
//! running relay, and none but [`repair`] and [`rebase`] changes anything. Every finding says what to do about it.
//! Reports serialise, so that a program can act on them. Deliberately absent: printing (the daemon's part).
//!
//! What each of them does and does not do, for people: `docs/operating.md` of this crate.

pub mod adopt;
pub mod archiving;
mod audit;
mod doctor;
mod durability;
mod lead;
mod rebase;
mod repair;
mod sessions;
mod status;

pub use crate::relay::cursor::plan as cursor_plan;
pub use audit::{AuditConfig, AuditReport, Finding, FindingKind, LaneAudit, Progress, Run, audit};
pub use doctor::{Check, Diagnosis, DoctorConfig, Level, doctor};
pub use durability::{Copies, Weakness};
pub use lead::Lead;
pub use rebase::{RebaseConfig, RebaseReport, RebasedLane, rebase};
pub use repair::{RepairConfig, RepairReport, RepairedLane, repair};
pub use sessions::DatabaseSession;
pub use status::{LaneStatus, OutboxStatus, TableSize, status};

use deadpool_postgres::ClientWrapper;
use rdkafka::error::KafkaError;

use crate::database::Database;
use crate::error::OutboxError;
use crate::kafka::Unanswered;
use crate::relay::RelayError;
use crate::relay::session::PINNED_PLANS;
use crate::sql;

/// Why a verb could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum OperateError {
    /// The database.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// What the relay's own code says: topics, the Kafka client.
    #[error(transparent)]
    Relay(#[from] RelayError),
    /// The brokers do not answer, or do not let this program in.
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
    /// Another relay leads, and it was not asked to give way.
    #[error("a relay leads: {0}; stop it, or let this program end its session (--take-lead)")]
    Led(Box<DatabaseSession>),
    /// The leadership could not be had.
    #[error("the leadership could not be taken: {0}")]
    NotLeading(String),
    /// An audit of a part cannot tell where the unbroken chain ends.
    #[error("a repair needs an audit of all that the table holds, not of what is younger than some time")]
    PartOnly,
    /// A sequence means something on one lane only.
    #[error("a sequence to begin after belongs to one lane; {lanes} were chosen: name topic and partition")]
    NotOneLane {
        /// How many.
        lanes: usize,
    },
    /// What should be published again is not in the table any more.
    #[error("rows up to sequence {pruned} were truncated; the new epoch can begin after that one at the earliest")]
    RowsGone {
        /// Rows up to here may be gone.
        pruned: i64,
    },
    /// Nothing that was named exists.
    #[error("the outbox has no lane of {0}")]
    NoSuchLane(String),
    /// Too many gaps to keep in mind.
    #[error("`{topic}` partition {partition} has more than {limit} gaps; look at a smaller range (--since)")]
    TooBroken {
        /// The topic's name.
        topic: String,
        /// The partition.
        partition: i32,
        /// Most gaps that are kept.
        limit: usize,
    },
    /// The relay did not get on with what was to be published again.
    #[error("nothing was published for {seconds} s, and {lanes} lanes are not where they should be: {reason}")]
    NoProgress {
        /// For how long.
        seconds: u64,
        /// Lanes that are not done.
        lanes: usize,
        /// What the relay says.
        reason: String,
    },
}

/// Which lanes a verb is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only this topic; none: all.
    pub topic: Option<String>,
    /// Only this partition; none: all.
    pub partition: Option<i32>,
}

impl Selection {
    pub(crate) fn holds(&self, topic: &str, partition: i32) -> bool {
        self.topic.as_deref().is_none_or(|wanted| wanted == topic)
            && self.partition.is_none_or(|wanted| wanted == partition)
    }
}

impl std::fmt::Display for Selection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.topic.as_deref().unwrap_or("any topic"))?;
        self.partition.map_or(Ok(()), |partition| write!(f, " partition {partition}"))
    }
}

/// A connection for looking: named, with plans by primary key whatever the statistics say, and with an end to every
/// statement.
async fn connect(database: &Database, schema: &str) -> Result<ClientWrapper, OutboxError> {
    sql::quoted_schema(schema)?;
    let client = database.open(None).await?;
    let settings = format!(
        "set application_name = 'outbox-relay-operator {schema}'; set statement_timeout = '10min'; {PINNED_PLANS}; \
         set enable_hashjoin = off; set enable_mergejoin = off; set lock_timeout = '10s'; set idle_in_transaction_session_timeout = '1min'; set client_min_messages = warning"
    );
    client.batch_execute(&settings).await.map_err(OutboxError::database("setting up a connection"))?;
    Ok(client)
}
