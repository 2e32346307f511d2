//! What a person can do to an order: the commands that forms make, who may, and what the state machine would make of each.
//!
//! Whether something is offered is asked of the core itself, so that nothing is offered which would be refused. Only the services know
//! their configuration: limits of time are taken for the default ones. Deliberately absent: carrying it out, which is the door's.

use client::body_json;
use domain::decision::Outcome;
use domain::saga::{Input, Order, Policy, Return, ReturnState, decide};
use grammar::money;
use schemas::{
    CancelOrder, CommandId, HoldOrder, LineQuantity, Message, OrderCommand, ReceiveReturn, RefundOrder, RejectOrder,
    ReleaseOrder, RequestReturn, ResolveOrder, RetryOrder, ReturnedLine, ShipOrder, SkipOrderStep, Time,
};

use super::words;
use crate::http::Problem;
use crate::keys::Role;

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Let the goods leave.
    Ship,
    /// Let a held order go on.
    Release,
    /// Have the step tried again at which it is stuck.
    Retry,
    /// Take that step for done.
    Skip,
    /// End a stuck order.
    Resolve,
    /// Give money back.
    Refund,
    /// Expect goods back.
    Return,
    /// Goods have come back.
    Receive,
    /// Stop it until somebody has looked.
    Hold,
    /// Undo it, as the customer wishes.
    Cancel,
    /// Undo it, as somebody has decided who looked at it.
    Reject,
}

impl Act {
    /// All of them, in the order in which they are offered: what brings an order on comes first.
    pub(super) const ALL: [Act; 11] = [
        Act::Ship,
        Act::Release,
        Act::Retry,
        Act::Skip,
        Act::Resolve,
        Act::Refund,
        Act::Return,
        Act::Receive,
        Act::Hold,
        Act::Cancel,
        Act::Reject,
    ];

    /// Those that mean the same for many orders at once.
    pub(super) const IN_BULK: [Act; 6] = [Act::Ship, Act::Release, Act::Retry, Act::Refund, Act::Hold, Act::Cancel];

    /// The last part of its path.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Act::Ship => "ship",
            Act::Release => "release",
            Act::Retry => "retry",
            Act::Skip => "skip",
            Act::Resolve => "resolve",
            Act::Refund => "refund",
            Act::Return => "return",
            Act::Receive => "receive",
            Act::Hold => "hold",
            Act::Cancel => "cancel",
            Act::Reject => "reject",
        }
    }

    /// The one of this name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Act::ALL.into_iter().find(|act| act.as_str() == name)
    }

    /// What its button says.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Act::Ship => "Ship",
            Act::Release => "Release",
            Act::Retry => "Try again",
            Act::Skip => "Take the step for done",
            Act::Resolve => "End the order",
            Act::Refund => "Refund",
            Act::Return => "Request a return",
            Act::Receive => "Receive a return",
            Act::Hold => "Hold",
            Act::Cancel => "Cancel",
            Act::Reject => "Reject",
        }
    }

    /// Who may.
    pub(super) const fn role(self) -> Role {
        match self {
            Act::Ship | Act::Refund | Act::Return | Act::Receive | Act::Cancel => Role::OrdersWrite,
            Act::Release | Act::Retry | Act::Skip | Act::Resolve | Act::Hold | Act::Reject => Role::OpsAct,
        }
    }

    /// Whether it cannot be taken back, and undoes something.
    pub(super) const fn undoes(self) -> bool {
        match self {
            Act::Cancel | Act::Reject | Act::Resolve => true,
            Act::Ship
            | Act::Release
            | Act::Retry
            | Act::Skip
            | Act::Refund
            | Act::Return
            | Act::Receive
            | Act::Hold => false,
        }
    }

    /// Whether it asks for a code of the shop's, and whether nothing is done without one.
    pub(super) const fn reason_code(self) -> Option<bool> {
        match self {
            Act::Hold | Act::Reject => Some(true),
            Act::Cancel | Act::Refund | Act::Return => Some(false),
            Act::Ship | Act::Release | Act::Retry | Act::Skip | Act::Resolve | Act::Receive => None,
        }
    }

    /// Whether nothing is done without a note: it is all that tells later who has seen to the rest.
    pub(super) const fn needs_note(self) -> bool {
        match self {
            Act::Skip | Act::Resolve => true,
            Act::Ship
            | Act::Release
            | Act::Retry
            | Act::Refund
            | Act::Return
            | Act::Receive
            | Act::Hold
            | Act::Cancel
            | Act::Reject => false,
        }
    }
}

/// What stands in a form. A field that is empty is not there.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields(pub(super) Vec<(String, String)>);

impl Fields {
    /// The field of this name.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All fields of this name.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let values = self.0.iter().filter(move |(of, _)| of == name).map(|(_, value)| value.trim());
        values.filter(|value| !value.is_empty())
    }

    fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    fn needed(&self, name: &str, what: &str) -> Result<String, String> {
        self.owned(name).ok_or_else(|| format!("give {what}"))
    }

    /// Pieces of lines, by fields named `line-1`, `line-2`, …
    fn pieces(&self, prefix: &str) -> Result<Vec<LineQuantity>, String> {
        let named = self.0.iter().filter_map(|(name, value)| Some((name.strip_prefix(prefix)?, value.trim())));
        let given = named.filter(|(_, value)| !value.is_empty() && *value != "0");
        let piece = |(line, value): (&str, &str)| {
            let quantity = value.parse().map_err(|_| format!("line {line}: {value} is no number of pieces"))?;
            let line = line.parse().map_err(|_| format!("{line} is no line of the order"))?;
            Ok(LineQuantity { line, quantity })
        };
        given.map(piece).collect()
    }

    /// An amount that can still be given back.
    fn amount(&self, order: &Order) -> Result<i64, String> {
        let (currency, left) = (order.currency.as_str(), order.refundable_minor());
        let minor = words::read_amount(&self.needed("amount", "an amount")?, currency)?;
        match minor <= left {
            true => Ok(minor),
            false => Err(format!("{} is more than is left: {}", money(minor, currency), money(left, currency))),
        }
    }
}

/// What a form asks for, as who sends it says.
pub(super) fn command(
    act: Act,
    order: &Order,
    fields: &Fields,
    id: &CommandId,
    by: &str,
) -> Result<OrderCommand, String> {
    let (order_id, command_id, by) = (order.order_id.clone(), id.clone(), Some(by.to_owned()));
    let (note, reason_code) = (fields.owned("note"), fields.owned("reason_code"));
    if act.needs_note() && note.is_none() {
        return Err("say in the note who has seen to it, and how".to_owned());
    }
    let step = fields.owned("step");
    Ok(match act {
        Act::Ship => {
            let (carrier, tracking) = (fields.owned("carrier"), fields.owned("tracking"));
            ShipOrder { order_id, command_id, lines: Vec::new(), carrier, tracking, by, note }.into()
        }
        Act::Release => ReleaseOrder { order_id, command_id, by, note }.into(),
        Act::Retry => RetryOrder { order_id, command_id, step, by, note }.into(),
        Act::Skip => SkipOrderStep { order_id, command_id, step, by, note }.into(),
        Act::Resolve => {
            let outcome = fields.needed("outcome", "how the order ends")?;
            ResolveOrder { order_id, command_id, outcome, by, note }.into()
        }
        Act::Refund => {
            let (amount_minor, lines) = match fields.needed("how", "how much is given back")?.as_str() {
                "amount" => (Some(fields.amount(order)?), Vec::new()),
                "lines" => (None, some(fields.pieces("line-")?)?),
                _ => (None, Vec::new()),
            };
            RefundOrder { order_id, command_id, amount_minor, lines, reason_code, by, note }.into()
        }
        Act::Return => {
            let lines = match fields.needed("how", "what comes back")?.as_str() {
                "lines" => some(fields.pieces("line-")?)?,
                _ => Vec::new(),
            };
            RequestReturn { order_id, command_id, lines, reason_code, by, note }.into()
        }
        Act::Receive => {
            let return_id = fields.needed("return_id", "which return has come")?;
            let return_id = CommandId::new(return_id).map_err(|error| error.to_string())?;
            let refund_minor = fields.text("amount").map(|_| fields.amount(order)).transpose()?;
            ReceiveReturn { order_id, command_id, return_id, lines: received(fields)?, refund_minor, by, note }.into()
        }
        Act::Hold => {
            let reason_code = fields.needed("reason_code", "a code for why it is held")?;
            let until = fields.text("until").map(words::read_time).transpose()?;
            HoldOrder { order_id, command_id, reason_code, until, by, note }.into()
        }
        Act::Cancel => CancelOrder { order_id, command_id, reason_code, by, note }.into(),
        Act::Reject => {
            let reason_code = fields.needed("reason_code", "a code for why it is rejected")?;
            RejectOrder { order_id, command_id, reason_code, by, note }.into()
        }
    })
}

fn some(lines: Vec<LineQuantity>) -> Result<Vec<LineQuantity>, String> {
    if lines.is_empty() { Err("say of at least one line how many pieces".to_owned()) } else { Ok(lines) }
}

/// Pieces that are sold again, and those that are not.
fn received(fields: &Fields) -> Result<Vec<ReturnedLine>, String> {
    let mut lines = Vec::new();
    for disposition in ["restock", "write_off"] {
        let pieces = fields.pieces(&format!("{disposition}-"))?;
        lines.extend(pieces.into_iter().map(|LineQuantity { line, quantity }| ReturnedLine {
            line,
            quantity,
            disposition: disposition.to_owned(),
        }));
    }
    if lines.is_empty() { Err("say of at least one line how many pieces have come".to_owned()) } else { Ok(lines) }
}

/// What the state machine would make of a command.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Verdict {
    /// It would be done: the names of what would happen, and of what would be asked of other services.
    Done(Vec<&'static str>),
    /// It would be refused.
    Refused(Box<Problem>),
    /// Nothing would be left to do.
    Nothing,
}

/// Tries a command on the order as it stands.
pub(super) fn verdict(order: &Order, command: &OrderCommand, now: Time) -> Verdict {
    let decision = decide(Some(order), Input::Command(command), now, &Policy::default());
    match (decision.outcome, &decision.event) {
        (Outcome::Applied, _) => Verdict::Done(decision.messages().map(|message| message.name()).collect()),
        (Outcome::Rejected, Some(event)) => {
            let refusal = body_json(&Message::from(event.clone()));
            Verdict::Refused(Box::new(Problem::refused(&refusal)))
        }
        (
            Outcome::Rejected
            | Outcome::Pending
            | Outcome::Repeated
            | Outcome::NoEffect
            | Outcome::Late
            | Outcome::Unknown,
            _,
        ) => Verdict::Nothing,
    }
}

/// Whether the order's state allows it, in the simplest form in which it can be asked for.
pub(super) fn is_allowed(act: Act, order: &Order, now: Time) -> bool {
    let Ok(thought) = CommandId::new("thought") else { return false };
    let Some(fields) = simplest(act, order) else { return false };
    let command = command(act, order, &fields, &thought, "nobody");
    command.is_ok_and(|command| matches!(verdict(order, &command, now), Verdict::Done(_)))
}

/// The returns whose goods are still to come.
pub(super) fn open_returns(order: &Order) -> impl Iterator<Item = &Return> {
    let returns = order.aftercare.iter().flat_map(|aftercare| &aftercare.returns);
    returns.filter(|one| one.state == ReturnState::Requested)
}

fn simplest(act: Act, order: &Order) -> Option<Fields> {
    let mut fields = vec![("note", "thought".to_owned()), ("reason_code", "thought".to_owned())];
    match act {
        Act::Refund | Act::Return => fields.push(("how", "all".to_owned())),
        Act::Resolve => fields.push(("outcome", "cancelled".to_owned())),
        Act::Receive => fields.push(("return_id", open_returns(order).next()?.return_id.to_string())),
        Act::Ship | Act::Release | Act::Retry | Act::Skip | Act::Hold | Act::Cancel | Act::Reject => {}
    }
    let mut fields: Vec<(String, String)> = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    if let Some(line) = open_returns(order).next().and_then(|one| one.lines.first()).filter(|_| act == Act::Receive) {
        fields.push((format!("restock-{}", line.line), "1".to_owned()));
    }
    Some(Fields(fields))
}
