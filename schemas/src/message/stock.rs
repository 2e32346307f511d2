//! What operators ask about a SKU, and what inventory says of it.

use serde::{Deserialize, Serialize};

use super::{Origin, Refusal};
use crate::symbols::symbols;
use crate::{CommandId, Sku, StockCommand, StockEvent, Time, text};

/// Goods have arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiveStock {
    /// Which SKU; a new one is created.
    pub sku: Sku,
    /// Makes a repeated receipt harmless.
    pub command_id: CommandId,
    /// How many pieces, above 0.
    pub quantity: i64,
    /// Who asks, at most `MAX_DETAIL_BYTES`.
    #[serde(default, with = "text::optional")]
    pub by: Option<String>,
    /// Why, in words, at most `MAX_DETAIL_BYTES`.
    #[serde(default, with = "text::optional")]
    pub note: Option<String>,
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
    /// Who asks, at most `MAX_DETAIL_BYTES`.
    #[serde(default, with = "text::optional")]
    pub by: Option<String>,
    /// Why, in words, at most `MAX_DETAIL_BYTES`.
    #[serde(default, with = "text::optional")]
    pub note: Option<String>,
}

/// Say what a SKU is and what it costs; replaces what was said before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescribeProduct {
    /// Which SKU; a new one is created, without stock.
    pub sku: Sku,
    /// Makes a repeated description harmless.
    pub command_id: CommandId,
    /// What it is called, 1 to `MAX_TITLE_BYTES`, not blanks alone.
    #[serde(with = "text")]
    pub title: String,
    /// What a piece costs, in minor units of the currency, from 0 to `MAX_TOTAL_MINOR`.
    pub price_minor: i64,
    /// ISO 4217 alphabetic code.
    #[serde(with = "text")]
    pub currency: String,
    /// Who asks, at most `MAX_DETAIL_BYTES`.
    #[serde(default, with = "text::optional")]
    pub by: Option<String>,
    /// Why, in words, at most `MAX_DETAIL_BYTES`.
    #[serde(default, with = "text::optional")]
    pub note: Option<String>,
}

impl ReceiveStock {
    /// Of which nobody says who asks or why.
    pub const fn of(sku: Sku, command_id: CommandId, quantity: i64) -> Self {
        ReceiveStock { sku, command_id, quantity, by: None, note: None }
    }
}

impl AdjustStock {
    /// Of which nobody says who asks or why.
    pub const fn of(sku: Sku, command_id: CommandId, delta: i64) -> Self {
        AdjustStock { sku, command_id, delta, by: None, note: None }
    }
}

impl StockCommand {
    /// What makes a repetition harmless.
    pub const fn command_id(&self) -> &CommandId {
        match self {
            StockCommand::ReceiveStock(command) => &command.command_id,
            StockCommand::AdjustStock(command) => &command.command_id,
            StockCommand::DescribeProduct(command) => &command.command_id,
        }
    }

    /// Who asks.
    pub fn by(&self) -> Option<&str> {
        match self {
            StockCommand::ReceiveStock(command) => command.by.as_deref(),
            StockCommand::AdjustStock(command) => command.by.as_deref(),
            StockCommand::DescribeProduct(command) => command.by.as_deref(),
        }
    }

    /// Why, in words.
    pub fn note(&self) -> Option<&str> {
        match self {
            StockCommand::ReceiveStock(command) => command.note.as_deref(),
            StockCommand::AdjustStock(command) => command.note.as_deref(),
            StockCommand::DescribeProduct(command) => command.note.as_deref(),
        }
    }
}

impl StockEvent {
    /// The id of the command that it answers.
    pub const fn command_id(&self) -> &CommandId {
        match self {
            StockEvent::StockReceived(event) => &event.command_id,
            StockEvent::StockAdjusted(event) => &event.command_id,
            StockEvent::StockCommandRejected(event) => &event.command_id,
            StockEvent::ProductDescribed(event) => &event.command_id,
            StockEvent::StockCommandRefused(event) => &event.command_id,
        }
    }

    /// The command that made it happen, where it says who asks or why; none for refusals.
    pub const fn origin(&self) -> Option<&Origin> {
        match self {
            StockEvent::StockReceived(event) => event.origin.as_ref(),
            StockEvent::StockAdjusted(event) => event.origin.as_ref(),
            StockEvent::ProductDescribed(event) => event.origin.as_ref(),
            StockEvent::StockCommandRejected(_) | StockEvent::StockCommandRefused(_) => None,
        }
    }
}

/// Goods have arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockReceived {
    /// Which SKU.
    pub sku: Sku,
    /// Of the SKU: counts its receipts, adjustments and descriptions.
    pub version: i64,
    /// When the service decided.
    pub at: Time,
    /// The command's id.
    pub command_id: CommandId,
    /// How many pieces.
    pub quantity: i64,
    /// The command that made it happen, where it says who asks or why.
    #[serde(default)]
    pub origin: Option<Origin>,
}

/// The books were corrected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockAdjusted {
    /// Which SKU.
    pub sku: Sku,
    /// Of the SKU: counts its receipts, adjustments and descriptions.
    pub version: i64,
    /// When the service decided.
    pub at: Time,
    /// The command's id.
    pub command_id: CommandId,
    /// How many pieces more (or fewer).
    pub delta: i64,
    /// The command that made it happen, where it says who asks or why.
    #[serde(default)]
    pub origin: Option<Origin>,
}

/// It was said what a SKU is and what it costs; no stock was touched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductDescribed {
    /// Which SKU.
    pub sku: Sku,
    /// Of the SKU: counts its receipts, adjustments and descriptions.
    pub version: i64,
    /// When the service decided.
    pub at: Time,
    /// The command's id.
    pub command_id: CommandId,
    /// What it is called; at most `MAX_TITLE_BYTES`.
    #[serde(with = "text")]
    pub title: String,
    /// What a piece costs, in minor units of the currency.
    pub price_minor: i64,
    /// ISO 4217 alphabetic code.
    #[serde(with = "text")]
    pub currency: String,
    /// The command that made it happen, where it says who asks or why.
    #[serde(default)]
    pub origin: Option<Origin>,
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

/// A command was refused; nothing was touched. For the commands that [`StockCommandRejected`] has no codes for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockCommandRefused {
    /// The SKU that the command names.
    pub sku: Sku,
    /// When the service decided.
    pub at: Time,
    /// Which command.
    #[serde(with = "text")]
    pub command: String,
    /// The command's id.
    pub command_id: CommandId,
    /// Every reason found, at most `MAX_REASONS`.
    pub reasons: Vec<Refusal>,
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
