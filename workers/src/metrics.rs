//! Every metric of the shop's services in one table: name, labels, meaning, who sets it and when it ends, when to alarm. The
//! consumer and the outbox have tables of the same kind; `docs/metrics.md` shows all, and a test compares it with a real
//! scrape.
//!
//! Labels are bounded: services, message types, outcomes, topics, partitions, states. Never an order id.

use metrics::{Unit, counter, gauge};
use outbox::metrics::{Metric, Shown, approximate};

const TRANSITIONS: &str = "saga_transitions_total";
const SAGAS: &str = "saga_orders";
const SAGA_AGE: &str = "saga_oldest_age_seconds";
const OVERDUE: &str = "saga_overdue_shipments";
const OVERDUE_AGE: &str = "saga_overdue_shipment_seconds";
const HELD: &str = "saga_held_orders";
const PROVIDER_CALLS: &str = "payment_provider_calls_total";
const PROVIDER_OPEN: &str = "payment_provider_calls_open";
const WEBHOOKS: &str = "payment_webhooks_total";
const LOOKS: &str = "payment_looks_total";
const CLOCK_SKEW: &str = "worker_clock_skew_seconds";

/// Every metric of this crate.
pub const ALL: [Metric; 11] = [
    Metric::counter(TRANSITIONS, &["event"], "Saga transitions, by the event that records them"),
    Metric {
        ends: OF_OWNED_LANES,
        alarm: "stuck > 0",
        ..Metric::gauge(
            SAGAS,
            &["status"],
            "All unfinished orders of this instance's lanes, however old, stuck ones included",
        )
    },
    Metric {
        unit: Some(Unit::Seconds),
        ends: OF_OWNED_LANES,
        alarm: "> twice the time to confirm for a minute, but for authorized and ready_to_ship, which wait for people",
        ..Metric::gauge(
            SAGA_AGE,
            &["status"],
            "Age of the oldest unfinished order of this instance's lanes; 0 without one",
        )
    },
    Metric {
        ends: OF_OWNED_LANES,
        alarm: "> 0",
        ..Metric::gauge(OVERDUE, &[], "Orders of this instance's lanes that should have been shipped by now")
    },
    Metric {
        unit: Some(Unit::Seconds),
        ends: OF_OWNED_LANES,
        ..Metric::gauge(OVERDUE_AGE, &[], "For how long the oldest of them waits beyond that; 0 without one")
    },
    Metric { ends: OF_OWNED_LANES, ..Metric::gauge(HELD, &[], "Orders of this instance's lanes that somebody holds") },
    Metric::counter(PROVIDER_CALLS, &["operation", "answer"], "Answers of the payment provider, by operation and kind"),
    Metric {
        ends: "the payment instance that makes the calls, every 10 s; 0 without one",
        ..Metric::gauge(PROVIDER_OPEN, &[], "Calls to the payment provider that this process has under way")
    },
    Metric {
        shown: Shown::WhenItHappens,
        alarm: "refused or failed grow",
        ..Metric::counter(WEBHOOKS, &["outcome"], "Webhooks of the payment provider: taken, unknown, refused, failed")
    },
    Metric {
        shown: Shown::WhenItHappens,
        alarm: "failed grows",
        ..Metric::counter(LOOKS, &["outcome"], "Looks at what the provider says of a payment: news, nothing, failed")
    },
    Metric {
        unit: Some(Unit::Seconds),
        ends: "every instance, every 5 s while its database answers; with the process",
        alarm: "above 1 or below -1",
        ..Metric::gauge(
            CLOCK_SKEW,
            &["service"],
            "How far the clock of this host is ahead of the database's (below 0: behind)",
        )
    },
];

const OF_OWNED_LANES: &str =
    "the order instance that owns the lanes, every 10 s and on every assignment; 0 without one";

/// Tell the recorder what each metric means.
pub(crate) fn describe() {
    outbox::metrics::describe_all(&ALL);
}

pub(crate) fn transition(event: &'static str, count: u64) {
    counter!(TRANSITIONS, "event" => event).increment(count);
}

pub(crate) fn sagas(status: &'static str, count: i64, oldest_age_s: i64) {
    gauge!(SAGAS, "status" => status).set(approximate(count));
    gauge!(SAGA_AGE, "status" => status).set(approximate(oldest_age_s));
}

pub(crate) fn overdue(count: i64, oldest_s: i64) {
    gauge!(OVERDUE).set(approximate(count));
    gauge!(OVERDUE_AGE).set(approximate(oldest_s));
}

pub(crate) fn held(count: i64) {
    gauge!(HELD).set(approximate(count));
}

pub(crate) fn provider_call(operation: &'static str, answer: &'static str) {
    counter!(PROVIDER_CALLS, "operation" => operation, "answer" => answer).increment(1);
}

pub(crate) fn provider_open(count: usize) {
    gauge!(PROVIDER_OPEN).set(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
}

pub(crate) fn webhook(outcome: &'static str) {
    counter!(WEBHOOKS, "outcome" => outcome).increment(1);
}

pub(crate) fn look(outcome: &'static str) {
    counter!(LOOKS, "outcome" => outcome).increment(1);
}

pub(crate) fn clock_skew(service: &'static str, skew_s: f64) {
    gauge!(CLOCK_SKEW, "service" => service).set(skew_s);
}
