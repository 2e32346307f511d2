//! Why something could not be carried out. What is found is no error: that is in a report.

mod refusal;
mod unreadable_run;

use std::path::PathBuf;

use outbox::OutboxError;

pub use refusal::Refusal;
pub use unreadable_run::UnreadableRun;

use crate::keeper::Keeper;

/// Why a verb, or a check, could not be carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The brokers refuse, or the configuration is none that the client takes.
    #[error("Kafka: {doing}: {}", client::words(source))]
    Kafka {
        /// What was being done.
        doing: String,
        /// What the client said.
        source: rdkafka::error::KafkaError,
    },
    /// The brokers do not let this user in, or the client does not trust them.
    #[error("Kafka at {brokers}: {refusal}")]
    NotAdmitted {
        /// The bootstrap addresses.
        brokers: String,
        /// What the client says.
        refusal: outbox::kafka::Refusal,
    },
    /// No broker answered a first question.
    #[error("{0}")]
    NoAnswer(outbox::kafka::Silence),
    /// The client does not take its settings.
    #[error("the Kafka client cannot be set up: {}", client::words(.0))]
    Configuration(rdkafka::error::KafkaError),
    /// The brokers say nothing.
    #[error("the brokers have sent nothing of {place} for {wait_s} s{}", after(.last.as_deref()))]
    Silent {
        /// Topics, partitions and the offsets that are due.
        place: String,
        /// For how long, in seconds.
        wait_s: u64,
        /// The client's last complaint.
        last: Option<String>,
    },
    /// It takes longer than whoever asks may wait.
    #[error("reading {what} takes longer than {limit_s} s")]
    TooLong {
        /// What was being read.
        what: String,
        /// How long it may take, in seconds.
        limit_s: u64,
    },
    /// Records on a topic that only a service writes cannot be read: whatever is made of the others lacks them.
    #[error(
        "{0}. Only a service writes this topic, so nothing goes on behind them; the partition's reader holds there too"
    )]
    Unreadable(UnreadableRun),
    /// A topic of the pipeline is not there.
    #[error("there is no topic {topic}; see `order-worker topics check` and the topic prefix")]
    NoTopic {
        /// Its full name.
        topic: String,
    },
    /// The topics have different partition counts.
    #[error("topic {topic} has {found} partitions, not {expected} as the others")]
    Partitions {
        /// Its full name.
        topic: String,
        /// What it has.
        found: usize,
        /// What the first topic has.
        expected: usize,
    },
    /// Retention has deleted records: the topics alone do not hold the whole history.
    #[error(
        "{topic}[{partition}] begins at offset {low}: its beginning was deleted, so state cannot be folded from it"
    )]
    LogTruncated {
        /// Its full name.
        topic: String,
        /// Which partition.
        partition: i32,
        /// The first offset that is left.
        low: i64,
    },
    /// A log ends before what was asked for: it was re-created, or has lost its end.
    #[error(
        "{topic}[{partition}] ends at offset {end}, before {until} where it ended before: re-created, or its end is lost"
    )]
    LogShrunk {
        /// Its full name.
        topic: String,
        /// Which partition.
        partition: i32,
        /// Where it ends now.
        end: i64,
        /// Where it should end at least.
        until: i64,
    },
    /// A service's database cannot be reached or read.
    #[error("the {keeper}'s database: {doing}: {}", outbox::explain(.source))]
    Database {
        /// Whose.
        keeper: Keeper,
        /// What was being done.
        doing: &'static str,
        /// What the driver said.
        source: tokio_postgres::Error,
    },
    /// A service's database URL, schema or tables are not what is expected.
    #[error("the {keeper}'s tables: {reason}")]
    Tables {
        /// Whose.
        keeper: Keeper,
        /// Why.
        reason: String,
    },
    /// An outbox or inbox is not as it should be, or a row of it cannot be understood.
    #[error("the {keeper}'s outbox: {reason}")]
    Outbox {
        /// Whose.
        keeper: Keeper,
        /// Which row, and why.
        reason: String,
    },
    /// A statement of the payment simulator cannot be read.
    #[error("cannot read the provider's statement {path}: {source}", path = .path.display())]
    Statement {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line of a statement of the payment simulator cannot be understood.
    #[error(
        "line {number} of the provider's statement {path} cannot be understood: {cause}",
        number = .source.number, path = .path.display(), cause = .source.source
    )]
    StatementLine {
        /// Which file.
        path: PathBuf,
        /// Which line, and why.
        source: domain::statement::StatementError,
    },
    /// A thread of ours ended before its work was done.
    #[error("reading {what} ended abnormally")]
    Aborted {
        /// What was being read.
        what: String,
    },
    /// The archive's place does not answer as it should.
    #[error("archive: {name}: {source}")]
    Store {
        /// Which object or folder.
        name: String,
        /// What the store said.
        source: object_store::Error,
    },
    /// The bucket that the archive lies in does not answer as it should.
    #[error("archive: {place}: {refusal}")]
    Bucket {
        /// Which object, or the bucket and what stands before its objects' names; and which server.
        place: String,
        /// What is wrong, and what to do.
        refusal: Refusal,
    },
    /// Something in the archive cannot be read.
    #[error("archive: {name}: {reason}")]
    Archive {
        /// Which object.
        name: String,
        /// Why, and where in it.
        reason: String,
    },
    /// Records are neither in the archive nor in the topic.
    #[error("{topic}[{partition}]: offsets {from} to {last} are {place}")]
    Hole {
        /// The topic's full name.
        topic: String,
        /// Which partition.
        partition: i32,
        /// The first offset that is missing.
        from: i64,
        /// The last one.
        last: i64,
        /// Where they should be.
        place: &'static str,
    },
    /// The topic is not the one that was archived.
    #[error(
        "{topic}[{partition}] is not the topic that was archived: {reason}. It was re-created, has lost its end, or these are other brokers"
    )]
    OtherTopic {
        /// The topic's full name.
        topic: String,
        /// Which partition.
        partition: i32,
        /// What shows it.
        reason: String,
    },
    /// The topic is not the one that a run has begun to read.
    #[error(
        "{topic}[{partition}] is not the topic that this rebuild began with: {reason}. It was re-created, or has lost its end; with --restart the rebuild begins anew"
    )]
    Remade {
        /// The topic's full name.
        topic: String,
        /// Which partition.
        partition: i32,
        /// What shows it.
        reason: String,
    },
    /// A file of rebuilt state cannot be written or read.
    #[error("{name}: {source}")]
    StateFile {
        /// Which.
        name: String,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// An argument, or a combination of arguments, that cannot be meant.
    #[error("{reason}")]
    Arguments {
        /// Which, and what to give.
        reason: String,
    },
    /// Somebody asked us to stop.
    #[error("interrupted")]
    Interrupted,
    /// What was found out cannot be written.
    #[error("writing {what}: {source}")]
    Output {
        /// Where to: a file, or the standard output.
        what: String,
        /// Why.
        source: std::io::Error,
    },
}

impl ReplayError {
    pub(crate) fn database<K: Into<Keeper>>(
        keeper: K,
        doing: &'static str,
    ) -> impl Fn(tokio_postgres::Error) -> Self + use<K> {
        let keeper = keeper.into();
        move |source| ReplayError::Database { keeper, doing, source }
    }

    pub(crate) fn outbox<K: Into<Keeper>>(keeper: K) -> impl Fn(OutboxError) -> Self + use<K> {
        let keeper = keeper.into();
        move |error| {
            if let OutboxError::Database { doing, source } = error {
                ReplayError::Database { keeper, doing, source }
            } else {
                ReplayError::Outbox { keeper, reason: error.to_string() }
            }
        }
    }

    pub(crate) fn tables(keeper: impl Into<Keeper>, reason: impl std::fmt::Display) -> Self {
        ReplayError::Tables { keeper: keeper.into(), reason: reason.to_string() }
    }

    pub(crate) fn store(name: impl Into<String>) -> impl FnOnce(object_store::Error) -> Self {
        let name = name.into();
        move |source| ReplayError::Store { name, source }
    }

    pub(crate) fn archive(name: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        ReplayError::Archive { name: name.into(), reason: reason.to_string() }
    }

    pub(crate) fn output(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| ReplayError::Output { what, source }
    }

    pub(crate) fn arguments(reason: impl std::fmt::Display) -> Self {
        ReplayError::Arguments { reason: reason.to_string() }
    }

    pub(crate) fn kafka(doing: impl Into<String>) -> impl FnOnce(rdkafka::error::KafkaError) -> Self {
        let doing = doing.into();
        move |source| ReplayError::Kafka { doing, source }
    }
}

fn after(last: Option<&str>) -> String {
    last.map_or_else(String::new, |last| format!("; the client's last complaint: {last}"))
}
