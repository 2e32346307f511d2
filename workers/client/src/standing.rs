//! What an order waits for: from whom, since when, until when, and what happens then. Said of every state.
//!
//! Folded from the order's events, since a state alone does not keep when it began to wait.

use domain::decision::Inconsistent;
use domain::saga::{Order, Phase, RefundState, Return, ReturnState, Stage, Step, evolve};
use grammar::money;
use schemas::{CommandId, OrderEvent, Time};
use serde_json::{Value, json};

/// An order, and everything that it waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The order.
    pub order: Order,
    /// What it waits for; nothing where nothing is to come.
    pub waits: Vec<Wait>,
}

/// Something that an order waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// What kind of thing.
    pub kind: WaitKind,
    /// The same in words.
    pub what: String,
    /// Since when.
    pub since: Time,
    /// Until when; none where it waits without a limit.
    pub until: Option<Time>,
    /// What happens at that time, or who has to do something where there is none.
    pub then: &'static str,
}

/// What kind of thing an order waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitKind {
    /// The reply to a step.
    Reply(Step),
    /// That somebody ships it.
    Shipment,
    /// That somebody releases or rejects it.
    Hold,
    /// That somebody frees it at this step.
    Person(Step),
    /// That a refund is carried out.
    Refund,
    /// That goods come back.
    Return,
    /// That the stock is corrected.
    StockReturn,
}

impl WaitKind {
    /// The kind's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            WaitKind::Reply(_) => "reply",
            WaitKind::Shipment => "shipment",
            WaitKind::Hold => "release",
            WaitKind::Person(_) => "person",
            WaitKind::Refund => "refund",
            WaitKind::Return => "return",
            WaitKind::StockReturn => "stock_return",
        }
    }

    /// The step that it is about, where it is about one.
    pub const fn step(self) -> Option<Step> {
        match self {
            WaitKind::Reply(step) | WaitKind::Person(step) => Some(step),
            WaitKind::Shipment | WaitKind::Hold | WaitKind::Refund | WaitKind::Return | WaitKind::StockReturn => None,
        }
    }
}

impl Wait {
    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "for": self.kind.as_str(),
            "step": self.kind.step().map(Step::as_str),
            "what": self.what,
            "since": self.since.to_string(),
            "until": self.until.map(|until| until.to_string()),
            "then": self.then,
        })
    }

    /// For people.
    pub fn text(&self) -> String {
        let until = self.until.map_or_else(String::new, |until| format!(" until {until}"));
        format!("waits for {} since {}{until}: {}", self.what, self.since, self.then)
    }
}

impl Standing {
    /// Where the order stands after these events, oldest first; none where none was placed.
    ///
    /// # Errors
    /// A piece of its history is missing.
    pub fn of<'e>(events: impl IntoIterator<Item = &'e OrderEvent>) -> Result<Option<Self>, Inconsistent> {
        let (mut state, mut times): (Option<Order>, _) = (None, Times::default());
        for event in events {
            let before = state.as_ref().map(|order| (order.version, order.stage.clone()));
            state = evolve(state, event)?;
            if let Some(order) = &state {
                times.note(before, order, event);
            }
        }
        Ok(state.map(|order| Standing { waits: waits(&order, &times), order }))
    }

    /// The same of an order alone, where its events are not all known: since when is that of its last change where nothing tells it.
    pub fn as_it_is(order: Order) -> Self {
        Standing { waits: waits(&order, &Times::default()), order }
    }

    /// Whether nothing more happens to the order by itself, and nobody has to do anything.
    pub fn is_at_rest(&self) -> bool {
        self.order.is_finished()
            && self.waits.iter().all(|wait| matches!(wait.kind, WaitKind::Person(_) | WaitKind::Return))
    }
}

/// When what began.
#[derive(Debug, Default)]
struct Times {
    stage: Option<Time>,
    hold: Option<Time>,
    returns: Vec<(CommandId, Time)>,
}

impl Times {
    fn note(&mut self, before: Option<(i64, Stage)>, order: &Order, event: &OrderEvent) {
        let is_new = before.as_ref().is_none_or(|(version, _)| *version != order.version);
        if !is_new {
            return;
        }
        if before.is_none_or(|(_, stage)| stage != order.stage) {
            self.stage = Some(order.changed_at);
        }
        if order.hold().is_none() {
            self.hold = None;
        } else if self.hold.is_none() {
            self.hold = Some(order.changed_at);
        }
        if let OrderEvent::OrderReturnRequested(event) = event {
            self.returns.push((event.return_id.clone(), event.at));
        }
        if let OrderEvent::OrderReturnReceived(event) = event
            && let Some((_, since)) = self.returns.iter_mut().find(|(id, _)| *id == event.return_id)
        {
            *since = event.at;
        }
    }
}

fn waits(order: &Order, times: &Times) -> Vec<Wait> {
    let since = times.stage.unwrap_or(order.changed_at);
    // A stuck order stays held, but nothing happens to it by itself.
    let is_waiting = matches!(order.phase(), Phase::Forward(_) | Phase::Command);
    let hold = order.hold().map(|hold| Wait {
        kind: WaitKind::Hold,
        what: format!("ReleaseOrder or RejectOrder, held ({})", hold.reason_code),
        since: times.hold.unwrap_or(since),
        until: is_waiting.then_some(hold.until),
        then: if is_waiting { "then it is undone" } else { "once it is freed" },
    });
    let way = on_its_way(order, since);
    way.into_iter().chain(hold).chain(refunds(order)).chain(returns(order, times)).collect()
}

/// What the state machine waits for.
fn on_its_way(order: &Order, since: Time) -> Option<Wait> {
    let (kind, what, until, then) = match order.phase() {
        Phase::Forward(step @ Step::PaymentAuthorization) if order.action_until.is_some() => {
            let what = "the customer, who has to act before the payment is authorized".to_owned();
            (WaitKind::Reply(step), what, order.action_until, "then it is undone")
        }
        Phase::Forward(step) => {
            let until = until_confirmed(order, step);
            let then = if until.is_some() { "then it is undone" } else { "it goes on with the reply" };
            (WaitKind::Reply(step), reply_to(step).to_owned(), until, then)
        }
        Phase::Undoing(step) => {
            let until = until_confirmed(order, step);
            let then =
                if until.is_some() { "then the step is undone as if it had been taken" } else { "it is being undone" };
            (WaitKind::Reply(step), reply_to(step).to_owned(), until, then)
        }
        // Held before it is confirmed: the hold says all.
        Phase::Command if order.stage == Stage::Authorized => return None,
        Phase::Command => {
            let then = "then an alarm, and nothing happens by itself";
            (WaitKind::Shipment, "ShipOrder".to_owned(), order.ship_by, then)
        }
        Phase::Finished => {
            let Stage::Stuck { step, .. } = &order.stage else { return None };
            let then = "orders stuck retry, skip or resolve";
            (WaitKind::Person(*step), format!("a person, at {step}"), None, then)
        }
    };
    Some(Wait { kind, what, since, until, then })
}

fn until_confirmed(order: &Order, step: Step) -> Option<Time> {
    match step {
        Step::StockReservation | Step::PaymentAuthorization => Some(order.confirm_by),
        Step::PaymentCapture | Step::StockCommit | Step::PaymentVoid | Step::PaymentRefund | Step::StockRelease => None,
    }
}

const fn reply_to(step: Step) -> &'static str {
    match step {
        Step::StockReservation => "the reply to ReserveStock",
        Step::PaymentAuthorization => "the reply to AuthorizePayment",
        Step::PaymentCapture => "the reply to CapturePayment",
        Step::StockCommit => "the reply to CommitStock",
        Step::PaymentVoid => "the reply to VoidPayment",
        Step::PaymentRefund => "the reply to RefundPayment",
        Step::StockRelease => "the reply to ReleaseStock",
    }
}

/// The refund that is with the payment service, and those that wait for it.
fn refunds(order: &Order) -> Vec<Wait> {
    let refunds = order.aftercare.as_ref().map_or(&[][..], |aftercare| &aftercare.refunds);
    let open = refunds.iter().filter(|refund| refund.state == RefundState::Requested);
    let wait = |(turn, refund): (usize, &domain::saga::Refund)| Wait {
        kind: WaitKind::Refund,
        what: format!("refund {} of {}", refund.refund_id, money(refund.amount_minor, &order.currency)),
        since: refund.at,
        until: None,
        then: if turn == 0 { "it is with the payment service" } else { "its turn comes after the one before it" },
    };
    open.enumerate().map(wait).collect()
}

fn returns(order: &Order, times: &Times) -> Vec<Wait> {
    let returns = order.aftercare.as_ref().map_or(&[][..], |aftercare| &aftercare.returns);
    let wait = |one: &Return| {
        let began = times.returns.iter().find(|(id, _)| *id == one.return_id);
        let since = began.map_or(order.changed_at, |(_, since)| *since);
        let (kind, what, until, then) = match one.state {
            ReturnState::Requested => (
                WaitKind::Return,
                format!("the goods of return {}", one.return_id),
                Some(one.close_by),
                "then it is closed",
            ),
            ReturnState::Received => {
                let what = format!("the stock to be corrected by return {}", one.return_id);
                (WaitKind::StockReturn, what, None, "it goes on with the reply")
            }
            ReturnState::TakenBack | ReturnState::Expired | ReturnState::Refused => return None,
        };
        Some(Wait { kind, what, since, until, then })
    };
    returns.iter().filter_map(wait).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::{Story, id, on_command, place_order};
    use schemas::{HoldOrder, RefundOrder, RequestReturn};

    fn waits(story: &Story) -> Vec<(&'static str, i64, Option<i64>)> {
        let standing = Standing::of(&story.events).unwrap().unwrap();
        let seconds = |time: Time| time.as_micros() / 1_000_000;
        let told = standing.waits.iter().map(|one| (one.kind.as_str(), seconds(one.since), one.until.map(seconds)));
        told.collect()
    }

    fn hold() -> HoldOrder {
        let order_id = place_order().order_id;
        let reason_code = "Fraud".to_owned();
        HoldOrder { order_id, command_id: id("h"), reason_code, until: None, by: None, note: None }
    }

    #[test]
    fn what_is_awaited_has_a_beginning_and_an_end() {
        let confirm_within = domain::saga::Policy::default().confirm_within_ms / 1000;
        assert_eq!(waits(&Story::of(place_order())), [("reply", 1, Some(1 + confirm_within))]);
        assert_eq!(waits(&Story::paid(on_command())), [("shipment", 4, Some(4 + 72 * 3600))]);
        assert_eq!(waits(&Story::paid(place_order())), [("reply", 4, None)], "it goes forward without a limit");
        assert_eq!(waits(&Story::completed()), []);
    }

    #[test]
    fn a_hold_begins_when_it_came_and_what_it_stops_when_that_did() {
        let held = Story::paid(on_command()).takes(hold());
        assert_eq!(waits(&held), [("shipment", 4, Some(4 + 72 * 3600)), ("release", 5, Some(5 + 48 * 3600))]);
        let again = held.takes(HoldOrder { command_id: id("again"), ..hold() });
        assert_eq!(waits(&again)[1], ("release", 5, Some(6 + 48 * 3600)), "held since the first one, until the last");
    }

    #[test]
    fn refunds_wait_for_each_other_and_returns_for_goods() {
        let order_id = place_order().order_id;
        let refund =
            |command| RefundOrder { amount_minor: Some(10), ..RefundOrder::all(order_id.clone(), id(command)) };
        let back = RequestReturn {
            order_id: order_id.clone(),
            command_id: id("b"),
            lines: Vec::new(),
            reason_code: None,
            by: None,
            note: None,
        };
        let story = Story::completed().takes(refund("r")).takes(refund("s")).takes(back);
        assert_eq!(waits(&story), [("refund", 6, None), ("refund", 7, None), ("return", 8, Some(8 + 30 * 86_400))]);
        let standing = Standing::of(&story.events).unwrap().unwrap();
        assert_eq!(
            standing.waits[0].text(),
            "waits for refund r of USD 0.10 since 1970-01-01T00:00:06.000000Z: it is with the payment service"
        );
        assert!(!standing.is_at_rest(), "a refund is under way");
    }
}
