//! Names of the metrics that a relay keeps, and their descriptions.
//!
//! Recorded through the `metrics` facade, labelled with the schema of the outbox; without an installed recorder they
//! cost nothing. Deliberately absent: labels per topic or key.

use metrics::{Counter, Gauge, Histogram, Unit};

/// Counter: messages that the broker has acknowledged.
pub const MESSAGES_PUBLISHED: &str = "outbox_messages_published_total";

/// Gauge: messages in the table that are not acknowledged yet, as the leader sees it.
pub const BACKLOG_MESSAGES: &str = "outbox_backlog_messages";

/// Gauge: age in seconds of the oldest message that is not acknowledged yet; 0 without one.
pub const OLDEST_PENDING_AGE: &str = "outbox_oldest_pending_age_seconds";

/// Histogram: seconds from handing a message to the producer to its acknowledgement (sampled).
pub const PUBLISH_DURATION: &str = "outbox_publish_duration_seconds";

/// Counter: epochs begun because the table is not the one that was published from. Anything but 0 is an alarm.
pub const EPOCH_CHANGES: &str = "outbox_epoch_changes_total";

/// Gauge: 1 while the relay of this process leads, else 0.
pub const LEADING: &str = "outbox_relay_leading";

/// Gauge: lanes that the leader holds because something about them is wrong. Anything but 0 is an alarm.
pub const HELD_LANES: &str = "outbox_held_lanes";

/// Counter: take-overs of the leadership by this process, and rescans after a producer error.
pub const TAKEOVERS: &str = "outbox_takeovers_total";

/// Counter: statements of transactions that were committed, BEGIN and COMMIT included.
pub const STATEMENTS: &str = "outbox_transaction_statements_total";

/// Gauge: KiB that the tables of messages take, with their indexes, as the leader sees it.
pub const TABLE_KIBIBYTES: &str = "outbox_table_kibibytes";

/// Counter: tables of published messages truncated by this process.
pub const TRUNCATIONS: &str = "outbox_truncations_total";

/// Gauge: 1 while a table is past retention and something is in the way of truncating it, else 0. An alarm if it stays.
pub const TRUNCATION_OVERDUE: &str = "outbox_truncation_overdue";

/// Describes all metrics to the installed recorder; call it once, after installing one.
pub fn describe() {
    metrics::describe_counter!(MESSAGES_PUBLISHED, "Messages acknowledged by the broker");
    metrics::describe_gauge!(BACKLOG_MESSAGES, "Messages in the outbox not acknowledged yet");
    metrics::describe_gauge!(OLDEST_PENDING_AGE, Unit::Seconds, "Age of the oldest message not acknowledged yet");
    metrics::describe_histogram!(PUBLISH_DURATION, Unit::Seconds, "Time from producer to acknowledgement, sampled");
    metrics::describe_counter!(EPOCH_CHANGES, "Epochs begun because the database was restored");
    metrics::describe_gauge!(LEADING, "1 while this relay leads");
    metrics::describe_gauge!(HELD_LANES, "Lanes held because something about them is wrong");
    metrics::describe_counter!(TAKEOVERS, "Take-overs and rescans");
    metrics::describe_gauge!(
        TABLE_KIBIBYTES,
        Unit::Kibibytes,
        "Size of the outbox' tables of messages with their indexes"
    );
    metrics::describe_counter!(TRUNCATIONS, "Tables of published messages truncated");
    metrics::describe_gauge!(TRUNCATION_OVERDUE, "1 while something is in the way of truncating a table");
    metrics::describe_counter!(STATEMENTS, "Statements of committed transactions");
}

/// Counts the statements of a committed transaction.
pub(crate) fn add_statements(schema: &str, statements: u64) {
    metrics::counter!(STATEMENTS, "schema" => schema.to_owned()).increment(statements);
}

/// Handles of one relay's metrics, looked up once.
pub(crate) struct Meters {
    pub(crate) published: Counter,
    pub(crate) backlog: Gauge,
    pub(crate) oldest: Gauge,
    pub(crate) publish_duration: Histogram,
    pub(crate) epoch_changes: Counter,
    pub(crate) leading: Gauge,
    pub(crate) held: Gauge,
    pub(crate) takeovers: Counter,
    pub(crate) table_kibibytes: Gauge,
    pub(crate) truncations: Counter,
    pub(crate) overdue: Gauge,
}

impl Meters {
    pub(crate) fn new(schema: &str) -> Self {
        let schema = schema.to_owned();
        Self {
            published: metrics::counter!(MESSAGES_PUBLISHED, "schema" => schema.clone()),
            backlog: metrics::gauge!(BACKLOG_MESSAGES, "schema" => schema.clone()),
            oldest: metrics::gauge!(OLDEST_PENDING_AGE, "schema" => schema.clone()),
            publish_duration: metrics::histogram!(PUBLISH_DURATION, "schema" => schema.clone()),
            epoch_changes: metrics::counter!(EPOCH_CHANGES, "schema" => schema.clone()),
            leading: metrics::gauge!(LEADING, "schema" => schema.clone()),
            held: metrics::gauge!(HELD_LANES, "schema" => schema.clone()),
            takeovers: metrics::counter!(TAKEOVERS, "schema" => schema.clone()),
            table_kibibytes: metrics::gauge!(TABLE_KIBIBYTES, "schema" => schema.clone()),
            truncations: metrics::counter!(TRUNCATIONS, "schema" => schema.clone()),
            overdue: metrics::gauge!(TRUNCATION_OVERDUE, "schema" => schema),
        }
    }
}
