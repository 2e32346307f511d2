//! A time as Postgres stores it.

use std::error::Error;

use bytes::{BufMut as _, BytesMut};
use postgres_types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};
use schemas::Time;

/// What Postgres counts its times from, 2000-01-01T00:00:00Z, in microseconds since 1970.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

/// A time as a `timestamptz`: every [`Time`] there is, where the client library's own conversion ends 26 hours early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamptz(pub Time);

impl std::fmt::Display for Timestamptz {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl ToSql for Timestamptz {
    fn to_sql(&self, _: &Type, to: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        to.put_i64(self.0.as_micros() - POSTGRES_EPOCH_MICROS);
        Ok(IsNull::No)
    }

    accepts!(TIMESTAMPTZ);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Timestamptz {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let micros = i64::from_be_bytes(raw.try_into()?);
        Ok(Timestamptz(Time::try_from(micros.saturating_add(POSTGRES_EPOCH_MICROS))?))
    }

    accepts!(TIMESTAMPTZ);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_goes_to_postgres_and_comes_back() {
        for time in [Time::EARLIEST, Time::from_micros(-1), Time::from_micros(1_790_000_000_000_100), Time::MAX] {
            let mut raw = BytesMut::new();
            Timestamptz(time).to_sql(&Type::TIMESTAMPTZ, &mut raw).unwrap();
            assert_eq!(Timestamptz::from_sql(&Type::TIMESTAMPTZ, &raw).unwrap(), Timestamptz(time));
        }
        let infinity = i64::MAX.to_be_bytes();
        assert!(Timestamptz::from_sql(&Type::TIMESTAMPTZ, &infinity).is_err(), "no message says `infinity`");
    }
}
