//! A table as rows by key, and a row as named columns: enough to read any table of state and to tell two rows apart.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Debug;

use bytes::BytesMut;
use rusqlite::types::ToSqlOutput;
use serde_json::Value;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use super::cell::Cell;

/// A table's rows by key.
pub(crate) type Table<R> = BTreeMap<<R as TableRow>::Key, R>;

/// A row of a table of state.
pub(crate) trait TableRow: Sized + Clone + Debug + PartialEq + Send {
    /// Its primary key.
    type Key: Ord + Clone + Debug + Send;
    /// The table's name.
    const TABLE: &'static str;
    /// The columns, in the order in which they are read.
    const COLUMNS: &'static [&'static str];
    /// The columns that make up the key.
    const KEY_COLUMNS: &'static [&'static str];
    /// The columns' types in SQLite.
    const SQLITE_TYPES: &'static [&'static str];

    /// The row's key.
    fn key(&self) -> Self::Key;
    /// The key in words.
    fn subject(&self) -> String;
    /// From a row that has exactly the columns.
    fn read(row: &Row) -> Result<Self, tokio_postgres::Error>;
    /// The columns in which the two differ.
    fn differences(&self, other: &Self) -> Vec<Difference>;
    /// Append the values as the fields of a row of a binary COPY.
    fn put_fields(&self, to: &mut BytesMut) -> Result<(), Box<dyn Error + Sync + Send>>;
    /// The values for SQLite.
    fn to_sqlite(&self) -> Vec<ToSqlOutput<'_>>;
    /// From a row of SQLite's that has exactly the columns.
    fn of_sqlite(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self>;
    /// Append the bytes that a digest is made of.
    fn encode(&self, to: &mut Vec<u8>);
    /// Column by column.
    fn json(&self) -> Value;
}

/// A column in which two rows differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) column: &'static str,
    pub(crate) here: String,
    pub(crate) there: String,
}

/// Reads a row's columns one after the other.
pub(crate) struct Columns<'r> {
    row: &'r Row,
    next: usize,
}

impl<'r> Columns<'r> {
    pub(crate) fn of(row: &'r Row) -> Self {
        Columns { row, next: 0 }
    }

    pub(crate) fn next<V: FromSql<'r>>(&mut self) -> Result<V, tokio_postgres::Error> {
        let value = self.row.try_get(self.next)?;
        self.next += 1;
        Ok(value)
    }
}

/// The same of a row of SQLite's.
pub(crate) struct SqliteColumns<'r> {
    row: &'r rusqlite::Row<'r>,
    next: usize,
}

impl<'r> SqliteColumns<'r> {
    pub(crate) fn of(row: &'r rusqlite::Row<'r>) -> Self {
        SqliteColumns { row, next: 0 }
    }

    pub(crate) fn next<C: Cell>(&mut self) -> rusqlite::Result<C> {
        let (index, value) = (self.next, self.row.get_ref(self.next)?);
        self.next += 1;
        C::of_sqlite(value)
            .map_err(|error| rusqlite::Error::FromSqlConversionFailure(index, value.data_type(), Box::new(error)))
    }
}

/// A value of a column in words, not too many.
pub(crate) fn shown(value: &impl Debug) -> String {
    const MOST_CHARACTERS: usize = 120;
    let text = format!("{value:?}");
    match text.char_indices().nth(MOST_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Defines a row type whose fields are the table's columns.
macro_rules! table_row {
    (
        $(#[$doc:meta])*
        $name:ident in $table:literal, key ($($key:ident: $key_type:ty),+) { $($field:ident: $type:ty),+ $(,)? }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub(crate) struct $name { $(pub(crate) $field: $type),+ }

        impl $crate::rows::table::TableRow for $name {
            type Key = ($($key_type,)+);
            const TABLE: &'static str = $table;
            const COLUMNS: &'static [&'static str] = &[$(stringify!($field)),+];
            const KEY_COLUMNS: &'static [&'static str] = &[$(stringify!($key)),+];
            const SQLITE_TYPES: &'static [&'static str] =
                &[$(<$type as $crate::rows::cell::Cell>::SQLITE_TYPE),+];

            fn key(&self) -> Self::Key {
                ($(self.$key.clone(),)+)
            }

            fn subject(&self) -> String {
                let parts: Vec<String> = vec![$(self.$key.to_string()),+];
                format!("{} {}", $table, parts.join(" "))
            }

            fn read(row: &tokio_postgres::Row) -> Result<Self, tokio_postgres::Error> {
                let mut columns = $crate::rows::table::Columns::of(row);
                Ok(Self { $($field: columns.next()?),+ })
            }

            fn differences(&self, other: &Self) -> Vec<$crate::rows::table::Difference> {
                use $crate::rows::table::{Difference, shown};
                let mut differences = Vec::new();
                $(if self.$field != other.$field {
                    differences.push(Difference {
                        column: stringify!($field),
                        here: shown(&self.$field),
                        there: shown(&other.$field),
                    });
                })+
                differences
            }

            fn put_fields(
                &self,
                to: &mut bytes::BytesMut,
            ) -> Result<(), Box<dyn std::error::Error + Sync + Send>> {
                $($crate::rows::cell::put_field(&self.$field, to)?;)+
                Ok(())
            }

            fn to_sqlite(&self) -> Vec<rusqlite::types::ToSqlOutput<'_>> {
                vec![$($crate::rows::cell::Cell::to_sqlite(&self.$field)),+]
            }

            fn of_sqlite(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
                let mut columns = $crate::rows::table::SqliteColumns::of(row);
                Ok(Self { $($field: columns.next()?),+ })
            }

            fn encode(&self, to: &mut Vec<u8>) {
                $($crate::rows::cell::Cell::encode(&self.$field, to);)+
            }

            fn json(&self) -> serde_json::Value {
                let mut columns = serde_json::Map::new();
                $(columns.insert(stringify!($field).to_owned(), $crate::rows::cell::Cell::json(&self.$field));)+
                serde_json::Value::Object(columns)
            }
        }
    };
}
pub(crate) use table_row;
