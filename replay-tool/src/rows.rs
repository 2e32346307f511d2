//! The rows of state: what a table's row is, in Postgres, in SQLite and in JSON, and how two of them differ.
//!
//! A row is read from a table or made of an aggregate; a digest is the identity of all rows together, whatever their order.

mod cell;
mod differences;
mod digest;
mod merge;
mod of_aggregates;
mod table;
mod tables;

pub use differences::{Differences, RowDifference};
pub(crate) use digest::{StateDigest, Sum};
pub(crate) use merge::{Unequal, compare, merge};
pub(crate) use table::{Columns, Difference, Table, TableRow};
pub(crate) use tables::{
    ContentsRow, EachTable, OrderRow, PaymentRow, PostingRow, ReceiptRow, ReservationRow, StockRow, each_table,
};

/// The state of all services, as their tables hold it or as a fold makes it.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Rows {
    pub(crate) orders: Table<OrderRow>,
    pub(crate) contents: Table<ContentsRow>,
    pub(crate) reservations: Table<ReservationRow>,
    pub(crate) stock: Table<StockRow>,
    pub(crate) receipts: Table<ReceiptRow>,
    pub(crate) payments: Table<PaymentRow>,
    pub(crate) ledger: Table<PostingRow>,
}
