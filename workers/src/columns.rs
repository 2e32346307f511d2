//! How values become columns of set-based statements, and names of enums in the database.
//!
//! A column is one array parameter; `unnest` turns columns into rows. Enum names are those of the Avro symbols.

use provision::Timestamptz;
use schemas::{Awaiting, CancelReason, Time};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, ToSql};

use consumer::Failure;

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

/// The name of what an order waits for.
pub(crate) const fn awaiting_name(awaiting: Awaiting) -> &'static str {
    match awaiting {
        Awaiting::StockReservation => "StockReservation",
        Awaiting::PaymentAuthorization => "PaymentAuthorization",
        Awaiting::PaymentCapture => "PaymentCapture",
        Awaiting::StockCommit => "StockCommit",
        Awaiting::PaymentVoid => "PaymentVoid",
        Awaiting::StockRelease => "StockRelease",
    }
}

/// What has this name.
pub(crate) fn awaiting_named(name: &str) -> Option<Awaiting> {
    [
        Awaiting::StockReservation,
        Awaiting::PaymentAuthorization,
        Awaiting::PaymentCapture,
        Awaiting::StockCommit,
        Awaiting::PaymentVoid,
        Awaiting::StockRelease,
    ]
    .into_iter()
    .find(|one| awaiting_name(*one) == name)
}

/// The name of a reason to undo an order.
pub(crate) const fn reason_name(reason: CancelReason) -> &'static str {
    match reason {
        CancelReason::OutOfStock => "OutOfStock",
        CancelReason::PaymentDeclined => "PaymentDeclined",
        CancelReason::DeadlinePassed => "DeadlinePassed",
        CancelReason::Requested => "Requested",
        CancelReason::CaptureFailed => "CaptureFailed",
    }
}

/// The reason of this name.
pub(crate) fn reason_named(name: &str) -> Option<CancelReason> {
    [
        CancelReason::OutOfStock,
        CancelReason::PaymentDeclined,
        CancelReason::DeadlinePassed,
        CancelReason::Requested,
        CancelReason::CaptureFailed,
    ]
    .into_iter()
    .find(|one| reason_name(*one) == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn array_literals_quote_what_they_hold() {
        assert_eq!(array_literal([r#"a"b"#, r"c\d", "e,f}", ""]), r#"{"a\"b","c\\d","e,f}",""}"#);
        assert_eq!(number_array_literal([1, -2]), "{1,-2}");
        assert_eq!(number_array_literal([]), "{}");
    }
}
