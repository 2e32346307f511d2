//! Every metric of a consumer in one table: name, labels, meaning, who sets it and when it ends, when to alarm. The outbox
//! has its own table of the same kind.
//!
//! Labels are bounded: services, message types, outcomes, topics, partitions, states. Never an order id.

use std::time::Duration;

use metrics::{Unit, counter, gauge, histogram};
use outbox::metrics::{Metric, Shown, approximate};

const MESSAGES: &str = "worker_messages_total";
const BATCH_ITEMS: &str = "worker_batch_items";
const PROCESS_SECONDS: &str = "worker_process_duration_seconds";
const COMMIT_SECONDS: &str = "worker_commit_duration_seconds";
const LAG: &str = "worker_consumer_lag_messages";
const DEAD_LETTERS: &str = "worker_dead_letters_total";
const HELD: &str = "worker_held_partitions";
const LANES: &str = "worker_lanes";
const RETRIES: &str = "worker_batch_retries_total";
const RECALLED: &str = "worker_recalled_batches_total";
const RESTORED: &str = "worker_restored";
const STANDING: &str = "worker_feed_standing_seconds";
const UNOWNED: &str = "worker_unowned_lanes";
const CHANGED_TOPICS: &str = "worker_changed_topics";
const RENEWED: &str = "worker_client_renewals_total";
const PARKED_MESSAGES: &str = "worker_parked_messages";
const PARKED_KEYS: &str = "worker_parked_keys";
const PARKED_OLDEST: &str = "worker_parked_oldest_age_seconds";
const PARKED_RETRIES: &str = "worker_parked_retries_total";

/// Histogram buckets by metric; without them the exporter would render summaries.
pub const BUCKETS: [(&str, &[f64]); 3] = [
    (BATCH_ITEMS, &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0]),
    (PROCESS_SECONDS, SECONDS),
    (COMMIT_SECONDS, SECONDS),
];

/// Buckets of durations, in seconds.
pub const SECONDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Every metric of this crate.
pub const ALL: [Metric; 19] = [
    Metric::counter(MESSAGES, &["service", "type", "outcome"], "Messages taken, by type and outcome"),
    Metric::histogram(BATCH_ITEMS, &["service"], "Items of a lane transaction"),
    Metric {
        unit: Some(Unit::Seconds),
        ..Metric::histogram(
            PROCESS_SECONDS,
            &["service"],
            "From the first statement of a lane transaction to its commit's answer",
        )
    },
    Metric {
        unit: Some(Unit::Seconds),
        ..Metric::histogram(COMMIT_SECONDS, &["service"], "Writes, append and commit of a lane transaction")
    },
    Metric {
        ends: "the instance that owns the partition",
        alarm: "> 0 and not falling for 5 min",
        ..Metric::gauge(LAG, &["topic", "partition"], "Messages in a partition that are not processed yet")
    },
    Metric {
        alarm: "any rise",
        shown: Shown::WhenItHappens,
        ..Metric::counter(DEAD_LETTERS, &["service", "topic", "cause"], "Records sent to a dead-letter topic, by cause")
    },
    Metric { alarm: "> 0", ..Metric::gauge(HELD, &["service"], "Partitions that wait for a person") },
    Metric {
        alarm: "sum over a service's instances is not the number of partitions for a minute",
        ..Metric::gauge(LANES, &["service"], "Partition numbers that this instance owns")
    },
    Metric {
        alarm: "rises for 5 min",
        shown: Shown::WhenItHappens,
        ..Metric::counter(RETRIES, &["service", "kind"], "Lane transactions that were rolled back, by kind of failure")
    },
    Metric {
        shown: Shown::WhenItHappens,
        ..Metric::counter(
            RECALLED,
            &["service", "memory"],
            "Batches decided by what the instance remembers, by whether the commit found it right; wrong ones are read again",
        )
    },
    Metric {
        ends: "every instance; 0 once a road was taken",
        alarm: "1",
        ..Metric::gauge(RESTORED, &["service"], "1 while this instance holds because its database was set back, else 0")
    },
    Metric {
        unit: Some(Unit::Seconds),
        ends: "the instance that owns the partition; 0 once it moves or is another's",
        alarm: "> 30",
        shown: Shown::WhenItHappens,
        ..Metric::gauge(
            STANDING,
            &["topic", "partition", "cause"],
            "How long a partition has not moved although its log has more, by cause; 0: it moves",
        )
    },
    Metric {
        alarm: "> 0 for a minute",
        ..Metric::gauge(
            UNOWNED,
            &["service"],
            "Lanes of the service that no instance has, as the group's coordinator tells",
        )
    },
    Metric {
        alarm: "> 0",
        ..Metric::gauge(
            CHANGED_TOPICS,
            &["service"],
            "Topics with another partition count than when this instance started",
        )
    },
    Metric {
        alarm: "any rise",
        shown: Shown::WhenItHappens,
        ..Metric::counter(RENEWED, &["service"], "Kafka clients that were of no more use and were replaced")
    },
    Metric {
        ends: "the instance that owns the lanes; 0 once nothing is parked",
        ..Metric::gauge(PARKED_MESSAGES, &["service"], "Messages that wait because one of their key cannot be taken")
    },
    Metric {
        ends: "the instance that owns the lanes; 0 once nothing is parked",
        alarm: "> 0",
        ..Metric::gauge(PARKED_KEYS, &["service"], "Keys whose messages wait because one of them cannot be taken")
    },
    Metric {
        unit: Some(Unit::Seconds),
        ends: "the instance that owns the lanes; 0 once nothing is parked",
        alarm: "> 900",
        ..Metric::gauge(PARKED_OLDEST, &["service"], "How long the oldest parked key has waited; 0 without one")
    },
    Metric {
        shown: Shown::WhenItHappens,
        ..Metric::counter(
            PARKED_RETRIES,
            &["service", "outcome"],
            "Attempts at parked messages, by whether they were taken or in vain",
        )
    },
];

/// Tell the recorder what each metric means.
pub fn describe() {
    outbox::metrics::describe_all(&ALL);
}

pub(crate) fn messages(service: &'static str, kind: &'static str, outcome: &'static str, count: u64) {
    counter!(MESSAGES, "service" => service, "type" => kind, "outcome" => outcome).increment(count);
}

pub(crate) fn batch(service: &'static str, items: u32, process: Duration, commit: Duration) {
    histogram!(BATCH_ITEMS, "service" => service).record(f64::from(items));
    histogram!(PROCESS_SECONDS, "service" => service).record(process.as_secs_f64());
    histogram!(COMMIT_SECONDS, "service" => service).record(commit.as_secs_f64());
}

pub(crate) fn retry(service: &'static str, kind: &'static str) {
    counter!(RETRIES, "service" => service, "kind" => kind).increment(1);
}

pub(crate) fn recalled(service: &'static str, memory: &'static str) {
    counter!(RECALLED, "service" => service, "memory" => memory).increment(1);
}

pub(crate) fn consumer_lag(topic: &str, partition: i32, lag: i64) {
    gauge!(LAG, "topic" => topic.to_owned(), "partition" => partition.to_string()).set(approximate(lag));
}

pub(crate) fn dead_letter(service: &'static str, topic: &'static str, cause: &'static str) {
    counter!(DEAD_LETTERS, "service" => service, "topic" => topic, "cause" => cause).increment(1);
}

pub(crate) fn held(service: &'static str, count: usize) {
    gauge!(HELD, "service" => service).set(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
}

pub(crate) fn lanes(service: &'static str, count: usize) {
    gauge!(LANES, "service" => service).set(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
}

pub(crate) fn restored(service: &'static str, is_restored: bool) {
    gauge!(RESTORED, "service" => service).set(f64::from(u8::from(is_restored)));
}

pub(crate) fn standing(topic: &'static str, partition: i32, cause: &'static str, seconds: i64) {
    let partition = partition.to_string();
    gauge!(STANDING, "topic" => topic, "partition" => partition, "cause" => cause).set(approximate(seconds));
}

pub(crate) fn unowned_lanes(service: &'static str, count: usize) {
    gauge!(UNOWNED, "service" => service).set(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
}

pub(crate) fn changed_topics(service: &'static str, count: usize) {
    gauge!(CHANGED_TOPICS, "service" => service).set(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
}

pub(crate) fn parked(service: &'static str, messages: u64, keys: u64, oldest_s: i64) {
    let small = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    gauge!(PARKED_MESSAGES, "service" => service).set(small(messages));
    gauge!(PARKED_KEYS, "service" => service).set(small(keys));
    gauge!(PARKED_OLDEST, "service" => service).set(approximate(oldest_s));
}

pub(crate) fn parked_retry(service: &'static str, outcome: &'static str) {
    counter!(PARKED_RETRIES, "service" => service, "outcome" => outcome).increment(1);
}

pub(crate) fn client_renewed(service: &'static str) {
    counter!(RENEWED, "service" => service).increment(1);
}
