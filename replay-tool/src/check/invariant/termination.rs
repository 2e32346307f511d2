//! Every accepted order comes to an end, and nothing waits beyond its deadline; asked only where everything must have come to
//! rest. What waits for a command waits rightly: it is listed, and so are the deadlines that pass with an alarm alone.

use domain::saga::{Order, RefundState, ReturnState, Stage};
use schemas::Time;
use serde::Serialize;

use crate::check::evidence::Evidence;
use crate::check::findings::{Findings, Invariant};
use crate::check::state::State;
use crate::rows::OrderRow;

/// How much later than its deadline something may still wait, in milliseconds: who looks after deadlines needs a moment, and
/// clocks differ.
const GRACE_MS: i64 = 60_000;

/// That an order waits for a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wait {
    /// Which order.
    pub order_id: String,
    /// Where it stands.
    pub stage: String,
    /// For what.
    pub awaiting: Awaited,
    /// Since when, as far as the state tells: the order's last change, or, of a return, none.
    pub since: Option<Time>,
    /// Until when; none where there is no limit.
    pub until: Option<Time>,
    /// Whether that has passed.
    pub is_late: bool,
}

/// What an order can wait for without being at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Awaited {
    /// It is held: `ReleaseOrder` or `RejectOrder`.
    Release,
    /// `ShipOrder`. A deadline that passes is an alarm.
    Shipment,
    /// `ReceiveReturn`.
    Return,
}

impl Awaited {
    /// The command, for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Awaited::Release => "ReleaseOrder",
            Awaited::Shipment => "ShipOrder",
            Awaited::Return => "ReceiveReturn",
        }
    }
}

/// Whatever waits for a command, in the order service's table.
pub(crate) fn waits(state: &State<'_>, now: Time) -> Vec<Wait> {
    let mut waits = Vec::new();
    for row in state.rows.orders.values() {
        let Some(order) = state.order(&row.order_id) else { continue };
        let mut wait = |awaiting, since, until: Option<Time>| {
            let is_late = until.is_some_and(|until| until < now);
            let (order_id, stage) = (row.order_id.clone(), row.stage.clone());
            waits.push(Wait { order_id, stage, awaiting, since, until, is_late });
        };
        if let Some(hold) = order.hold().filter(|_| !order.is_finished()) {
            wait(Awaited::Release, Some(order.changed_at), Some(hold.until));
        } else if order.stage == Stage::ReadyToShip {
            wait(Awaited::Shipment, Some(order.changed_at), order.ship_by);
        }
        let returns = order.aftercare.iter().flat_map(|aftercare| &aftercare.returns);
        for back in returns.filter(|back| back.state == ReturnState::Requested) {
            wait(Awaited::Return, None, Some(back.close_by));
        }
    }
    waits
}

pub(crate) fn check(evidence: &Evidence, state: &State<'_>, waits: &[Wait], findings: &mut Findings) {
    for order in evidence.tables.rows.orders.values() {
        if order.stage == "stuck" && evidence.expectations.nothing_stuck {
            let (awaiting, detail) = (order.awaiting.as_deref(), order.detail.as_deref());
            let detail = format!("stuck, waiting for {}: {}", awaiting.unwrap_or("?"), detail.unwrap_or_default());
            findings.add(Invariant::Termination, order.order_id.as_str(), detail);
        }
    }
    if !evidence.expectations.quiescent {
        return;
    }
    // A customer who has to act has time; then it ends by itself.
    let is_awaited =
        |order: &OrderRow| order.action_until.is_some_and(|until| evidence.now < until.0.plus_ms(GRACE_MS));
    for order in evidence.tables.rows.orders.values() {
        let is_held = state.order(&order.order_id).is_some_and(|order| order.hold().is_some());
        if !is_awaited(order) {
            check_order(order, is_held, findings);
        }
    }
    for order in state.orders.values() {
        check_beside(order, findings);
    }
    for wait in waits {
        check_deadline(wait, evidence.now, findings);
    }
    let orders = &evidence.tables.rows.orders;
    let is_awaited_too = |order_id: &&String| orders.get(&((*order_id).clone(),)).is_some_and(is_awaited);
    for order_id in evidence.tables.open_calls.iter().filter(|order_id| !is_awaited_too(order_id)) {
        findings.add(Invariant::Termination, order_id.as_str(), "a call to the payment provider is still open");
    }
    for (topic, partition, count) in &evidence.waiting {
        let detail = format!("{count} records wait for their reader: it is down, or holds the partition");
        findings.add(Invariant::Termination, format!("{topic}[{partition}]"), detail);
    }
}

/// An order that waits for nobody but the services.
fn check_order(order: &OrderRow, is_held: bool, findings: &mut Findings) {
    match order.stage.as_str() {
        "completed" | "cancelled" | "stuck" | "ready_to_ship" => return,
        "authorized" if is_held => return,
        _ => {}
    }
    let awaiting = order.awaiting.as_deref().map_or_else(String::new, |name| format!(", waiting for {name}"));
    let (since, deadline) = (order.changed_at.0, order.confirm_by.0);
    let detail = format!("not finished: {}{awaiting} since {since}; to be confirmed by {deadline}", order.stage);
    findings.add(Invariant::Termination, order.order_id.as_str(), detail);
}

/// Money and goods that are on their way beside the order's.
fn check_beside(order: &Order, findings: &mut Findings) {
    let Some(aftercare) = &order.aftercare else { return };
    let mut add = |detail: String| findings.add(Invariant::Termination, order.order_id.as_str(), detail);
    for refund in aftercare.refunds.iter().filter(|refund| refund.state == RefundState::Requested) {
        add(format!("refund {} has not ended; it was asked for at {}", refund.refund_id, refund.at));
    }
    for back in aftercare.returns.iter().filter(|back| back.state == ReturnState::Received) {
        add(format!("the goods of return {} have come, but are not in stock", back.return_id));
    }
}

/// A hold and an open return end by themselves.
fn check_deadline(wait: &Wait, now: Time, findings: &mut Findings) {
    let Some(until) = wait.until.filter(|until| until.plus_ms(GRACE_MS) < now) else { return };
    let what = match wait.awaiting {
        Awaited::Release => "held",
        Awaited::Return => "waiting for the goods of a return",
        Awaited::Shipment => return,
    };
    findings.add(Invariant::Termination, wait.order_id.as_str(), format!("{what} beyond {until}"));
}
