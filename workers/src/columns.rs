//! Columns of the stores' odd queries: a value by its name. Whole rows are read by `tables`; here is what becomes of one that
//! cannot be.

use schemas::Time;
use tables::Timestamptz;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use consumer::Failure;

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

/// A row that this version cannot read: the schema is the right one, so somebody else wrote it.
pub(crate) fn unreadable(error: impl std::fmt::Display) -> Failure {
    Failure::Halt(error.to_string())
}
