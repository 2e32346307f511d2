//! What the door counts, beside what the consumer of the read model does. Labels are bounded: routes, methods, statuses.

use metrics::{Unit, counter, gauge, histogram};
use outbox::metrics::Metric;

const REQUESTS: &str = "api_requests_total";
const DURATION: &str = "api_request_duration_seconds";
const OPEN: &str = "api_requests_open";
const STREAMS: &str = "api_streams";
const LISTS: &str = "api_lists";
const PAGES: &str = "api_list_pages_total";
const ISSUER_ASKED: &str = "api_issuer_looks_total";
const ISSUER_KEYS: &str = "api_issuer_keys";

/// Every metric of this crate.
pub const ALL: [Metric; 8] = [
    Metric::counter(REQUESTS, &["route", "method", "status"], "Requests answered, by route, method and status"),
    Metric {
        unit: Some(Unit::Seconds),
        ..Metric::histogram(DURATION, &["route"], "From a request's headers to its answer's; not of streams")
    },
    Metric {
        ends: "the request",
        ..Metric::gauge(OPEN, &["route"], "Requests that are worked on; not of callers that are gone")
    },
    Metric { ends: "the instance; 0 without one", ..Metric::gauge(STREAMS, &[], "Streams of events that are open") },
    Metric { ends: "the instance; 0 without one", ..Metric::gauge(LISTS, &[], "Lists that are read to their end") },
    Metric::counter(PAGES, &[], "Pages of such lists that were handed on"),
    Metric::counter(
        ISSUER_ASKED,
        &["outcome"],
        "Looks for the keys of the identity provider, by outcome: ok or failed",
    ),
    Metric {
        ends: "the instance; 0 without a provider",
        ..Metric::gauge(ISSUER_KEYS, &[], "Keys of the identity provider that tokens are verified with")
    },
];

/// Tell the recorder what each metric means.
pub(crate) fn describe() {
    outbox::metrics::describe_all(&ALL);
}

pub(crate) fn answered(route: &str, method: &'static str, status: u16, seconds: f64) {
    counter!(REQUESTS, "route" => route.to_owned(), "method" => method, "status" => status.to_string()).increment(1);
    histogram!(DURATION, "route" => route.to_owned()).record(seconds);
}

/// A request that is worked on, until it is answered or its caller is gone.
#[derive(Debug)]
pub(crate) struct Open(String);

impl Open {
    pub(crate) fn begin(route: &str) -> Self {
        gauge!(OPEN, "route" => route.to_owned()).increment(1.0);
        Open(route.to_owned())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        gauge!(OPEN, "route" => self.0.clone()).decrement(1.0);
    }
}

/// A list that is read to its end, until it is.
#[derive(Debug)]
pub(crate) struct Listing(());

impl Listing {
    pub(crate) fn begin() -> Self {
        gauge!(LISTS).increment(1.0);
        Listing(())
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        gauge!(LISTS).decrement(1.0);
    }
}

pub(crate) fn page_handed_on() {
    counter!(PAGES).increment(1);
}

pub(crate) fn streams(open: usize) {
    gauge!(STREAMS).set(f64::from(u32::try_from(open).unwrap_or(u32::MAX)));
}

pub(crate) fn issuer_asked(has_answered: bool) {
    counter!(ISSUER_ASKED, "outcome" => if has_answered { "ok" } else { "failed" }).increment(1);
}

pub(crate) fn issuer_keys(keys: usize) {
    gauge!(ISSUER_KEYS).set(f64::from(u32::try_from(keys).unwrap_or(u32::MAX)));
}
