//! Receipts, adjustments and descriptions: how stock comes into the books, how the books are mended, and what is said of a SKU.
//!
//! Each is a command of an operator with an id of its own; the same id again, for the same SKU, is the same command.
//! Its receipt keeps what was said about it, so that it can be said again word for word. Who asks and why is no part of what
//! makes two commands the same.

use schemas::{
    CommandId, Origin, ProductDescribed, Sku, StockAdjusted, StockCommand, StockCommandRefused, StockCommandRejected,
    StockEvent, StockReceived, StockRejectionCode, Time, limits,
};

use super::level::Level;
use super::product::{self, Description, Flaw};
use crate::decision::{Contradiction, Decision, Follows, Inconsistent, Transition};

/// That a stock command was carried out, by SKU and command id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Which SKU.
    pub sku: Sku,
    /// The command's id.
    pub command_id: CommandId,
    /// The SKU's version that it made.
    pub version: i64,
    /// What it did.
    pub deed: Deed,
    /// When it was carried out.
    pub at: Time,
    /// Who asked, where it was said.
    pub by: Option<String>,
    /// Why, where it was said.
    pub note: Option<String>,
}

/// What a stock command does: all that makes two commands the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// `ReceiveStock` of so many pieces.
    Received(i64),
    /// `AdjustStock` by so many.
    Adjusted(i64),
    /// `DescribeProduct`.
    Described(Description),
}

impl Deed {
    /// What the command asks for.
    pub fn asked_by(command: &StockCommand) -> Self {
        match command {
            StockCommand::ReceiveStock(command) => Deed::Received(command.quantity),
            StockCommand::AdjustStock(command) => Deed::Adjusted(command.delta),
            StockCommand::DescribeProduct(command) => Deed::Described(Description::asked_by(command)),
        }
    }

    /// What the event says was done; none for a refused command.
    pub fn told_by(event: &StockEvent) -> Option<Self> {
        match event {
            StockEvent::StockReceived(event) => Some(Deed::Received(event.quantity)),
            StockEvent::StockAdjusted(event) => Some(Deed::Adjusted(event.delta)),
            StockEvent::ProductDescribed(event) => Some(Deed::Described(Description::told_by(event))),
            StockEvent::StockCommandRejected(_) | StockEvent::StockCommandRefused(_) => None,
        }
    }

    /// The deed's name, for a column.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Deed::Received(_) => "received",
            Deed::Adjusted(_) => "adjusted",
            Deed::Described(_) => "described",
        }
    }

    /// How many pieces came, or went.
    pub const fn pieces(&self) -> i64 {
        match self {
            Deed::Received(pieces) | Deed::Adjusted(pieces) => *pieces,
            Deed::Described(_) => 0,
        }
    }

    /// The name of the command that asks for it.
    const fn command(&self) -> &'static str {
        match self {
            Deed::Received(_) => "ReceiveStock",
            Deed::Adjusted(_) => "AdjustStock",
            Deed::Described(_) => "DescribeProduct",
        }
    }

    /// In words.
    fn told(&self) -> String {
        match self {
            Deed::Received(pieces) | Deed::Adjusted(pieces) => format!("{} of {pieces}", self.as_str()),
            Deed::Described(Description { title, .. }) => format!("a description as {title:?}"),
        }
    }
}

impl Receipt {
    /// The receipt that an event leaves; none for a refused command.
    pub fn of(event: &StockEvent) -> Option<Self> {
        let (deed, version) = (Deed::told_by(event)?, event.version()?);
        let (by, note) = event.origin().map_or((None, None), |origin| (origin.by.clone(), origin.note.clone()));
        let (sku, command_id, at) = (event.key().clone(), event.command_id().clone(), event.at());
        Some(Receipt { sku, command_id, version, deed, at, by, note })
    }

    /// What is said of it.
    fn event(&self) -> StockEvent {
        let (sku, command_id) = (self.sku.clone(), self.command_id.clone());
        let (version, at, origin) = (self.version, self.at, self.origin());
        match &self.deed {
            Deed::Received(quantity) => {
                StockReceived { sku, version, at, command_id, quantity: *quantity, origin }.into()
            }
            Deed::Adjusted(delta) => StockAdjusted { sku, version, at, command_id, delta: *delta, origin }.into(),
            Deed::Described(Description { title, price_minor, currency }) => {
                let (title, price_minor, currency) = (title.clone(), *price_minor, currency.clone());
                ProductDescribed { sku, version, at, command_id, title, price_minor, currency, origin }.into()
            }
        }
    }

    fn origin(&self) -> Option<Origin> {
        (self.by.is_some() || self.note.is_some()).then(|| Origin {
            command: self.deed.command().to_owned(),
            command_id: self.command_id.clone(),
            by: self.by.clone(),
            note: self.note.clone(),
        })
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
    let deed = Deed::asked_by(command);
    if let Some(receipt) = receipt {
        return if receipt.deed == deed {
            Decision::repeated(receipt.event())
        } else {
            Decision::rejected(differs(receipt, command, now))
        };
    }
    let refusal = match &deed {
        Deed::Received(quantity) => receipt_flaw(level, *quantity).map(|flaw| reject(command, now, flaw)),
        Deed::Adjusted(delta) => adjustment_flaw(level, *delta).map(|flaw| reject(command, now, flaw)),
        Deed::Described(description) => {
            let flaws = product::flaws(description);
            (!flaws.is_empty()).then(|| refuse(command, now, flaws))
        }
    };
    if let Some(refusal) = refusal {
        return Decision::rejected(refusal);
    }
    let receipt = Receipt {
        sku: command.key().clone(),
        command_id: command.command_id().clone(),
        version: level.version + 1,
        deed,
        at: now,
        by: command.by().map(limits::detail),
        note: command.note().map(limits::detail),
    };
    Decision::applied(receipt.event(), Vec::new())
}

type Rejection = (StockRejectionCode, String);

fn receipt_flaw(level: Level, quantity: i64) -> Option<Rejection> {
    if quantity <= 0 {
        let detail = format!("the quantity is {quantity}; it must be above 0");
        return Some((StockRejectionCode::QuantityNotPositive, detail));
    }
    level.received.checked_add(quantity).is_none().then(|| overflow(level, quantity))
}

fn adjustment_flaw(level: Level, delta: i64) -> Option<Rejection> {
    if delta == 0 {
        return Some((StockRejectionCode::NoChange, "an adjustment by 0 changes nothing".into()));
    }
    let Some(received) = level.received.checked_add(delta) else { return Some(overflow(level, delta)) };
    if delta < 0 && !(Level { received, ..level }).is_sound() {
        let available = level.available();
        let detail = format!("an adjustment by {delta} would take more than the {available} that are available");
        return Some((StockRejectionCode::BelowReserved, detail));
    }
    None
}

fn overflow(level: Level, pieces: i64) -> Rejection {
    let detail = format!("{} received before and {pieces} do not fit into 64 bits", level.received);
    (StockRejectionCode::QuantityOverflow, detail)
}

/// The command's id is that of another command.
fn differs(receipt: &Receipt, command: &StockCommand, now: Time) -> StockEvent {
    let detail = format!("command {} was {} before", receipt.command_id, receipt.deed.told());
    match command {
        StockCommand::ReceiveStock(_) | StockCommand::AdjustStock(_) => {
            reject(command, now, (StockRejectionCode::ContentDiffers, detail))
        }
        StockCommand::DescribeProduct(_) => refuse(command, now, vec![(Flaw::ContentDiffers, detail)]),
    }
}

fn reject(command: &StockCommand, now: Time, (code, detail): Rejection) -> StockEvent {
    StockCommandRejected {
        sku: command.key().clone(),
        at: now,
        command_id: command.command_id().clone(),
        code,
        detail: limits::detail(detail),
    }
    .into()
}

fn refuse(command: &StockCommand, now: Time, flaws: Vec<(Flaw, String)>) -> StockEvent {
    StockCommandRefused {
        sku: command.key().clone(),
        at: now,
        command: command.name().to_owned(),
        command_id: command.command_id().clone(),
        reasons: flaws.into_iter().map(|(flaw, detail)| flaw.refusal(detail)).collect(),
    }
    .into()
}

/// The level of `sku` after the event. A repeated event (its version is not above the level's) and refusals change nothing.
///
/// # Errors
/// Versions are missing, the event belongs to another SKU, or the sum does not fit into 64 bits.
pub fn evolve_stock(sku: &Sku, level: Level, event: &StockEvent) -> Result<Level, Inconsistent> {
    let (Some(deed), Some(event_version)) = (Deed::told_by(event), event.version()) else { return Ok(level) };
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
    match level.received.checked_add(deed.pieces()) {
        Some(received) => Ok(Level { version: event_version, received, ..level }),
        None => Err(transition.contradicts(Contradiction::Overflow)),
    }
}
