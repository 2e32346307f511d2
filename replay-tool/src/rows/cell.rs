//! A value of a column: as Postgres and SQLite take it, as bytes that are the same on every machine, and as JSON.
//!
//! The bytes are what a digest is made of, so their form never changes: null is 0; a value is 1, its length where that
//! varies (u64, big-endian), and its bytes, numbers big-endian. Times are microseconds since 1970.
//!
//! SQLite has neither times nor lists: a time is text of fixed width (RFC 3339, microseconds, UTC), so that it sorts and
//! SQLite's own functions take it; a list is JSON, for its `json_each`.

use std::error::Error;

use bytes::{BufMut as _, BytesMut};
use rusqlite::types::{FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tables::{Cell, Kind, Timestamptz};
use tokio_postgres::types::{IsNull, ToSql};

/// Append the value as a field of a binary COPY: its length, −1 for null, and its bytes.
pub(crate) fn put_field(cell: Option<Cell<'_>>, to: &mut BytesMut) -> Result<(), Box<dyn Error + Sync + Send>> {
    let length_at = to.len();
    to.put_i32(-1);
    let Some(cell) = cell else { return Ok(()) };
    let is_null = match &cell {
        Cell::Text(text) => text.to_sql(&Kind::Text.postgres_type(), to),
        Cell::Bytea(bytes) => bytes.as_ref().to_sql(&Kind::Bytea.postgres_type(), to),
        Cell::Integer(number) => number.to_sql(&Kind::Integer.postgres_type(), to),
        Cell::Bigint(number) => number.to_sql(&Kind::Bigint.postgres_type(), to),
        Cell::Timestamptz(time) => Timestamptz(*time).to_sql(&Kind::Timestamptz.postgres_type(), to),
        Cell::Texts(texts) => texts.as_ref().to_sql(&Kind::Texts.postgres_type(), to),
        Cell::Bigints(numbers) => numbers.as_ref().to_sql(&Kind::Bigints.postgres_type(), to),
    }?;
    match is_null {
        IsNull::Yes => Ok(()),
        IsNull::No => {
            let length = i32::try_from(to.len() - length_at - 4)?;
            to[length_at..length_at + 4].copy_from_slice(&length.to_be_bytes());
            Ok(())
        }
    }
}

/// The column's type in SQLite.
pub(crate) const fn sqlite_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Timestamptz | Kind::Texts | Kind::Bigints => "text",
        Kind::Bytea => "blob",
        Kind::Integer | Kind::Bigint => "integer",
    }
}

/// For SQLite. What is in a row is borrowed from it.
pub(crate) fn to_sqlite(cell: Option<Cell<'_>>) -> ToSqlOutput<'_> {
    use std::borrow::Cow::{Borrowed, Owned};
    let Some(cell) = cell else { return ToSqlOutput::Borrowed(ValueRef::Null) };
    match cell {
        Cell::Text(Borrowed(text)) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        Cell::Text(Owned(text)) => ToSqlOutput::from(text),
        Cell::Bytea(Borrowed(bytes)) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        Cell::Bytea(Owned(bytes)) => ToSqlOutput::from(bytes),
        Cell::Integer(number) => ToSqlOutput::from(number),
        Cell::Bigint(number) => ToSqlOutput::from(number),
        Cell::Timestamptz(time) => ToSqlOutput::from(time.to_string()),
        Cell::Texts(_) | Cell::Bigints(_) => ToSqlOutput::from(json(Some(cell)).to_string()),
    }
}

/// What [`to_sqlite`] gave for a column of this kind.
pub(crate) fn of_sqlite(kind: Kind, value: ValueRef<'_>) -> FromSqlResult<Option<Cell<'static>>> {
    if value == ValueRef::Null {
        return Ok(None);
    }
    Ok(Some(match kind {
        Kind::Text => Cell::Text(value.as_str()?.to_owned().into()),
        Kind::Bytea => Cell::Bytea(value.as_blob()?.to_vec().into()),
        Kind::Integer => {
            let number = value.as_i64()?;
            Cell::Integer(i32::try_from(number).map_err(|_| FromSqlError::OutOfRange(number))?)
        }
        Kind::Bigint => Cell::Bigint(value.as_i64()?),
        Kind::Timestamptz => Cell::Timestamptz(value.as_str()?.parse().map_err(FromSqlError::other)?),
        Kind::Texts => Cell::Texts(of_json::<Vec<String>>(value)?.into()),
        Kind::Bigints => Cell::Bigints(of_json::<Vec<i64>>(value)?.into()),
    }))
}

fn of_json<T: DeserializeOwned>(value: ValueRef<'_>) -> FromSqlResult<T> {
    serde_json::from_str(value.as_str()?).map_err(FromSqlError::other)
}

/// Append the bytes that a digest is made of.
pub(crate) fn encode(cell: Option<Cell<'_>>, to: &mut Vec<u8>) {
    match cell {
        None => to.push(0),
        Some(Cell::Text(text)) => encode_bytes(text.as_bytes(), to),
        Some(Cell::Bytea(bytes)) => encode_bytes(&bytes, to),
        Some(Cell::Integer(number)) => {
            to.push(1);
            to.extend_from_slice(&number.to_be_bytes());
        }
        Some(Cell::Bigint(number)) => encode_bigint(number, to),
        Some(Cell::Timestamptz(time)) => encode_bigint(time.as_micros(), to),
        Some(Cell::Texts(texts)) => {
            encode_count(texts.len(), to);
            texts.iter().for_each(|text| encode_bytes(text.as_bytes(), to));
        }
        Some(Cell::Bigints(numbers)) => {
            encode_count(numbers.len(), to);
            numbers.iter().for_each(|number| encode_bigint(*number, to));
        }
    }
}

fn encode_count(count: usize, to: &mut Vec<u8>) {
    to.push(1);
    to.extend_from_slice(&u64::try_from(count).unwrap_or(u64::MAX).to_be_bytes());
}

fn encode_bytes(bytes: &[u8], to: &mut Vec<u8>) {
    encode_count(bytes.len(), to);
    to.extend_from_slice(bytes);
}

fn encode_bigint(number: i64, to: &mut Vec<u8>) {
    to.push(1);
    to.extend_from_slice(&number.to_be_bytes());
}

/// For people and programs that do not know Postgres. Times are without zeros behind the last digit of the fraction.
pub(crate) fn json(cell: Option<Cell<'_>>) -> Value {
    match cell {
        None => Value::Null,
        Some(Cell::Text(text)) => Value::from(text),
        Some(Cell::Bytea(bytes)) => Value::from(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
        Some(Cell::Integer(number)) => Value::from(number),
        Some(Cell::Bigint(number)) => Value::from(number),
        Some(Cell::Timestamptz(time)) => {
            let text = time.to_string();
            let short = text.trim_end_matches('Z').trim_end_matches('0').trim_end_matches('.');
            Value::from(format!("{short}Z"))
        }
        Some(Cell::Texts(texts)) => texts.iter().map(String::as_str).map(Value::from).collect(),
        Some(Cell::Bigints(numbers)) => numbers.iter().copied().map(Value::from).collect(),
    }
}

#[cfg(test)]
mod tests {
    use tables::Value as ColumnValue;

    use super::*;

    fn encoded(value: &impl ColumnValue) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(value.cell(), &mut bytes);
        bytes
    }

    fn time(text: &str) -> Timestamptz {
        Timestamptz(text.parse().unwrap())
    }

    #[test]
    fn times_are_shown_as_short_as_they_are() {
        let shown = |text: &str| json(time(text).cell());
        for text in ["2026-11-21T10:00:00Z", "2026-11-21T15:01:55.1Z", "9999-12-31T23:59:59.999999Z"] {
            assert_eq!(shown(text), text);
        }
    }

    #[test]
    fn the_bytes_are_those_that_digests_were_made_of_before() {
        assert_eq!(encoded(&"ab".to_owned()), [1, 0, 0, 0, 0, 0, 0, 0, 2, b'a', b'b']);
        assert_eq!(encoded(&-1_i32), [1, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(encoded(&None::<i64>), [0]);
        assert_eq!(encoded(&vec![2_i64]), [1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 2]);
        assert_eq!(encoded(&time("1970-01-01T00:00:00Z")), [1, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn sqlite_gives_back_what_it_was_given() {
        fn back<V: ColumnValue>(value: &V) -> V {
            let cell = match to_sqlite(value.cell()) {
                ToSqlOutput::Borrowed(value) => of_sqlite(V::KIND, value).unwrap(),
                ToSqlOutput::Owned(value) => of_sqlite(V::KIND, ValueRef::from(&value)).unwrap(),
                other => panic!("{other:?}"),
            };
            V::of_cell(cell).unwrap()
        }
        for late in [time("2026-11-21T15:01:55.1Z"), time("9999-12-31T23:59:59.999999Z")] {
            assert_eq!(back(&late), late);
        }
        assert_eq!(back(&"a\0é\"".to_owned()), "a\0é\"");
        assert_eq!(back(&vec!["a\"".to_owned(), String::new()]), ["a\"", ""]);
        assert_eq!(back(&vec![i64::MIN, 7]), [i64::MIN, 7]);
        assert_eq!((back(&None::<i64>), back(&Some(i64::MAX)), back(&-7_i32)), (None, Some(i64::MAX), -7));
        assert_eq!(back(&vec![0_u8, 255]), [0, 255]);
        assert!(of_sqlite(Kind::Integer, ValueRef::Integer(1 << 40)).is_err());
    }

    #[test]
    fn times_sort_as_their_text_does() {
        let text = |text: &str| {
            let time = time(text);
            let ToSqlOutput::Owned(rusqlite::types::Value::Text(text)) = to_sqlite(time.cell()) else {
                panic!("{time:?}")
            };
            text
        };
        assert!(text("2026-11-21T15:01:55Z") < text("2026-11-21T15:01:55.1Z"));
        assert_eq!(text("2026-11-21T15:01:55.1Z"), "2026-11-21T15:01:55.100000Z");
    }

    #[test]
    fn neighbours_cannot_be_taken_for_each_other() {
        let two = |first: &str, second: &str| [encoded(&first.to_owned()), encoded(&second.to_owned())].concat();
        assert_ne!(two("ab", "c"), two("a", "bc"));
        assert_ne!(encoded(&None::<String>), encoded(&Some(String::new())));
        assert_ne!(encoded(&vec!["a".to_owned(), String::new()]), encoded(&vec!["a".to_owned()]));
    }
}
