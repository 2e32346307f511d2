//! Every metric of the workers: name, labels, meaning, in one place. The outbox describes its own.
//!
//! Labels are bounded: services, message types, outcomes, topics, partitions, states. Never an order id.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

const MESSAGES: &str = "worker_messages_total";
const BATCH_ITEMS: &str = "worker_batch_items";
const PROCESS_SECONDS: &str = "worker_process_duration_seconds";
const COMMIT_SECONDS: &str = "worker_commit_duration_seconds";
const LAG: &str = "worker_consumer_lag_messages";
const DEAD_LETTERS: &str = "worker_dead_letters_total";
const HELD: &str = "worker_held_partitions";
const LANES: &str = "worker_lanes";
const RETRIES: &str = "worker_batch_retries_total";
const TRANSITIONS: &str = "saga_transitions_total";
const SAGAS: &str = "saga_orders";
const SAGA_AGE: &str = "saga_oldest_age_seconds";
const PROVIDER_CALLS: &str = "payment_provider_calls_total";
const PROVIDER_OPEN: &str = "payment_provider_calls_open";

/// Histogram buckets by metric; without them the exporter would render summaries.
pub(crate) const BUCKETS: [(&str, &[f64]); 4] = [
    (BATCH_ITEMS, &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0]),
    (PROCESS_SECONDS, SECONDS),
    (COMMIT_SECONDS, SECONDS),
    ("outbox_publish_duration_seconds", SECONDS),
];

const SECONDS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Tell the recorder what each metric means.
pub(crate) fn describe() {
    describe_counter!(MESSAGES, "Messages taken, by type and outcome");
    describe_histogram!(BATCH_ITEMS, Unit::Count, "Items in a lane transaction");
    describe_histogram!(
        PROCESS_SECONDS,
        Unit::Seconds,
        "From the first statement of a lane transaction to its commit's answer"
    );
    describe_histogram!(COMMIT_SECONDS, Unit::Seconds, "Writes, append and commit of a lane transaction");
    describe_gauge!(LAG, Unit::Count, "Messages in a partition that are not processed yet");
    describe_counter!(DEAD_LETTERS, "Records sent to a dead-letter topic, by cause");
    describe_gauge!(HELD, Unit::Count, "Partitions that wait for a person");
    describe_gauge!(LANES, Unit::Count, "Partition numbers that this instance owns");
    describe_counter!(RETRIES, "Lane transactions that were rolled back, by kind of failure");
    describe_counter!(TRANSITIONS, "Saga transitions, by the event that records them");
    describe_gauge!(SAGAS, Unit::Count, "Unfinished orders of this instance's lanes, by status");
    describe_gauge!(SAGA_AGE, Unit::Seconds, "Age of the oldest unfinished order of this instance's lanes, by status");
    describe_counter!(PROVIDER_CALLS, "Answers of the payment provider, by operation and kind");
    describe_gauge!(PROVIDER_OPEN, Unit::Count, "Calls to the payment provider without an answer yet");
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

pub(crate) fn transition(event: &'static str, count: u64) {
    counter!(TRANSITIONS, "event" => event).increment(count);
}

pub(crate) fn sagas(status: &'static str, count: i64, oldest_age_s: i64) {
    gauge!(SAGAS, "status" => status).set(approximate(count));
    gauge!(SAGA_AGE, "status" => status).set(approximate(oldest_age_s));
}

pub(crate) fn provider_call(operation: &'static str, answer: &'static str) {
    counter!(PROVIDER_CALLS, "operation" => operation, "answer" => answer).increment(1);
}

pub(crate) fn provider_open(count: usize) {
    gauge!(PROVIDER_OPEN).set(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
}

/// A gauge is a float; counts beyond 2^32 are shown as that.
fn approximate(count: i64) -> f64 {
    f64::from(u32::try_from(count.max(0)).unwrap_or(u32::MAX))
}
