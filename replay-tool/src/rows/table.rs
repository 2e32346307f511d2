//! A table as rows by key, and what is made of a row whatever its table: COPY, SQLite, a digest's bytes, JSON, and how two of
//! them differ. What columns a table has is described once, in `tables`.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::error::Error;

use bytes::BytesMut;
use rusqlite::types::{ToSqlOutput, Type};
use serde_json::Value;
use tables::{Cell, CellSource, Column, TableRow};

use super::cell;

/// A table's rows by key.
pub(crate) type Table<R> = BTreeMap<<R as TableRow>::Key, R>;

/// What else is made of a row than the statements of a service.
pub(crate) trait RowFormats: TableRow {
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

impl<R: TableRow> RowFormats for R {
    fn differences(&self, other: &Self) -> Vec<Difference> {
        if self == other {
            return Vec::new();
        }
        let difference = |(column, (here, there)): (&'static Column, _)| {
            let (here, there) = (shown(here), shown(there));
            Difference { column: column.name, here, there }
        };
        let pairs = R::COLUMNS.iter().zip(cells(self).into_iter().zip(cells(other)));
        pairs.filter(|(_, (here, there))| here != there).map(difference).collect()
    }

    fn put_fields(&self, to: &mut BytesMut) -> Result<(), Box<dyn Error + Sync + Send>> {
        self.each_cell(|cell| cell::put_field(cell, to))
    }

    fn to_sqlite(&self) -> Vec<ToSqlOutput<'_>> {
        let mut values = Vec::with_capacity(R::COLUMNS.len());
        let Ok(()) = self.each_cell(|cell| {
            values.push(cell::to_sqlite(cell));
            Ok::<(), Infallible>(())
        });
        values
    }

    fn of_sqlite(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        R::of_cells(&mut SqliteColumns { row, next: 0 })
    }

    fn encode(&self, to: &mut Vec<u8>) {
        let Ok(()) = self.each_cell(|cell| {
            cell::encode(cell, to);
            Ok::<(), Infallible>(())
        });
    }

    fn json(&self) -> Value {
        let columns = R::COLUMNS.iter().zip(cells(self));
        columns.map(|(column, cell)| (column.name.to_owned(), cell::json(cell))).collect()
    }
}

/// A row's values; none for null.
fn cells<R: TableRow>(row: &R) -> Vec<Option<Cell<'_>>> {
    let mut cells = Vec::with_capacity(R::COLUMNS.len());
    let Ok(()) = row.each_cell(|cell| {
        cells.push(cell);
        Ok::<(), Infallible>(())
    });
    cells
}

/// A column in which two rows differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) column: &'static str,
    pub(crate) here: String,
    pub(crate) there: String,
}

/// Reads a row's columns one after the other.
struct SqliteColumns<'r> {
    row: &'r rusqlite::Row<'r>,
    next: usize,
}

impl CellSource for SqliteColumns<'_> {
    type Error = rusqlite::Error;

    fn next(&mut self, column: &'static Column) -> rusqlite::Result<Option<Cell<'static>>> {
        let (index, value) = (self.next, self.row.get_ref(self.next)?);
        self.next += 1;
        cell::of_sqlite(column.kind, value)
            .map_err(|error| rusqlite::Error::FromSqlConversionFailure(index, value.data_type(), Box::new(error)))
    }

    fn refused(&self, column: &'static Column) -> rusqlite::Error {
        rusqlite::Error::InvalidColumnType(self.next.saturating_sub(1), column.name.to_owned(), Type::Null)
    }
}

/// A value as JSON has it, not too much of it.
fn shown(cell: Option<Cell<'_>>) -> String {
    const MOST_CHARACTERS: usize = 120;
    let text = cell::json(cell).to_string();
    match text.char_indices().nth(MOST_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
