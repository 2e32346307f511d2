//! Points in time as they travel and are stored: UTC, whole microseconds.
//!
//! There is no clock here: the present is always an input.

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer, ser};

/// Microseconds since 1970-01-01T00:00:00Z; Avro `timestamp-micros`, Postgres `timestamptz`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "i64")]
pub struct Time(i64);

impl Time {
    /// The earliest time that a `jiff::Timestamp` holds; also a lower bound in queries.
    pub const MIN: Time = Time(-377_705_023_201_000_000);
    /// The latest time that a `jiff::Timestamp` holds.
    pub const MAX: Time = Time(253_402_207_200_999_999);

    /// The earliest time that may travel, 0001-01-01T00:00:00Z: earlier ones do not fit into what other languages and
    /// the database read a timestamp into.
    pub const EARLIEST: Time = Time(-62_135_596_800_000_000);

    /// From microseconds since the epoch, clamped into the range of `jiff::Timestamp`.
    pub fn from_micros(micros: i64) -> Self {
        Time(micros.clamp(Self::MIN.0, Self::MAX.0))
    }

    /// Microseconds since the epoch.
    pub fn as_micros(self) -> i64 {
        self.0
    }

    /// This time, `ms` milliseconds later (earlier when negative); stops at the ends of the range.
    pub fn plus_ms(self, ms: i64) -> Self {
        Self::from_micros(self.0.saturating_add(ms.saturating_mul(1000)))
    }

    /// The same instant for a library that speaks jiff.
    pub fn to_timestamp(self) -> Timestamp {
        Timestamp::from_microsecond(self.0.clamp(Self::MIN.0, Self::MAX.0)).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// Why a number of microseconds is no time that may travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} microseconds since 1970 are not between the years 1 and 9999")]
pub struct TimeError(i64);

impl TryFrom<i64> for Time {
    type Error = TimeError;

    /// The time of these microseconds since the epoch, if it may travel: from `Time::EARLIEST` to `Time::MAX`.
    fn try_from(micros: i64) -> Result<Self, TimeError> {
        if (Time::EARLIEST.0..=Time::MAX.0).contains(&micros) { Ok(Time(micros)) } else { Err(TimeError(micros)) }
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Time(micros) = Time::try_from(self.0).map_err(ser::Error::custom)?;
        serializer.serialize_i64(micros)
    }
}

impl From<Timestamp> for Time {
    fn from(timestamp: Timestamp) -> Self {
        Time(timestamp.as_microsecond())
    }
}

impl std::fmt::Display for Time {
    /// RFC 3339 with microseconds, as in the `ce_time` header.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.6}", self.to_timestamp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_are_those_of_the_calendar() {
        assert_eq!(Time::MIN.to_timestamp(), Timestamp::MIN);
        assert_eq!(Time::MAX, Time::from(Timestamp::MAX));
        assert_eq!(Time::EARLIEST.to_string(), "0001-01-01T00:00:00.000000Z");
    }

    #[test]
    fn only_times_between_the_ends_may_travel() {
        for ok in [Time::EARLIEST, Time::MAX, Time::from_micros(0)] {
            assert_eq!(Time::try_from(ok.as_micros()), Ok(ok));
        }
        for micros in [Time::EARLIEST.as_micros() - 1, Time::MAX.as_micros() + 1, i64::MIN, i64::MAX] {
            assert_eq!(Time::try_from(micros), Err(TimeError(micros)));
        }
    }

    #[test]
    fn sums_stop_at_the_ends() {
        assert_eq!(Time::from_micros(5).plus_ms(2), Time::from_micros(2_005));
        assert_eq!(Time::from_micros(5).plus_ms(i64::MAX), Time::MAX);
        assert_eq!(Time::from_micros(5).plus_ms(i64::MIN), Time::MIN);
        assert_eq!(Time::from_micros(i64::MAX), Time::MAX);
    }

    #[test]
    fn it_is_shown_with_microseconds() {
        assert_eq!(Time::from_micros(1_790_000_000_000_100).to_string(), "2026-09-21T14:13:20.000100Z");
    }
}
