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
use tokio_postgres::types::{IsNull, ToSql, Type};
use workers::Timestamptz;

/// A value of a column.
pub(crate) trait Cell: ToSql + Sync + Sized {
    /// The column's type in SQLite.
    const SQLITE_TYPE: &'static str;
    /// The column's type in Postgres.
    fn sql_type() -> Type;
    /// For SQLite.
    fn to_sqlite(&self) -> ToSqlOutput<'_>;
    /// What [`Cell::to_sqlite`] gave.
    fn of_sqlite(value: ValueRef<'_>) -> FromSqlResult<Self>;
    /// Append the bytes that a digest is made of.
    fn encode(&self, to: &mut Vec<u8>);
    /// For people and programs that do not know Postgres.
    fn json(&self) -> Value;
}

/// Append the value as a field of a binary COPY: its length, −1 for null, and its bytes.
pub(crate) fn put_field<C: Cell>(value: &C, to: &mut BytesMut) -> Result<(), Box<dyn Error + Sync + Send>> {
    let length_at = to.len();
    to.put_i32(-1);
    match value.to_sql(&C::sql_type(), to)? {
        IsNull::Yes => Ok(()),
        IsNull::No => {
            let length = i32::try_from(to.len() - length_at - 4)?;
            to[length_at..length_at + 4].copy_from_slice(&length.to_be_bytes());
            Ok(())
        }
    }
}

fn encode_bytes(bytes: &[u8], to: &mut Vec<u8>) {
    to.push(1);
    to.extend_from_slice(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
    to.extend_from_slice(bytes);
}

impl Cell for String {
    const SQLITE_TYPE: &'static str = "text";

    fn to_sqlite(&self) -> ToSqlOutput<'_> {
        ToSqlOutput::Borrowed(ValueRef::Text(self.as_bytes()))
    }

    fn of_sqlite(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str().map(str::to_owned)
    }

    fn sql_type() -> Type {
        Type::TEXT
    }

    fn encode(&self, to: &mut Vec<u8>) {
        encode_bytes(self.as_bytes(), to);
    }

    fn json(&self) -> Value {
        Value::from(self.as_str())
    }
}

impl Cell for Vec<u8> {
    const SQLITE_TYPE: &'static str = "blob";

    fn to_sqlite(&self) -> ToSqlOutput<'_> {
        ToSqlOutput::Borrowed(ValueRef::Blob(self))
    }

    fn of_sqlite(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_blob().map(<[u8]>::to_vec)
    }

    fn sql_type() -> Type {
        Type::BYTEA
    }

    fn encode(&self, to: &mut Vec<u8>) {
        encode_bytes(self, to);
    }

    fn json(&self) -> Value {
        Value::from(self.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    }
}

impl Cell for i32 {
    const SQLITE_TYPE: &'static str = "integer";

    fn to_sqlite(&self) -> ToSqlOutput<'_> {
        ToSqlOutput::from(*self)
    }

    fn of_sqlite(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let number = value.as_i64()?;
        i32::try_from(number).map_err(|_| FromSqlError::OutOfRange(number))
    }

    fn sql_type() -> Type {
        Type::INT4
    }

    fn encode(&self, to: &mut Vec<u8>) {
        to.push(1);
        to.extend_from_slice(&self.to_be_bytes());
    }

    fn json(&self) -> Value {
        Value::from(*self)
    }
}

impl Cell for i64 {
    const SQLITE_TYPE: &'static str = "integer";

    fn to_sqlite(&self) -> ToSqlOutput<'_> {
        ToSqlOutput::from(*self)
    }

    fn of_sqlite(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64()
    }

    fn sql_type() -> Type {
        Type::INT8
    }

    fn encode(&self, to: &mut Vec<u8>) {
        to.push(1);
        to.extend_from_slice(&self.to_be_bytes());
    }

    fn json(&self) -> Value {
        Value::from(*self)
    }
}

impl Cell for Timestamptz {
    const SQLITE_TYPE: &'static str = "text";

    fn to_sqlite(&self) -> ToSqlOutput<'_> {
        ToSqlOutput::from(self.0.to_string())
    }

    fn of_sqlite(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map(Timestamptz).map_err(FromSqlError::other)
    }

    fn sql_type() -> Type {
        Type::TIMESTAMPTZ
    }

    fn encode(&self, to: &mut Vec<u8>) {
        self.0.as_micros().encode(to);
    }

    /// Without zeros behind the last digit of the fraction.
    fn json(&self) -> Value {
        let text = self.0.to_string();
        let short = text.trim_end_matches('Z').trim_end_matches('0').trim_end_matches('.');
        Value::from(format!("{short}Z"))
    }
}

impl Cell for Vec<String> {
    const SQLITE_TYPE: &'static str = "text";

    fn to_sqlite(&self) -> ToSqlOutput<'_> {
        ToSqlOutput::from(Cell::json(self).to_string())
    }

    fn of_sqlite(value: ValueRef<'_>) -> FromSqlResult<Self> {
        of_json(value)
    }

    fn sql_type() -> Type {
        Type::TEXT_ARRAY
    }

    fn encode(&self, to: &mut Vec<u8>) {
        encode_items(self, to);
    }

    fn json(&self) -> Value {
        self.iter().map(Cell::json).collect()
    }
}

impl Cell for Vec<i64> {
    const SQLITE_TYPE: &'static str = "text";

    fn to_sqlite(&self) -> ToSqlOutput<'_> {
        ToSqlOutput::from(Cell::json(self).to_string())
    }

    fn of_sqlite(value: ValueRef<'_>) -> FromSqlResult<Self> {
        of_json(value)
    }

    fn sql_type() -> Type {
        Type::INT8_ARRAY
    }

    fn encode(&self, to: &mut Vec<u8>) {
        encode_items(self, to);
    }

    fn json(&self) -> Value {
        self.iter().map(Cell::json).collect()
    }
}

fn of_json<T: DeserializeOwned>(value: ValueRef<'_>) -> FromSqlResult<T> {
    serde_json::from_str(value.as_str()?).map_err(FromSqlError::other)
}

fn encode_items<C: Cell>(items: &[C], to: &mut Vec<u8>) {
    to.push(1);
    to.extend_from_slice(&u64::try_from(items.len()).unwrap_or(u64::MAX).to_be_bytes());
    items.iter().for_each(|item| item.encode(to));
}

impl<C: Cell> Cell for Option<C> {
    const SQLITE_TYPE: &'static str = C::SQLITE_TYPE;

    fn to_sqlite(&self) -> ToSqlOutput<'_> {
        self.as_ref().map_or(ToSqlOutput::Borrowed(ValueRef::Null), Cell::to_sqlite)
    }

    fn of_sqlite(value: ValueRef<'_>) -> FromSqlResult<Self> {
        if value == ValueRef::Null { Ok(None) } else { C::of_sqlite(value).map(Some) }
    }

    fn sql_type() -> Type {
        C::sql_type()
    }

    fn encode(&self, to: &mut Vec<u8>) {
        match self {
            Some(value) => value.encode(to),
            None => to.push(0),
        }
    }

    fn json(&self) -> Value {
        self.as_ref().map_or(Value::Null, Cell::json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(cell: &impl Cell) -> Vec<u8> {
        let mut bytes = Vec::new();
        cell.encode(&mut bytes);
        bytes
    }

    fn time(text: &str) -> Timestamptz {
        Timestamptz(text.parse().unwrap())
    }

    #[test]
    fn times_are_shown_as_short_as_they_are() {
        let shown = |text: &str| Cell::json(&time(text));
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
        fn back<C: Cell>(value: &C) -> C {
            match value.to_sqlite() {
                ToSqlOutput::Borrowed(value) => C::of_sqlite(value).unwrap(),
                ToSqlOutput::Owned(value) => C::of_sqlite(ValueRef::from(&value)).unwrap(),
                other => panic!("{other:?}"),
            }
        }
        for late in [time("2026-11-21T15:01:55.1Z"), time("9999-12-31T23:59:59.999999Z")] {
            assert_eq!(back(&late), late);
        }
        assert_eq!(back(&"a\0é\"".to_owned()), "a\0é\"");
        assert_eq!(back(&vec!["a\"".to_owned(), String::new()]), ["a\"", ""]);
        assert_eq!(back(&vec![i64::MIN, 7]), [i64::MIN, 7]);
        assert_eq!((back(&None::<i64>), back(&Some(i64::MAX)), back(&-7_i32)), (None, Some(i64::MAX), -7));
        assert_eq!(back(&vec![0_u8, 255]), [0, 255]);
        assert!(i32::of_sqlite(ValueRef::Integer(1 << 40)).is_err());
    }

    #[test]
    fn times_sort_as_their_text_does() {
        let text = |text: &str| {
            let time = time(text);
            let ToSqlOutput::Owned(rusqlite::types::Value::Text(text)) = time.to_sqlite() else { panic!("{time:?}") };
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
