//! Why a check could not be carried out. What it finds is no error: that is in the report.

use schemas::ServiceName;

/// Why a check could not be carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The brokers refuse, or the configuration is none that the client takes.
    #[error("Kafka: {doing}: {source}")]
    Kafka {
        /// What was being done.
        doing: String,
        /// What the client said.
        source: rdkafka::error::KafkaError,
    },
    /// The brokers say nothing.
    #[error("the brokers have sent nothing of {topic} for {wait_s} s{}", after(.last.as_deref()))]
    Silent {
        /// The topic's full name.
        topic: String,
        /// For how long, in seconds.
        wait_s: u64,
        /// The client's last complaint.
        last: Option<String>,
    },
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
    /// A service's database cannot be reached or read.
    #[error("the {service} service's database: {doing}: {}", describe(.source))]
    Database {
        /// Whose.
        service: ServiceName,
        /// What was being done.
        doing: &'static str,
        /// What the driver said.
        source: tokio_postgres::Error,
    },
    /// A service's database URL, schema or tables are not what is expected.
    #[error("the {service} service's tables: {reason}")]
    Tables {
        /// Whose.
        service: ServiceName,
        /// Why.
        reason: String,
    },
    /// A row of an outbox cannot be understood.
    #[error("the {service} service's outbox: {reason}")]
    Outbox {
        /// Whose.
        service: ServiceName,
        /// Which row, and why.
        reason: String,
    },
    /// A statement of the payment simulator cannot be read.
    #[error("{source}: {}", cause(source))]
    Statement {
        /// Which, and why.
        #[from]
        source: workers::payment::simulator::StatementError,
    },
    /// A thread of ours ended before its work was done.
    #[error("reading {what} ended abnormally")]
    Aborted {
        /// What was being read.
        what: String,
    },
}

impl CheckError {
    pub(crate) fn database(service: ServiceName, doing: &'static str) -> impl Fn(tokio_postgres::Error) -> Self {
        move |source| CheckError::Database { service, doing, source }
    }

    pub(crate) fn kafka(doing: impl Into<String>) -> impl FnOnce(rdkafka::error::KafkaError) -> Self {
        let doing = doing.into();
        move |source| CheckError::Kafka { doing, source }
    }
}

fn after(last: Option<&str>) -> String {
    last.map_or_else(String::new, |last| format!("; the client's last complaint: {last}"))
}

fn cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(String::new, ToString::to_string)
}

/// The server's own words, or the driver's with their cause.
fn describe(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(server) => format!("{} (SQLSTATE {})", server.message(), server.code().code()),
        None => match std::error::Error::source(error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        },
    }
}
