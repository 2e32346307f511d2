//! The rows of state: what is made of a row in a binary COPY, in SQLite and in JSON, and how two of them differ.
//!
//! What columns a table has, and which row an aggregate is stored as, is described once, in `tables`. A digest is the
//! identity of all rows together, whatever their order.

mod cell;
mod differences;
mod digest;
mod merge;
mod table;

pub(crate) use cell::sqlite_type;
pub use differences::{Differences, RowDifference};
pub(crate) use digest::{StateDigest, Sum};
pub(crate) use merge::{Unequal, compare, merge};
pub(crate) use table::{Difference, RowFormats, Table};
pub(crate) use tables::{
    ContentsRow, EachTable, OrderRow, PaymentRow, PostingRow, ReceiptRow, ReservationRow, StockRow, TableRow,
    each_table, table_names,
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
