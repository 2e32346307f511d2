//! The services' tables of rows, each described once: name, key, columns, what may change, and how a row and the core's own
//! type become each other.
//!
//! Everything else is made from the descriptions: the statements of the stores (`statements`), their parameters, and, in
//! `replay-tool`, COPY, SQLite files, digests and comparisons. So a further column is a migration, a line in the table's
//! description and its place in the two conversions beside it.
//!
//! Deliberately absent: connections, transactions and errors of a service (`prepared` and the stores have them), so that
//! whoever reads tables from outside needs nothing of a worker; and the tables of the outbox and the inbox, which are
//! theirs.

mod array_literal;
mod cell;
mod contents;
mod description;
mod heard;
mod json;
mod order;
mod order_sku;
mod payment;
mod payment_call;
mod posting;
mod product;
mod receipt;
mod reservation;
mod state;
pub mod statements;
mod stock;
#[cfg(any(test, feature = "stories"))]
#[expect(clippy::unwrap_used, reason = "tests alone are told stories")]
pub mod stories;
#[cfg(test)]
mod tests;
mod timestamptz;
mod unreadable;

pub use cell::{Cell, Kind, Parameter, Value};
pub use contents::ContentsRow;
pub use description::{CellSource, Change, Column, TableRow, guard_parameters};
pub use heard::HeardRow;
pub use order::OrderRow;
pub use order_sku::OrderSkuRow;
pub use payment::PaymentRow;
pub use payment_call::PaymentCallRow;
pub use posting::PostingRow;
pub use product::ProductRow;
pub use receipt::ReceiptRow;
pub use reservation::ReservationRow;
pub use state::{EachTable, each_table, table_names};
pub use stock::StockRow;
pub use timestamptz::Timestamptz;
pub use unreadable::{Unknown, Unreadable};

use description::table;
