//! The metrics that a relay keeps: names, meaning, owner, end, in one table from which descriptions and document come.
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

/// Counter: producers made anew because nothing was acknowledged although messages were in flight.
pub const RENEWED_PRODUCERS: &str = "outbox_renewed_producers_total";

/// Gauge: 1 while the relay of this process publishes nothing because the database was set back, else 0. An alarm.
pub const RESTORED: &str = "outbox_restored";

/// What kind of series a metric has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only rises while the process lives.
    Counter,
    /// The present state.
    Gauge,
    /// Counts of values below bounds, with their sum.
    Histogram,
}

impl Kind {
    /// As Prometheus calls it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// When a metric has series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// In every process that it concerns, from the first minute of work on.
    Always,
    /// Only once, or only while, what it tells of happens.
    WhenItHappens,
}

/// One metric, for the recorder and for the document that people read.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// The unit of its values.
    pub unit: Option<Unit>,
    /// What it means.
    pub meaning: &'static str,
    /// Who sets it, and when its series end or are 0 again.
    pub ends: &'static str,
    /// When somebody should be told; empty: never.
    pub alarm: &'static str,
    /// When it has series.
    pub shown: Shown,
}

/// With the process that counts.
const WITH_THE_PROCESS: &str = "the instance that did it; with the process";

impl Metric {
    /// A counter of one process, without an alarm.
    pub const fn counter(name: &'static str, labels: &'static [&'static str], meaning: &'static str) -> Self {
        Self::new(Kind::Counter, name, labels, meaning, WITH_THE_PROCESS)
    }

    /// A gauge of every instance, without an alarm.
    pub const fn gauge(name: &'static str, labels: &'static [&'static str], meaning: &'static str) -> Self {
        Self::new(Kind::Gauge, name, labels, meaning, "every instance; with the process")
    }

    /// A histogram of one process, without an alarm.
    pub const fn histogram(name: &'static str, labels: &'static [&'static str], meaning: &'static str) -> Self {
        Self::new(Kind::Histogram, name, labels, meaning, WITH_THE_PROCESS)
    }

    const fn new(
        kind: Kind,
        name: &'static str,
        labels: &'static [&'static str],
        meaning: &'static str,
        ends: &'static str,
    ) -> Self {
        Self { name, kind, labels, unit: None, meaning, ends, alarm: "", shown: Shown::Always }
    }
}

/// A count as a gauge's float; counts beyond 2^32 are shown as that, negative ones as 0.
pub fn approximate(count: i64) -> f64 {
    f64::from(u32::try_from(count.max(0)).unwrap_or(u32::MAX))
}

/// Tell the recorder what these metrics mean.
pub fn describe_all(metrics: &[Metric]) {
    for Metric { name, kind, unit, meaning, .. } in metrics.iter().copied() {
        let unit = unit.unwrap_or(Unit::Count);
        match kind {
            Kind::Counter => metrics::describe_counter!(name, unit, meaning),
            Kind::Gauge => metrics::describe_gauge!(name, unit, meaning),
            Kind::Histogram => metrics::describe_histogram!(name, unit, meaning),
        }
    }
}

/// Describes all metrics to the installed recorder; call it once, after installing one.
pub fn describe() {
    describe_all(&ALL);
}

/// A gauge of the process that leads.
const fn of_the_leader(name: &'static str, unit: Option<Unit>, meaning: &'static str, alarm: &'static str) -> Metric {
    const ENDS: &str = "the leading relay; 0 in every other process, and once the lead is lost";
    Metric { name, kind: Kind::Gauge, labels: &["schema"], unit, meaning, ends: ENDS, alarm, shown: Shown::Always }
}

/// A counter of one process.
const fn counted(name: &'static str, meaning: &'static str, ends: &'static str, alarm: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, labels: &["schema"], unit: None, meaning, ends, alarm, shown: Shown::Always }
}

const BY_LEADING: &str = "the relay of this process, while it leads; with the process";

/// Every metric of this crate.
pub const ALL: [Metric; 14] = [
    counted(MESSAGES_PUBLISHED, "Messages acknowledged by the broker", BY_LEADING, ""),
    of_the_leader(BACKLOG_MESSAGES, None, "Messages in the outbox that the broker has not acknowledged", ""),
    of_the_leader(
        OLDEST_PENDING_AGE,
        Some(Unit::Seconds),
        "Age of the oldest message not acknowledged; 0 without one",
        "> 30 s for a minute",
    ),
    Metric {
        name: PUBLISH_DURATION,
        kind: Kind::Histogram,
        labels: &["schema"],
        unit: Some(Unit::Seconds),
        meaning: "From the hand-over to the producer to the broker's acknowledgement, sampled",
        ends: BY_LEADING,
        alarm: "",
        shown: Shown::WhenItHappens,
    },
    counted(EPOCH_CHANGES, "Epochs begun because the database is not the one published from", BY_LEADING, "any rise"),
    Metric {
        name: LEADING,
        kind: Kind::Gauge,
        labels: &["schema"],
        unit: None,
        meaning: "1 while the relay of this process leads, else 0",
        ends: "the relay of this process; 0 once the lead is lost",
        alarm: "sum over a schema's processes is not 1 for 30 s",
        shown: Shown::Always,
    },
    of_the_leader(HELD_LANES, None, "Lanes that the relay holds because something about them is wrong", "> 0"),
    counted(TAKEOVERS, "Take-overs of the lead by this process, and scans after a producer's error", BY_LEADING, ""),
    counted(
        STATEMENTS,
        "Statements of committed transactions, BEGIN and COMMIT included",
        "every process that commits; with the process",
        "",
    ),
    of_the_leader(TABLE_KIBIBYTES, Some(Unit::Kibibytes), "Size of the tables of messages with their indexes", ""),
    counted(TRUNCATIONS, "Tables of published messages truncated", BY_LEADING, ""),
    of_the_leader(
        TRUNCATION_OVERDUE,
        None,
        "1 while something is in the way of truncating a table that is past retention, else 0",
        "1 for an hour",
    ),
    counted(
        RENEWED_PRODUCERS,
        "Producers made anew because nothing was acknowledged although messages were in flight",
        BY_LEADING,
        "any rise",
    ),
    Metric {
        name: RESTORED,
        kind: Kind::Gauge,
        labels: &["schema"],
        unit: None,
        meaning: "1 while the relay publishes nothing because the database was set back, else 0",
        ends: "the relay of this process; 0 once a person has chosen a road",
        alarm: "1",
        shown: Shown::Always,
    },
];

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
    pub(crate) renewed_producers: Counter,
    pub(crate) restored: Gauge,
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
            overdue: metrics::gauge!(TRUNCATION_OVERDUE, "schema" => schema.clone()),
            renewed_producers: metrics::counter!(RENEWED_PRODUCERS, "schema" => schema.clone()),
            restored: metrics::gauge!(RESTORED, "schema" => schema),
        }
    }

    /// What only a leader knows is not told by a process that has lost the lead.
    pub(crate) fn end_lead(&self) {
        for gauge in [&self.backlog, &self.oldest, &self.held, &self.table_kibibytes, &self.overdue] {
            gauge.set(0);
        }
    }
}
