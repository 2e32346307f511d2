//! What is worth saying about an order's commands and events: who, why, and what of it.
//!
//! Attributes are told where they are given, with the order's placing: every later event carries the same ones.

use std::collections::BTreeMap;

use domain::saga;
use grammar::{counted, money};
use schemas::{
    LineQuantity, OrderCommand, OrderEvent, OrderPlaced, Origin, PlaceOrder, Refusal, Rejection, ReturnedLine, Time,
};

use super::{Manner, order_lines, symbol};

/// Lines of an order that are named one by one.
const LINES_NAMED: usize = 5;

pub(super) fn command(command: &OrderCommand, manner: &Manner<'_>) -> String {
    let id = command.command_id().map(|id| format!("command {id}"));
    let (told, by, note) = match command {
        OrderCommand::PlaceOrder(m) => return placing(m, manner),
        OrderCommand::CancelOrder(m) => (vec![m.reason_code.clone()], &m.by, &m.note),
        OrderCommand::RefundOrder(m) => (
            vec![m.amount_minor.map(|amount| manner.amount(amount)), lines(&m.lines), m.reason_code.clone()],
            &m.by,
            &m.note,
        ),
        OrderCommand::ShipOrder(m) => (vec![lines(&m.lines), m.carrier.clone(), m.tracking.clone()], &m.by, &m.note),
        OrderCommand::HoldOrder(m) => {
            (vec![Some(m.reason_code.clone()), m.until.map(|time| until(time, manner))], &m.by, &m.note)
        }
        OrderCommand::ReleaseOrder(m) => (Vec::new(), &m.by, &m.note),
        OrderCommand::RejectOrder(m) => (vec![Some(m.reason_code.clone())], &m.by, &m.note),
        OrderCommand::RequestReturn(m) => (vec![lines(&m.lines), m.reason_code.clone()], &m.by, &m.note),
        OrderCommand::ReceiveReturn(m) => {
            let refund = m.refund_minor.map(|amount| format!("refund of {}", manner.amount(amount)));
            (vec![Some(format!("return {}", m.return_id)), returned(&m.lines), refund], &m.by, &m.note)
        }
        OrderCommand::RetryOrder(m) => (vec![m.step.clone()], &m.by, &m.note),
        OrderCommand::SkipOrderStep(m) => (vec![m.step.clone()], &m.by, &m.note),
        OrderCommand::ResolveOrder(m) => (vec![Some(m.outcome.clone())], &m.by, &m.note),
        OrderCommand::RedriveDeadLetter(m) => {
            (vec![Some(format!("{} of letter {}", m.message, m.letter))], &m.by, &m.note)
        }
    };
    let asked = asked(by.as_deref(), note.as_deref());
    joined(told.into_iter().chain([id, asked]))
}

fn placing(m: &PlaceOrder, manner: &Manner<'_>) -> String {
    let terms = Terms {
        capture: m.capture.as_deref(),
        fulfilment: m.fulfilment.as_deref(),
        provider: m.payment_provider.as_deref(),
        adjustments: m.adjustments.len(),
        replaces: m.replaces_order_id.as_ref().map(schemas::OrderId::as_str),
        attributes: &m.attributes,
    };
    let later = m.place_at.map(|at| format!("to be placed at {}", (manner.time)(at)));
    let short = m.if_short.as_ref().map(|what| format!("if short {what}"));
    joined([Some(format!("{} in {}", order_lines(&m.lines), m.currency)), terms.in_words(), short, later])
}

fn placed(m: &OrderPlaced, manner: &Manner<'_>) -> String {
    let terms = Terms {
        capture: m.capture.as_deref(),
        fulfilment: m.fulfilment.as_deref(),
        provider: m.payment_provider.as_deref(),
        adjustments: m.adjustments.len(),
        replaces: m.replaces_order_id.as_ref().map(schemas::OrderId::as_str),
        attributes: &m.attributes,
    };
    let hold = m.hold.as_ref().map(|hold| format!("held: {} {}", hold.reason_code, until(hold.until, manner)));
    let total = money(m.total_minor, &m.currency);
    joined([Some(order_lines(&m.lines)), Some(total), terms.in_words(), hold])
}

/// What may be left out of an order, without the payment token.
struct Terms<'a> {
    capture: Option<&'a str>,
    fulfilment: Option<&'a str>,
    provider: Option<&'a str>,
    adjustments: usize,
    replaces: Option<&'a str>,
    attributes: &'a BTreeMap<String, String>,
}

impl Terms<'_> {
    fn in_words(&self) -> Option<String> {
        let adjustments = (self.adjustments > 0).then(|| counted(self.adjustments as u64, "adjustment"));
        let said = |name: &str, value: Option<&str>| value.map(|value| format!("{name} {value}"));
        let terms = [
            adjustments,
            said("capture", self.capture),
            said("fulfilment", self.fulfilment),
            said("payment at", self.provider),
            said("replaces", self.replaces),
            attributes(self.attributes),
        ];
        Some(joined(terms)).filter(|words| !words.is_empty())
    }
}

fn attributes(attributes: &BTreeMap<String, String>) -> Option<String> {
    let pairs: Vec<String> = attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
    (!pairs.is_empty()).then(|| pairs.join(" "))
}

pub(super) fn event(event: &OrderEvent, manner: &Manner<'_>) -> String {
    let told = match event {
        OrderEvent::OrderPlaced(m) => return placed(m, manner),
        OrderEvent::OrderRejected(m) => return format!("{}: {}", symbol(&m.command), rejections(&m.reasons)),
        OrderEvent::OrderCommandRefused(m) => return format!("{}: {}", m.command, refusals(&m.reasons)),
        OrderEvent::OrderStockReserved(_)
        | OrderEvent::OrderAuthorized(_)
        | OrderEvent::OrderReleased(_)
        | OrderEvent::OrderStockCommitted(_)
        | OrderEvent::OrderCompleted(_) => Vec::new(),
        OrderEvent::OrderActionRequired(m) => {
            vec![Some(format!("the customer has to act, {}", until(m.until, manner)))]
        }
        OrderEvent::OrderConfirmed(m) => vec![m.ship_by.map(|time| ship_by(time, manner))],
        OrderEvent::OrderPaymentCaptured(m) => vec![m.ship_by.map(|time| ship_by(time, manner))],
        OrderEvent::OrderHeld(m) => vec![Some(m.reason_code.clone()), Some(until(m.until, manner))],
        OrderEvent::OrderShipped(m) => vec![m.carrier.clone(), m.tracking.clone()],
        OrderEvent::OrderCancelling(m) => {
            let step = m.step.clone().unwrap_or_else(|| symbol(&m.awaiting));
            vec![Some(why(&symbol(&m.reason), m.reason_code.as_deref())), Some(format!("waiting for {step}"))]
        }
        OrderEvent::OrderCancelled(m) => vec![Some(why(&symbol(&m.reason), m.reason_code.as_deref()))],
        OrderEvent::OrderStuck(m) => {
            let step = m.step.clone().unwrap_or_else(|| symbol(&m.awaiting));
            vec![Some(format!("waiting for {step}: {}", m.detail))]
        }
        OrderEvent::OrderRetried(m) => vec![Some(m.step.clone())],
        OrderEvent::OrderAskedAgain(m) => vec![Some(format!("{} for letter {}", m.request, m.letter))],
        OrderEvent::OrderResolved(m) => vec![Some(m.outcome.clone())],
        OrderEvent::OrderRefundRequested(m) => {
            let refund = format!("refund {} of {}", m.refund_id, manner.amount(m.amount_minor));
            let back = m.return_id.as_ref().map(|id| format!("for return {id}"));
            vec![Some(refund), lines(&m.lines), m.reason_code.clone(), back]
        }
        OrderEvent::OrderRefunded(m) => {
            vec![Some(format!("refund {} of {}", m.refund_id, manner.amount(m.amount_minor)))]
        }
        OrderEvent::OrderRefundFailed(m) => {
            let refund = format!("refund {} of {}", m.refund_id, manner.amount(m.amount_minor));
            vec![Some(format!("{refund} is {}: {}", m.outcome, m.detail))]
        }
        OrderEvent::OrderReturnRequested(m) => {
            vec![
                Some(format!("return {}", m.return_id)),
                lines(&m.lines),
                m.reason_code.clone(),
                Some(until(m.close_by, manner)),
            ]
        }
        OrderEvent::OrderReturnReceived(m) => {
            let refund = Some(format!("refund of {}", manner.amount(m.refund_minor)));
            vec![Some(format!("return {}", m.return_id)), returned(&m.lines), refund]
        }
        OrderEvent::OrderReturnClosed(m) => {
            let detail = Some(m.detail.clone()).filter(|detail| !detail.is_empty());
            vec![Some(format!("return {} is {}", m.return_id, m.outcome.replace('_', " "))), detail]
        }
    };
    joined(told.into_iter().chain([saga::origin(event).and_then(origin)]))
}

/// Who made it happen, and why. What stands at the event already, its name says.
pub(super) fn origin(origin: &Origin) -> Option<String> {
    asked(origin.by.as_deref(), origin.note.as_deref())
}

pub(super) fn asked(by: Option<&str>, note: Option<&str>) -> Option<String> {
    match (by, note) {
        (Some(by), Some(note)) => Some(format!("by {by}: {note}")),
        (Some(by), None) => Some(format!("by {by}")),
        (None, Some(note)) => Some(note.to_owned()),
        (None, None) => None,
    }
}

/// A reason, and its code where somebody gave one.
pub(crate) fn why(reason: &str, code: Option<&str>) -> String {
    code.map_or_else(|| reason.to_owned(), |code| format!("{reason}, {code}"))
}

fn rejections(reasons: &[Rejection]) -> String {
    let code = |reason: &Rejection| reason.reason_code.clone().unwrap_or_else(|| symbol(&reason.code));
    reasons.iter().map(|reason| format!("{} ({})", code(reason), reason.detail)).collect::<Vec<_>>().join("; ")
}

pub(super) fn refusals(reasons: &[Refusal]) -> String {
    let told = |reason: &Refusal| format!("{} ({})", reason.reason_code, reason.detail);
    reasons.iter().map(told).collect::<Vec<_>>().join("; ")
}

fn until(time: Time, manner: &Manner<'_>) -> String {
    format!("until {}", (manner.time)(time))
}

fn ship_by(time: Time, manner: &Manner<'_>) -> String {
    format!("to be shipped by {}", (manner.time)(time))
}

fn lines(lines: &[LineQuantity]) -> Option<String> {
    named(lines, |one| format!("{} of line {}", one.quantity, one.line))
}

fn returned(lines: &[ReturnedLine]) -> Option<String> {
    named(lines, |one| format!("{} of line {} {}", one.quantity, one.line, one.disposition.replace('_', " ")))
}

fn named<T>(lines: &[T], one: impl Fn(&T) -> String) -> Option<String> {
    let further = lines.len().saturating_sub(LINES_NAMED);
    let further = (further > 0).then(|| counted(further as u64, "further line"));
    let named: Vec<String> = lines.iter().take(LINES_NAMED).map(one).chain(further).collect();
    (!named.is_empty()).then(|| named.join(", "))
}

pub(super) fn joined(parts: impl IntoIterator<Item = Option<String>>) -> String {
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use schemas::{
        CancelOrder, HoldOrder, Message, PaymentRefundFailed, ReceiveReturn, RefundOrder, RequestReturn, ResolveOrder,
        ShipOrder,
    };

    use super::*;
    use crate::detail;
    use crate::story::{Story, id, on_command, place_order};

    fn by() -> (Option<String>, Option<String>) {
        (Some("ann".to_owned()), Some("as agreed".to_owned()))
    }

    fn time(seconds: i64) -> Time {
        Time::from_micros(seconds * 1_000_000)
    }

    /// What is told of each event from number `from` on.
    fn told(story: &Story, from: usize) -> Vec<String> {
        story.events[from..].iter().map(|one| event(one, &Manner::plain(None))).collect()
    }

    #[test]
    fn an_order_says_on_what_terms_it_was_placed_but_not_its_token() {
        let place = PlaceOrder {
            payment_provider: Some("acct".to_owned()),
            payment_token: Some("tok_1".to_owned()),
            attributes: [("channel".to_owned(), "web".to_owned())].into(),
            ..on_command()
        };
        let terms = "fulfilment on_command, payment at acct, channel=web";
        assert_eq!(detail(&place.clone().into()), format!("2 lines in USD, {terms}"));
        assert_eq!(told(&Story::of(place), 0), [format!("2 lines, USD 1.70, {terms}")]);
    }

    #[test]
    fn who_asked_and_why_is_told_of_commands_and_of_what_they_made_happen() {
        let (order_id, (by, note)) = (place_order().order_id, by());
        let reason_code = Some("CHANGED_MIND".to_owned());
        let cancel = CancelOrder { order_id, command_id: id("c"), reason_code, by, note };
        assert_eq!(
            detail(&Message::from(OrderCommand::from(cancel.clone()))),
            "CHANGED_MIND, command c, by ann: as agreed"
        );
        let story = Story::paid(on_command()).takes(cancel);
        assert_eq!(told(&story, 4), ["Requested, CHANGED_MIND, waiting for PaymentRefund, by ann: as agreed"]);
    }

    #[test]
    fn holds_and_shipments_say_until_when_and_by_whom() {
        let order_id = place_order().order_id;
        let (command_id, reason_code, until) = (id("h"), "Fraud".to_owned(), Some(time(100)));
        let hold = HoldOrder { order_id: order_id.clone(), command_id, reason_code, until, by: None, note: None };
        let carrier = Some("DHL".to_owned());
        let (lines, tracking) = (vec![LineQuantity { line: 1, quantity: 3 }], Some("123".to_owned()));
        let ship = ShipOrder { order_id, command_id: id("s"), lines, carrier, tracking, by: None, note: None };
        assert_eq!(detail(&Message::from(OrderCommand::from(ship.clone()))), "3 of line 1, DHL, 123, command s");
        let held = Story::paid(on_command()).takes(hold);
        let refused = held.clone().takes(ship.clone());
        assert_eq!(
            told(&refused, 3),
            [
                "to be shipped by 1970-01-04T00:00:04.000000Z",
                "Fraud, until 1970-01-01T00:01:40.000000Z",
                "ShipOrder: Held (order o-1 is held: Fraud)"
            ]
        );
        let shipped = Story::paid(on_command()).takes(ShipOrder { lines: Vec::new(), ..ship });
        assert_eq!(told(&shipped, 4), ["DHL, 123"]);
    }

    #[test]
    fn refunds_and_returns_say_which_how_much_and_what_of_it() {
        let (order_id, (by, note)) = (place_order().order_id, by());
        let refund = RefundOrder {
            amount_minor: Some(10),
            reason_code: Some("DAMAGED".to_owned()),
            ..RefundOrder::all(order_id.clone(), id("r"))
        };
        assert_eq!(detail(&Message::from(OrderCommand::from(refund.clone()))), "10 minor units, DAMAGED, command r");
        let failed = PaymentRefundFailed {
            order_id: order_id.clone(),
            version: 3,
            at: time(0),
            refund_id: id("r"),
            amount_minor: 10,
            outcome: "refused".to_owned(),
            detail: "too old".to_owned(),
        };
        let lines = vec![LineQuantity { line: 2, quantity: 1 }];
        let back =
            RequestReturn { order_id: order_id.clone(), command_id: id("b"), lines, reason_code: None, by, note };
        let lines = vec![ReturnedLine { line: 2, quantity: 1, disposition: "write_off".to_owned() }];
        let (return_id, refund_minor) = (id("b"), None);
        let came =
            ReceiveReturn { order_id, command_id: id("m"), return_id, lines, refund_minor, by: None, note: None };
        assert_eq!(
            detail(&Message::from(OrderCommand::from(came.clone()))),
            "return b, 1 of line 2 write off, command m"
        );
        let story = Story::completed().takes(refund).hears_payment(&failed.into()).takes(back).takes(came);
        assert_eq!(
            told(&story, 5),
            [
                "refund r of 10 minor units, DAMAGED",
                "refund r of 10 minor units is refused: too old",
                "return b, 1 of line 2, until 1970-01-31T00:00:08.000000Z, by ann: as agreed",
                "return b, 1 of line 2 write off, refund of 10 minor units",
            ]
        );
    }

    #[test]
    fn an_amount_has_the_order_s_currency_where_it_is_known_and_a_time_is_as_it_is_wanted() {
        let order_id = place_order().order_id;
        let refund = RefundOrder { amount_minor: Some(250), ..RefundOrder::all(order_id.clone(), id("r")) };
        let hold = HoldOrder {
            order_id,
            command_id: id("h"),
            reason_code: "Fraud".to_owned(),
            until: Some(time(100)),
            by: None,
            note: None,
        };
        let manner = Manner { currency: Some("USD"), time: |time| format!("second {}", time.as_micros() / 1_000_000) };
        assert_eq!(command(&refund.into(), &manner), "USD 2.50, command r");
        assert_eq!(command(&hold.into(), &manner), "Fraud, until second 100, command h");
    }

    #[test]
    fn a_refusal_names_what_is_nearest_to_the_truth() {
        let (order_id, outcome) = (place_order().order_id, "completed".to_owned());
        let resolve = ResolveOrder { order_id: order_id.clone(), command_id: id("x"), outcome, by: None, note: None };
        let story = Story::of(place_order()).takes(resolve).takes(RefundOrder::all(order_id, id("r")));
        let not_paid = "RefundOrder: NotPaid (order o-1 is placed: nothing is taken that could be given back)";
        assert_eq!(told(&story, 1), ["ResolveOrder: NotStuck (order o-1 is placed, not stuck)", not_paid]);
    }

    #[test]
    fn many_lines_are_not_all_named() {
        let many: Vec<LineQuantity> = (1..=7).map(|line| LineQuantity { line, quantity: 1 }).collect();
        assert!(lines(&many).unwrap().ends_with("1 of line 5, 2 further lines"));
    }
}
