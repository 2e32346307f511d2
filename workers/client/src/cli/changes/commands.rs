//! What each verb can be told, and the command that it makes of it.

use clap::{Args, ValueEnum};
use schemas::{
    CancelOrder, CommandId, HoldOrder, LineQuantity, OrderCommand, ReceiveReturn, RefundOrder, RejectOrder,
    ReleaseOrder, RequestReturn, ResolveOrder, RetryOrder, ReturnedLine, ShipOrder, SkipOrderStep, Time,
};

use super::Head;
use super::answers::Awaits;
use super::verbs::Ask;

/// Of `ship`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Ship {
    /// Who carries it.
    #[arg(long)]
    carrier: Option<String>,

    /// The carrier's number.
    #[arg(long)]
    tracking: Option<String>,

    /// What leaves: pieces of a line, from 1; may be repeated. Without it, everything.
    #[arg(long = "line", value_name = "N=QTY", value_parser = line_quantity)]
    lines: Vec<LineQuantity>,
}

impl Ask for Ship {
    const DONE: &'static str = "shipped";
    const AWAITS: Awaits = Awaits::Taken;

    fn command(&self, head: Head) -> OrderCommand {
        let Head { order_id, command_id, by, note } = head;
        let (lines, carrier, tracking) = (self.lines.clone(), self.carrier.clone(), self.tracking.clone());
        ShipOrder { order_id, command_id, lines, carrier, tracking, by, note }.into()
    }
}

/// Of `cancel`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Cancel {
    /// Why, as a code of yours.
    #[arg(long, value_name = "CODE")]
    reason: Option<String>,
}

impl Ask for Cancel {
    const DONE: &'static str = "cancelled";
    const AWAITS: Awaits = Awaits::Undone;

    fn command(&self, head: Head) -> OrderCommand {
        let Head { order_id, command_id, by, note } = head;
        CancelOrder { order_id, command_id, reason_code: self.reason.clone(), by, note }.into()
    }
}

/// Of `refund`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Refund {
    /// How much, in minor units of the order's currency.
    #[arg(long, value_name = "MINOR", conflicts_with = "lines", allow_negative_numbers = true)]
    amount: Option<i64>,

    /// What it is for, at the price of its pieces: pieces of a line, from 1; may be repeated.
    #[arg(long = "line", value_name = "N=QTY", value_parser = line_quantity)]
    lines: Vec<LineQuantity>,

    /// Why, as a code of yours.
    #[arg(long, value_name = "CODE")]
    reason: Option<String>,
}

impl Ask for Refund {
    const DONE: &'static str = "refunded";
    const AWAITS: Awaits = Awaits::Refunded;

    fn command(&self, head: Head) -> OrderCommand {
        let Head { order_id, command_id, by, note } = head;
        let (amount_minor, lines, reason_code) = (self.amount, self.lines.clone(), self.reason.clone());
        RefundOrder { order_id, command_id, amount_minor, lines, reason_code, by, note }.into()
    }
}

/// Of `hold`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Hold {
    /// Why, as a code of yours.
    #[arg(long, value_name = "CODE")]
    reason: String,

    /// Until then it is released, or it is undone; such as 2026-01-01T12:00:00Z. Without it, the service's own limit.
    #[arg(long, value_name = "TIME")]
    until: Option<Time>,
}

impl Ask for Hold {
    const DONE: &'static str = "held";
    const AWAITS: Awaits = Awaits::Taken;

    fn command(&self, head: Head) -> OrderCommand {
        let Head { order_id, command_id, by, note } = head;
        HoldOrder { order_id, command_id, reason_code: self.reason.clone(), until: self.until, by, note }.into()
    }
}

/// Of `release`: it has no options of its own.
#[derive(Debug, Args)]
pub(in crate::cli) struct Nothing {}

impl Ask for Nothing {
    const DONE: &'static str = "released";
    const AWAITS: Awaits = Awaits::Taken;

    fn command(&self, head: Head) -> OrderCommand {
        let Head { order_id, command_id, by, note } = head;
        ReleaseOrder { order_id, command_id, by, note }.into()
    }
}

/// Of `reject`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Reject {
    /// Why, as a code of yours.
    #[arg(long, value_name = "CODE")]
    reason: String,
}

impl Ask for Reject {
    const DONE: &'static str = "rejected";
    const AWAITS: Awaits = Awaits::Undone;

    fn command(&self, head: Head) -> OrderCommand {
        let Head { order_id, command_id, by, note } = head;
        RejectOrder { order_id, command_id, reason_code: self.reason.clone(), by, note }.into()
    }
}

/// Of `return request`.
#[derive(Debug, Args)]
pub(in crate::cli) struct RequestBack {
    /// What is to come back: pieces of a line, from 1; may be repeated. Without it, everything that is still out.
    #[arg(long = "line", value_name = "N=QTY", value_parser = line_quantity)]
    lines: Vec<LineQuantity>,

    /// Why, as a code of yours.
    #[arg(long, value_name = "CODE")]
    reason: Option<String>,
}

impl Ask for RequestBack {
    const DONE: &'static str = "awaited back";
    const AWAITS: Awaits = Awaits::Taken;

    fn command(&self, head: Head) -> OrderCommand {
        let Head { order_id, command_id, by, note } = head;
        let (lines, reason_code) = (self.lines.clone(), self.reason.clone());
        RequestReturn { order_id, command_id, lines, reason_code, by, note }.into()
    }
}

/// Of `return receive`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Receive {
    /// Which return: the id of the command that asked for it.
    #[arg(long = "return", value_name = "RETURN_ID")]
    return_id: CommandId,

    /// What came and what becomes of it: pieces of a line, from 1, to restock or write_off; may be repeated.
    #[arg(long = "line", value_name = "N=QTY:WHAT", value_parser = returned_line, required = true)]
    lines: Vec<ReturnedLine>,

    /// How much to give back, in minor units. Without it, what the lines cost.
    #[arg(long, value_name = "MINOR", allow_negative_numbers = true)]
    refund: Option<i64>,
}

impl Ask for Receive {
    const DONE: &'static str = "taken back";
    const AWAITS: Awaits = Awaits::TakenBack;

    fn command(&self, head: Head) -> OrderCommand {
        let Head { order_id, command_id, by, note } = head;
        let (return_id, lines) = (self.return_id.clone(), self.lines.clone());
        ReceiveReturn { order_id, command_id, return_id, lines, refund_minor: self.refund, by, note }.into()
    }
}

/// Of `stuck retry`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Retry {
    /// The step that is meant, as `orders show` names it: no other one is tried. Without it, whichever.
    #[arg(long)]
    step: Option<String>,
}

impl Ask for Retry {
    const DONE: &'static str = "tried again";
    const AWAITS: Awaits = Awaits::Taken;

    fn command(&self, head: Head) -> OrderCommand {
        let Head { order_id, command_id, by, note } = head;
        RetryOrder { order_id, command_id, step: self.step.clone(), by, note }.into()
    }
}

/// Of `stuck skip`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Skip {
    /// The step that is meant, as `orders show` names it: no other one is skipped. Without it, whichever.
    #[arg(long)]
    step: Option<String>,
}

impl Ask for Skip {
    const DONE: &'static str = "past its step";
    const AWAITS: Awaits = Awaits::Taken;

    fn command(&self, head: Head) -> OrderCommand {
        let Head { order_id, command_id, by, note } = head;
        SkipOrderStep { order_id, command_id, step: self.step.clone(), by, note }.into()
    }
}

/// Of `stuck resolve`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Resolve {
    /// Whether its goods are with the customer.
    #[arg(long = "as", value_name = "OUTCOME")]
    outcome: Resolution,
}

/// How a person ends an order.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Resolution {
    Completed,
    Cancelled,
}

impl Ask for Resolve {
    const DONE: &'static str = "resolved";
    const AWAITS: Awaits = Awaits::Taken;

    fn command(&self, head: Head) -> OrderCommand {
        let Head { order_id, command_id, by, note } = head;
        let outcome = match self.outcome {
            Resolution::Completed => "completed",
            Resolution::Cancelled => "cancelled",
        };
        ResolveOrder { order_id, command_id, outcome: outcome.to_owned(), by, note }.into()
    }
}

/// `N=QTY`.
fn line_quantity(text: &str) -> Result<LineQuantity, String> {
    let wrong = || format!("{text:?} is not N=QTY, a line's number from 1 and its pieces, such as 1=2");
    let (line, quantity) = text.split_once('=').ok_or_else(wrong)?;
    Ok(LineQuantity { line: line.parse().map_err(|_| wrong())?, quantity: quantity.parse().map_err(|_| wrong())? })
}

/// `N=QTY:restock` or `N=QTY:write_off`.
fn returned_line(text: &str) -> Result<ReturnedLine, String> {
    let wrong = || format!("{text:?} is not N=QTY:restock or N=QTY:write_off");
    let (pieces, disposition) = text.split_once(':').ok_or_else(wrong)?;
    if !["restock", "write_off"].contains(&disposition) {
        return Err(wrong());
    }
    let LineQuantity { line, quantity } = line_quantity(pieces).map_err(|_| wrong())?;
    Ok(ReturnedLine { line, quantity, disposition: disposition.to_owned() })
}
