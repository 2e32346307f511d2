//! Receipts and adjustments: how stock comes into the books and how the books are mended.
//!
//! Each is a command of an operator with an id of its own; the same id again, for the same SKU, is the same command.
//! Its receipt keeps what was said about it, so that it can be said again word for word.

use schemas::{
    AdjustStock, CommandId, ReceiveStock, Sku, StockAdjusted, StockCommand, StockCommandRejected, StockEvent,
    StockReceived, StockRejectionCode, Time, limits,
};
use serde::{Deserialize, Serialize};

use super::level::Level;
use crate::decision::{Contradiction, Decision, Follows, Inconsistent, Transition};

/// That a stock command was carried out, by SKU and command id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Which SKU.
    pub sku: Sku,
    /// The command's id.
    pub command_id: CommandId,
    /// The SKU's version that it made.
    pub version: i64,
    /// What it was.
    pub kind: ReceiptKind,
    /// The quantity received, or the adjustment's delta.
    pub pieces: i64,
    /// When it was carried out.
    pub at: Time,
}

/// What a stock command was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ReceiptKind {
    /// `ReceiveStock`.
    Received,
    /// `AdjustStock`.
    Adjusted,
}

impl ReceiptKind {
    /// The kind's name, for a column.
    pub const fn as_str(self) -> &'static str {
        match self {
            ReceiptKind::Received => "received",
            ReceiptKind::Adjusted => "adjusted",
        }
    }

    /// The kind of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Received, Self::Adjusted].into_iter().find(|one| one.as_str() == name)
    }
}

impl Receipt {
    /// The receipt that an event leaves; none for a refused command.
    pub fn of(event: &StockEvent) -> Option<Self> {
        match event {
            StockEvent::StockReceived(event) => Some(Receipt {
                sku: event.sku.clone(),
                command_id: event.command_id.clone(),
                version: event.version,
                kind: ReceiptKind::Received,
                pieces: event.quantity,
                at: event.at,
            }),
            StockEvent::StockAdjusted(event) => Some(Receipt {
                sku: event.sku.clone(),
                command_id: event.command_id.clone(),
                version: event.version,
                kind: ReceiptKind::Adjusted,
                pieces: event.delta,
                at: event.at,
            }),
            StockEvent::StockCommandRejected(_) => None,
        }
    }

    fn event(&self) -> StockEvent {
        let (sku, command_id) = (self.sku.clone(), self.command_id.clone());
        let (version, at) = (self.version, self.at);
        match self.kind {
            ReceiptKind::Received => StockReceived { sku, version, at, command_id, quantity: self.pieces }.into(),
            ReceiptKind::Adjusted => StockAdjusted { sku, version, at, command_id, delta: self.pieces }.into(),
        }
    }
}

/// What inventory does about a stock command. `receipt` is the one of this SKU and command id, where there is one;
/// `level` the SKU's, which the caller holds locked.
pub fn decide_stock(
    receipt: Option<&Receipt>,
    level: Level,
    command: &StockCommand,
    now: Time,
) -> Decision<StockEvent> {
    match command {
        StockCommand::ReceiveStock(command) => receive(receipt, level, command, now),
        StockCommand::AdjustStock(command) => adjust(receipt, level, command, now),
    }
}

fn receive(receipt: Option<&Receipt>, level: Level, command: &ReceiveStock, now: Time) -> Decision<StockEvent> {
    let ReceiveStock { sku, command_id, quantity } = command;
    let reject = |code, detail| reject(sku, command_id, now, code, detail);
    if let Some(receipt) = receipt {
        return repeated(receipt, ReceiptKind::Received, *quantity, now);
    }
    if *quantity <= 0 {
        let detail = format!("the quantity is {quantity}; it must be above 0");
        return reject(StockRejectionCode::QuantityNotPositive, detail);
    }
    if level.received.checked_add(*quantity).is_none() {
        let detail = format!("{} received before and {quantity} do not fit into 64 bits", level.received);
        return reject(StockRejectionCode::QuantityOverflow, detail);
    }
    let (sku, command_id) = (sku.clone(), command_id.clone());
    let version = level.version + 1;
    Decision::applied(StockReceived { sku, version, at: now, command_id, quantity: *quantity }, Vec::new())
}

fn adjust(receipt: Option<&Receipt>, level: Level, command: &AdjustStock, now: Time) -> Decision<StockEvent> {
    let AdjustStock { sku, command_id, delta } = command;
    let reject = |code, detail| reject(sku, command_id, now, code, detail);
    if let Some(receipt) = receipt {
        return repeated(receipt, ReceiptKind::Adjusted, *delta, now);
    }
    if *delta == 0 {
        return reject(StockRejectionCode::NoChange, "an adjustment by 0 changes nothing".into());
    }
    let Some(received) = level.received.checked_add(*delta) else {
        let detail = format!("{} received before and {delta} do not fit into 64 bits", level.received);
        return reject(StockRejectionCode::QuantityOverflow, detail);
    };
    if *delta < 0 && !(Level { received, ..level }).is_sound() {
        let available = level.available();
        let detail = format!("an adjustment by {delta} would take more than the {available} that are available");
        return reject(StockRejectionCode::BelowReserved, detail);
    }
    let (sku, command_id) = (sku.clone(), command_id.clone());
    let version = level.version + 1;
    Decision::applied(StockAdjusted { sku, version, at: now, command_id, delta: *delta }, Vec::new())
}

fn repeated(receipt: &Receipt, kind: ReceiptKind, pieces: i64, now: Time) -> Decision<StockEvent> {
    if receipt.kind == kind && receipt.pieces == pieces {
        return Decision::repeated(receipt.event());
    }
    let detail = format!("command {} was {} of {} before", receipt.command_id, receipt.kind.as_str(), receipt.pieces);
    reject(&receipt.sku, &receipt.command_id, now, StockRejectionCode::ContentDiffers, detail)
}

fn reject(
    sku: &Sku,
    command_id: &CommandId,
    now: Time,
    code: StockRejectionCode,
    detail: String,
) -> Decision<StockEvent> {
    Decision::rejected(StockCommandRejected {
        sku: sku.clone(),
        at: now,
        command_id: command_id.clone(),
        code,
        detail: limits::detail(detail),
    })
}

/// The level of `sku` after the event. A repeated event (its version is not above the level's) and
/// `StockCommandRejected` change nothing.
///
/// # Errors
/// Versions are missing, the event belongs to another SKU, or the sum does not fit into 64 bits.
pub fn evolve_stock(sku: &Sku, level: Level, event: &StockEvent) -> Result<Level, Inconsistent> {
    let (event_version, pieces) = match event {
        StockEvent::StockReceived(event) => (event.version, event.quantity),
        StockEvent::StockAdjusted(event) => (event.version, event.delta),
        StockEvent::StockCommandRejected(_) => return Ok(level),
    };
    let transition = Transition {
        aggregate: "SKU",
        id: event.key().as_str(),
        state: Some((sku.as_str(), level.version)),
        event: event.name(),
        event_version,
    };
    if transition.judge()? == Follows::Old {
        return Ok(level);
    }
    match level.received.checked_add(pieces) {
        Some(received) => Ok(Level { version: event_version, received, ..level }),
        None => Err(transition.contradicts(Contradiction::Overflow)),
    }
}
