//! The one place where this crate reads the clock. Cores take the time as an input.

use jiff::Timestamp;

/// The present, in whole microseconds.
pub(crate) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}
