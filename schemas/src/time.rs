//! Points in time as they travel and are stored: UTC, whole microseconds, from the first to the last of the years 1 to 9999.
//!
//! The bounds are the calendar's, as other languages and the database have them, and not those of the library that does
//! the reckoning: `jiff::Timestamp` ends 26 hours before the last year does.
//! There is no clock here: the present is always an input.

use std::fmt;
use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::fmt::temporal::Pieces;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize, Serializer};

const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// Microseconds since 1970-01-01T00:00:00Z; Avro `timestamp-micros`, Postgres `timestamptz`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "i64")]
pub struct Time(i64);

impl Time {
    /// The earliest time, 0001-01-01T00:00:00Z: earlier ones do not fit into what other languages and the database read
    /// a timestamp into. Also a lower bound in queries.
    pub const EARLIEST: Time = Time(-62_135_596_800_000_000);
    /// The latest time, 9999-12-31T23:59:59.999999Z.
    pub const MAX: Time = Time(253_402_300_799_999_999);

    /// From microseconds since the epoch, clamped to `EARLIEST` and `MAX`; `try_from` refuses instead.
    pub fn from_micros(micros: i64) -> Self {
        Time(micros.clamp(Self::EARLIEST.0, Self::MAX.0))
    }

    /// Microseconds since the epoch.
    pub fn as_micros(self) -> i64 {
        self.0
    }

    /// This time, `ms` milliseconds later (earlier when negative); stops at the ends of the range.
    pub fn plus_ms(self, ms: i64) -> Self {
        Self::from_micros(self.0.saturating_add(ms.saturating_mul(1000)))
    }

    /// The instant of a clock for a library that speaks jiff; clamped to its last one, 26 hours before `MAX`. What is
    /// stored or shown does not go this way.
    pub fn to_timestamp(self) -> Timestamp {
        Timestamp::from_microsecond(self.0).unwrap_or(Timestamp::MAX)
    }
}

/// Why something is no time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Microseconds before the year 1 or after the year 9999.
    #[error("{0} microseconds since 1970 are not between the years 1 and 9999")]
    Micros(i128),
    /// A text that is no RFC 3339 time, and why.
    #[error("{0}")]
    Text(String),
    /// Without an offset from UTC a text names no instant.
    #[error("it has no offset from UTC, such as Z or +01:00")]
    Offset,
}

impl TryFrom<i64> for Time {
    type Error = TimeError;

    /// The time of these microseconds since the epoch, from `Time::EARLIEST` to `Time::MAX`.
    fn try_from(micros: i64) -> Result<Self, TimeError> {
        let allowed = Time::EARLIEST.0..=Time::MAX.0;
        if allowed.contains(&micros) { Ok(Time(micros)) } else { Err(TimeError::Micros(micros.into())) }
    }
}

impl FromStr for Time {
    type Err = TimeError;

    /// From RFC 3339 with any offset; what is finer than a microsecond is cut off.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let pieces = Pieces::parse(text).map_err(|error| TimeError::Text(error.to_string()))?;
        let (Some(time), Some(offset)) = (pieces.time(), pieces.to_numeric_offset()) else {
            return Err(TimeError::Offset);
        };
        let since = DateTime::from_parts(pieces.date(), time).duration_since(EPOCH);
        let micros = since.as_micros() - i128::from(offset.seconds()) * 1_000_000;
        i64::try_from(micros).map_err(|_| TimeError::Micros(micros)).and_then(Time::try_from)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0)
    }
}

impl From<Timestamp> for Time {
    /// The instant of a clock, in whole microseconds.
    fn from(timestamp: Timestamp) -> Self {
        Time::from_micros(timestamp.as_microsecond())
    }
}

impl fmt::Display for Time {
    /// RFC 3339 with microseconds, as in the `ce_time` header; always 27 bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every value is within the years 1 to 9999, where the sum is defined.
        let civil = EPOCH.saturating_add(SignedDuration::from_micros(self.0));
        write!(f, "{civil:.6}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAST: &str = "9999-12-31T23:59:59.999999Z";

    #[test]
    fn the_ends_are_those_of_the_calendar() {
        for (end, text) in [(Time::EARLIEST, "0001-01-01T00:00:00.000000Z"), (Time::MAX, LAST)] {
            assert_eq!((end.to_string().as_str(), text.parse()), (text, Ok(end)));
        }
        assert_eq!("9999-12-31T23:59:59Z".parse(), Time::try_from(253_402_300_799_000_000));
        assert_eq!("9999-12-31T22:59:59.999999999-01:00".parse(), Ok(Time::MAX));
    }

    #[test]
    fn only_times_between_the_ends_are_times() {
        for ok in [Time::EARLIEST, Time::MAX, Time::from_micros(0)] {
            assert_eq!(Time::try_from(ok.as_micros()), Ok(ok));
        }
        for micros in [Time::EARLIEST.as_micros() - 1, Time::MAX.as_micros() + 1, i64::MIN, i64::MAX] {
            assert_eq!(Time::try_from(micros), Err(TimeError::Micros(micros.into())));
        }
        for text in ["9999-12-31T23:59:59.999999-00:01", "0000-12-31T23:59:59Z", "0001-01-01T00:00:00+00:01"] {
            assert!(matches!(text.parse::<Time>(), Err(TimeError::Micros(_))), "{text}");
        }
    }

    #[test]
    fn a_text_that_is_no_time_is_refused_with_the_reason() {
        assert_eq!("2017-01-01T11:53:26".parse::<Time>(), Err(TimeError::Offset));
        assert_eq!("2017-01-01".parse::<Time>(), Err(TimeError::Offset));
        for text in ["", "yesterday", "2017-02-29T00:00:00Z", "2017-01-01T24:00:00Z", "10000-01-01T00:00:00Z"] {
            let Err(TimeError::Text(reason)) = text.parse::<Time>() else { panic!("{text}") };
            assert!(!reason.is_empty(), "{text}");
        }
    }

    #[test]
    fn offsets_are_taken_off_and_what_is_too_fine_is_cut_off() {
        let time = |text: &str| text.parse::<Time>().unwrap().to_string();
        assert_eq!(time("2017-01-01T00:00:00+02:00"), "2016-12-31T22:00:00.000000Z");
        assert_eq!(time("2017-01-01t00:00:00.1234567z"), "2017-01-01T00:00:00.123456Z");
    }

    #[test]
    fn sums_stop_at_the_ends() {
        assert_eq!(Time::from_micros(5).plus_ms(2), Time::from_micros(2_005));
        assert_eq!(Time::from_micros(5).plus_ms(i64::MAX), Time::MAX);
        assert_eq!(Time::from_micros(5).plus_ms(i64::MIN), Time::EARLIEST);
        assert_eq!(Time::from_micros(i64::MAX), Time::MAX);
    }

    #[test]
    fn the_instants_of_clocks_are_the_same_for_jiff() {
        let time = Time::from_micros(1_790_000_000_000_100);
        assert_eq!(Time::from(time.to_timestamp()), time);
        assert_eq!(Time::MAX.to_timestamp(), Timestamp::MAX);
        assert_eq!(Time::from(Timestamp::MIN), Time::EARLIEST);
    }

    #[test]
    fn it_is_shown_with_microseconds() {
        assert_eq!(Time::from_micros(1_790_000_000_000_100).to_string(), "2026-09-21T14:13:20.000100Z");
    }
}
