//! How values become columns of set-based statements.
//!
//! A column is one array parameter; `unnest` turns columns into rows. Enums of the contract are stored
//! as their symbols.

use std::error::Error;

use bytes::{BufMut as _, BytesMut};
use schemas::Time;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

use crate::runtime::Failure;

/// What Postgres counts its times from, 2000-01-01T00:00:00Z, in microseconds since 1970.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

/// A time as a `timestamptz`: every [`Time`] there is, where the client library's own conversion ends 26 hours early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamptz(pub Time);

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

/// A boxed parameter.
pub(crate) type Parameter = Box<dyn ToSql + Sync + Send>;

/// One value of each row as an array parameter.
pub(crate) fn column<R, V>(rows: &[R], value: impl Fn(&R) -> V) -> Parameter
where
    V: ToSql + Sync + Send + 'static,
{
    Box::new(rows.iter().map(value).collect::<Vec<V>>())
}

/// A Postgres array literal: an array within a row of `unnest`, which flattens real arrays of arrays.
/// <https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO>
pub(crate) fn array_literal<I>(items: I) -> String
where
    I: IntoIterator,
    I::Item: AsRef<str>,
{
    let mut literal = String::from("{");
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            literal.push(',');
        }
        literal.push('"');
        for c in item.as_ref().chars() {
            if c == '"' || c == '\\' {
                literal.push('\\');
            }
            literal.push(c);
        }
        literal.push('"');
    }
    literal.push('}');
    literal
}

/// The same for numbers.
pub(crate) fn number_array_literal(items: impl IntoIterator<Item = i64>) -> String {
    let texts: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    format!("{{{}}}", texts.join(","))
}

/// A column's value, or an error that names the column.
pub(crate) fn get<'r, V: FromSql<'r>>(row: &'r Row, name: &str) -> Result<V, Failure> {
    row.try_get(name).map_err(|error| Failure::Halt(format!("column {name} cannot be read: {error}")))
}

/// A timestamp column.
pub(crate) fn get_time(row: &Row, name: &str) -> Result<Time, Failure> {
    get::<Timestamptz>(row, name).map(|Timestamptz(time)| time)
}

/// A stored text that must be one of a type's values.
pub(crate) fn parsed<V>(name: &str, text: &str, value: Option<V>) -> Result<V, Failure> {
    value.ok_or_else(|| Failure::Halt(format!("column {name} holds {text:?}, which this version does not know")))
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

    #[test]
    fn array_literals_quote_what_they_hold() {
        assert_eq!(array_literal([r#"a"b"#, r"c\d", "e,f}", ""]), r#"{"a\"b","c\\d","e,f}",""}"#);
        assert_eq!(number_array_literal([1, -2]), "{1,-2}");
        assert_eq!(number_array_literal([]), "{}");
    }
}
