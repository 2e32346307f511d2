//! What operators ask about a SKU, and what inventory says of it.

use serde::{Deserialize, Serialize};

use crate::symbols::symbols;
use crate::{CommandId, Sku, StockCommand, Time};

/// Goods have arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiveStock {
    /// Which SKU; a new one is created.
    pub sku: Sku,
    /// Makes a repeated receipt harmless.
    pub command_id: CommandId,
    /// How many pieces, above 0.
    pub quantity: i64,
}

/// A count differed from the books.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdjustStock {
    /// Which SKU.
    pub sku: Sku,
    /// Makes a repeated adjustment harmless.
    pub command_id: CommandId,
    /// How many pieces more (or, negative, fewer), not 0.
    pub delta: i64,
}

impl StockCommand {
    /// What makes a repetition harmless.
    pub const fn command_id(&self) -> &CommandId {
        match self {
            StockCommand::ReceiveStock(command) => &command.command_id,
            StockCommand::AdjustStock(command) => &command.command_id,
        }
    }
}

/// Goods have arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockReceived {
    /// Which SKU.
    pub sku: Sku,
    /// Of the SKU: counts its receipts and adjustments.
    pub version: i64,
    /// When the service decided.
    pub at: Time,
    /// The command's id.
    pub command_id: CommandId,
    /// How many pieces.
    pub quantity: i64,
}

/// The books were corrected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockAdjusted {
    /// Which SKU.
    pub sku: Sku,
    /// Of the SKU: counts its receipts and adjustments.
    pub version: i64,
    /// When the service decided.
    pub at: Time,
    /// The command's id.
    pub command_id: CommandId,
    /// How many pieces more (or fewer).
    pub delta: i64,
}

/// A stock command was refused; no stock was touched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockCommandRejected {
    /// The SKU that the command names.
    pub sku: Sku,
    /// When the service decided.
    pub at: Time,
    /// The command's id.
    pub command_id: CommandId,
    /// What kind of mistake.
    pub code: StockRejectionCode,
    /// The same in words; at most `MAX_DETAIL_BYTES`.
    #[serde(with = "crate::text")]
    pub detail: String,
}

symbols!(
    /// Kinds of mistakes in a stock command.
    StockRejectionCode {
        /// A receipt of 0 or fewer pieces.
        QuantityNotPositive,
        /// An adjustment by 0.
        NoChange,
        /// Fewer would be left than are reserved and shipped.
        BelowReserved,
        /// The sum does not fit into 64 bits.
        QuantityOverflow,
        /// The command id belongs to a command with other content.
        ContentDiffers,
    }
);
