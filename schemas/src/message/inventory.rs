//! What the order service asks of inventory about an order, and what inventory says of its reservation.

use serde::{Deserialize, Serialize};

use crate::{CommandId, OrderId, Sku, Time};

/// Reserve all lines or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReserveStock {
    /// For which order.
    pub order_id: OrderId,
    /// What to reserve; a SKU may stand in several lines.
    pub lines: Vec<StockLine>,
}

/// So many pieces of a SKU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockLine {
    /// What.
    pub sku: Sku,
    /// How many pieces, above 0.
    pub quantity: i64,
}

/// The reserved goods leave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitStock {
    /// Of which order.
    pub order_id: OrderId,
}

/// Undo the reservation; where there is none yet, refuse it when it comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseStock {
    /// Of which order.
    pub order_id: OrderId,
}

/// All lines are reserved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockReserved {
    /// For which order.
    pub order_id: OrderId,
    /// Of the reservation.
    pub version: i64,
    /// When the service decided.
    pub at: Time,
    /// What is reserved: one line per SKU, ascending.
    pub lines: Vec<StockLine>,
}

/// Too little stock; nothing is reserved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockRejected {
    /// For which order.
    pub order_id: OrderId,
    /// Of the reservation.
    pub version: i64,
    /// When the service decided.
    pub at: Time,
    /// What was missing, at most `MAX_REASONS` of them.
    pub shortages: Vec<Shortage>,
}

/// A SKU of which too little is available.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortage {
    /// Which SKU.
    pub sku: Sku,
    /// How many pieces the order wants.
    pub requested: i64,
    /// How many were available.
    pub available: i64,
}

/// The reserved goods have left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockCommitted {
    /// Of which order.
    pub order_id: OrderId,
    /// Of the reservation.
    pub version: i64,
    /// When the service decided.
    pub at: Time,
}

/// The reservation is undone, or (version 1) refused before it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockReleased {
    /// Of which order.
    pub order_id: OrderId,
    /// Of the reservation.
    pub version: i64,
    /// When the service decided.
    pub at: Time,
}

/// `CommitStock` for what is not reserved; the reservation is untouched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockCommitRefused {
    /// Of which order.
    pub order_id: OrderId,
    /// When the service decided.
    pub at: Time,
    /// Why, at most `MAX_DETAIL_BYTES`.
    #[serde(with = "crate::text")]
    pub detail: String,
}

/// Goods of a committed reservation have come back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnStock {
    /// Of which order.
    pub order_id: OrderId,
    /// Which return; makes a repeated command harmless.
    pub return_id: CommandId,
    /// What came: one line per SKU.
    pub lines: Vec<ReturnedStock>,
}

/// Pieces of a SKU that came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnedStock {
    /// What.
    pub sku: Sku,
    /// How many can be sold again.
    pub restocked: i64,
    /// How many cannot.
    pub written_off: i64,
}

/// Goods have come back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockReturned {
    /// For which order.
    pub order_id: OrderId,
    /// Of the reservation.
    pub version: i64,
    /// When the service decided.
    pub at: Time,
    /// Which return.
    pub return_id: CommandId,
    /// What came: one line per SKU, ascending.
    pub lines: Vec<ReturnedStock>,
}

/// `ReturnStock` for what has not left; the reservation is untouched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockReturnRefused {
    /// For which order.
    pub order_id: OrderId,
    /// When the service decided.
    pub at: Time,
    /// Which return.
    pub return_id: CommandId,
    /// Why, at most `MAX_DETAIL_BYTES`.
    #[serde(with = "crate::text")]
    pub detail: String,
}
