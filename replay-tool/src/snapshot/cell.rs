//! A value of a column: as Postgres takes it, as bytes that are the same on every machine, and as JSON.
//!
//! The bytes are what a digest is made of, so their form never changes: null is 0; a value is 1, its length where that
//! varies (u64, big-endian), and its bytes, numbers big-endian. Times are microseconds since 1970.

use jiff::Timestamp;
use serde_json::Value;
use tokio_postgres::types::{ToSql, Type};

/// A value of a column.
pub(crate) trait Cell: ToSql + Sync {
    /// The column's type.
    fn sql_type() -> Type;
    /// Append the bytes that a digest is made of.
    fn encode(&self, to: &mut Vec<u8>);
    /// For people and programs that do not know Postgres.
    fn json(&self) -> Value;
}

fn encode_bytes(bytes: &[u8], to: &mut Vec<u8>) {
    to.push(1);
    to.extend_from_slice(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
    to.extend_from_slice(bytes);
}

impl Cell for String {
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

impl Cell for Timestamp {
    fn sql_type() -> Type {
        Type::TIMESTAMPTZ
    }

    fn encode(&self, to: &mut Vec<u8>) {
        self.as_microsecond().encode(to);
    }

    fn json(&self) -> Value {
        Value::from(self.to_string())
    }
}

impl Cell for Vec<String> {
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

fn encode_items<C: Cell>(items: &[C], to: &mut Vec<u8>) {
    to.push(1);
    to.extend_from_slice(&u64::try_from(items.len()).unwrap_or(u64::MAX).to_be_bytes());
    items.iter().for_each(|item| item.encode(to));
}

impl<C: Cell> Cell for Option<C> {
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

    #[test]
    fn the_bytes_are_those_that_digests_were_made_of_before() {
        assert_eq!(encoded(&"ab".to_owned()), [1, 0, 0, 0, 0, 0, 0, 0, 2, b'a', b'b']);
        assert_eq!(encoded(&-1_i32), [1, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(encoded(&None::<i64>), [0]);
        assert_eq!(encoded(&vec![2_i64]), [1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 2]);
        assert_eq!(encoded(&Timestamp::UNIX_EPOCH), [1, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn neighbours_cannot_be_taken_for_each_other() {
        let two = |first: &str, second: &str| [encoded(&first.to_owned()), encoded(&second.to_owned())].concat();
        assert_ne!(two("ab", "c"), two("a", "bc"));
        assert_ne!(encoded(&None::<String>), encoded(&Some(String::new())));
        assert_ne!(encoded(&vec!["a".to_owned(), String::new()]), encoded(&vec!["a".to_owned()]));
    }
}
