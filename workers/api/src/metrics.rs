//! What the door counts, beside what the consumer of the read model does. Labels are bounded: routes, methods, statuses.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use metrics::{Counter, Gauge, Histogram, Unit, counter, gauge, histogram};
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

/// What is counted of one route: found by the route alone, since a look for each of its metrics would cost more than all else here.
pub(crate) struct Route {
    name: String,
    open: Gauge,
    duration: Histogram,
    /// By method and status; there are few.
    answered: RwLock<Vec<(&'static str, u16, Counter)>>,
}

static ROUTES: LazyLock<RwLock<HashMap<String, Arc<Route>>>> = LazyLock::new(RwLock::default);

impl Route {
    /// The one of this name.
    pub(crate) fn of(name: &str) -> Arc<Route> {
        if let Some(route) = ROUTES.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Arc::clone(route);
        }
        let label = || name.to_owned();
        let (open, duration) = (gauge!(OPEN, "route" => label()), histogram!(DURATION, "route" => label()));
        let route = Arc::new(Route { name: label(), open, duration, answered: RwLock::default() });
        let mut routes = ROUTES.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(routes.entry(label()).or_insert(route))
    }

    pub(crate) fn answered(&self, method: &'static str, status: u16, seconds: f64) {
        self.duration.record(seconds);
        let is_it = |known: &&(&'static str, u16, Counter)| known.0 == method && known.1 == status;
        if let Some((_, _, counter)) = self.answered.read().unwrap_or_else(PoisonError::into_inner).iter().find(is_it) {
            return counter.increment(1);
        }
        let labels = [("route", self.name.clone()), ("method", method.to_owned()), ("status", status.to_string())];
        let counter = counter!(REQUESTS, &labels);
        counter.increment(1);
        // Two who come first keep it twice, which is one counter all the same.
        self.answered.write().unwrap_or_else(PoisonError::into_inner).push((method, status, counter));
    }
}

/// A request that is worked on, until it is answered or its caller is gone.
pub(crate) struct Open(Arc<Route>);

impl Open {
    pub(crate) fn begin(route: Arc<Route>) -> Self {
        route.open.increment(1.0);
        Open(route)
    }

    pub(crate) fn route(&self) -> &Route {
        &self.0
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.decrement(1.0);
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
