//! The metrics of the accounts: names, labels, meaning, in one table of the same kind as the workers' (`docs/metrics.md` shows all).
//!
//! The label `account` is a name of the configuration, so there are as many as accounts.

use metrics::{counter, gauge};
use outbox::metrics::{Metric, Shown};

const REQUESTS: &str = "payment_stripe_requests_total";
const OPEN: &str = "payment_stripe_requests_open";
const HELD: &str = "payment_stripe_held_back_total";
const BREAKER: &str = "payment_stripe_breaker_open";
const OPENED: &str = "payment_stripe_breaker_opened_total";

const WITH_THE_ACCOUNT: &str = "the payment instance that has the account; with the process";

/// Every metric of this crate.
pub const ALL: [Metric; 5] = [
    Metric {
        shown: Shown::WhenItHappens,
        ..Metric::counter(
            REQUESTS,
            &["account", "verdict"],
            "Requests to the provider, by what their answers say of the effect (`docs/payments.md`)",
        )
    },
    Metric {
        ends: WITH_THE_ACCOUNT,
        shown: Shown::WhenItHappens,
        ..Metric::gauge(OPEN, &["account"], "Requests to the provider that are under way")
    },
    Metric {
        alarm: "`reason=\"full\"` rises for 5 min",
        shown: Shown::WhenItHappens,
        ..Metric::counter(
            HELD,
            &["account", "reason"],
            "Calls that were not sent: breaker, retry_after (the provider asked to wait), full (no place within 5 s)",
        )
    },
    Metric {
        ends: WITH_THE_ACCOUNT,
        alarm: "1 for a minute",
        shown: Shown::WhenItHappens,
        ..Metric::gauge(
            BREAKER,
            &["account"],
            "1 while nothing is sent because answers were uncertain in a row, else 0",
        )
    },
    Metric {
        shown: Shown::WhenItHappens,
        ..Metric::counter(OPENED, &["account"], "How often the breaker opened, or stayed open after a probe")
    },
];

/// Tell the recorder what each metric means.
pub fn describe() {
    outbox::metrics::describe_all(&ALL);
}

/// Why a call was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeldBack {
    Breaker,
    RetryAfter,
    Full,
}

impl HeldBack {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            HeldBack::Breaker => "breaker",
            HeldBack::RetryAfter => "retry_after",
            HeldBack::Full => "full",
        }
    }
}

pub(crate) fn request(account: &str, verdict: &'static str) {
    counter!(REQUESTS, "account" => account.to_owned(), "verdict" => verdict).increment(1);
}

pub(crate) fn requests_open(account: &str, change: i32) {
    gauge!(OPEN, "account" => account.to_owned()).increment(f64::from(change));
}

pub(crate) fn held_back(account: &str, why: HeldBack) {
    counter!(HELD, "account" => account.to_owned(), "reason" => why.as_str()).increment(1);
}

pub(crate) fn breaker_open(account: &str, is_open: bool) {
    gauge!(BREAKER, "account" => account.to_owned()).set(f64::from(u8::from(is_open)));
}

pub(crate) fn breaker_opened(account: &str) {
    counter!(OPENED, "account" => account.to_owned()).increment(1);
}
