//! A request that is made once more, because it, or what answers it, lies among the dead letters.
//!
//! Nothing of the letter is taken over: what is asked is made of the order as it stands, and only where its answer is still awaited.
//! So a stranger's letter can make nobody say what is not so; the most that it brings about is a request that is outstanding
//! anyhow, and a service that has carried it out answers with what it had said. Deliberately absent: events of the order itself, which
//! nobody asks for; whoever could not take one reads it again where it lies.

use schemas::{Message, MessageType, OrderAskedAgain, OrderEvent, RedriveDeadLetter, ServiceName, limits, message_id};

use super::outstanding;
use super::refusal::{Code, Mistake};
use super::transition::{Head, Transition};
use crate::decision::Decision;

/// Each request, and what answers it.
const ANSWERED_BY: [(MessageType, &[MessageType]); 8] = [
    (MessageType::ReserveStock, &[MessageType::StockReserved, MessageType::StockRejected]),
    (MessageType::CommitStock, &[MessageType::StockCommitted, MessageType::StockCommitRefused]),
    (MessageType::ReleaseStock, &[MessageType::StockReleased]),
    (MessageType::ReturnStock, &[MessageType::StockReturned, MessageType::StockReturnRefused]),
    (
        MessageType::AuthorizePayment,
        &[MessageType::PaymentAuthorized, MessageType::PaymentDeclined, MessageType::PaymentStuck],
    ),
    (
        MessageType::CapturePayment,
        &[MessageType::PaymentCaptured, MessageType::PaymentCaptureFailed, MessageType::PaymentStuck],
    ),
    (MessageType::VoidPayment, &[MessageType::PaymentVoided, MessageType::PaymentStuck]),
    (MessageType::RefundPayment, &[MessageType::PaymentRefunded, MessageType::PaymentRefundFailed]),
];

/// More commands than one transition makes.
const MOST_COMMANDS: u32 = 8;

/// Whether a message of this name can be said again: it is a request, or answers one.
pub fn can_be_asked_for(message: &str) -> bool {
    requests_of(message).next().is_some()
}

/// The requests that a message of this name may be, or may answer.
fn requests_of(message: &str) -> impl Iterator<Item = MessageType> {
    let is_meant = move |one: &MessageType| one.name() == message;
    let meant =
        ANSWERED_BY.into_iter().filter(move |(request, answers)| is_meant(request) || answers.iter().any(is_meant));
    meant.map(|(request, _)| request)
}

/// The refund or the return that a request, or its answer, is about.
pub fn part_of(message: &Message) -> Option<String> {
    let body = serde_json::to_value(message).ok()?;
    ["refund_id", "return_id"].into_iter().find_map(|field| body.get(field)?.as_str().map(str::to_owned))
}

/// The outstanding request that is meant, once more.
pub(super) fn ask_again(at: Transition<'_>, command: &RedriveDeadLetter) -> Result<Decision<OrderEvent>, Mistake> {
    let (order, id) = (at.order, &at.order.order_id);
    if !can_be_asked_for(&command.message) {
        let detail = format!("{} is neither a request of an order nor its answer", command.message);
        return Err(Mistake::new(Code::NotRepeatable, detail));
    }
    if !has_asked(at, &command.request_id) {
        let detail = format!("order {id} has made no request {:?}: the letter is a stranger's", command.request_id);
        return Err(Mistake::new(Code::NotOurs, detail));
    }
    let is_meant = |request: &Message| {
        requests_of(&command.message).any(|one| one == request.message_type())
            && part_of(request).as_deref() == command.part.as_ref().map(schemas::CommandId::as_str)
    };
    let awaited = outstanding(order);
    let Some(request) = awaited.iter().find(|request| is_meant(request)) else {
        let names: Vec<&str> = awaited.iter().map(Message::name).collect();
        let waits = if names.is_empty() { "nothing".to_owned() } else { format!("the answer to {}", names.join(", ")) };
        let detail = format!("order {id} is {} and waits for {waits}", order.stage.as_str());
        return Err(Mistake::new(Code::NotAwaited, detail));
    };
    let Head { order_id, version, at: now, attributes, origin } = at.head();
    let (name, letter) = (request.name().to_owned(), limits::detail(&command.letter));
    let event = OrderAskedAgain { order_id, version, at: now, attributes, origin, request: name, letter };
    Ok(Decision::applied(event, vec![request.clone()]))
}

/// Whether one of the order's versions came with a request of this id.
fn has_asked(at: Transition<'_>, request_id: &str) -> bool {
    let order = at.order;
    let mut ids = (1..=order.version).flat_map(|version| {
        let of = move |index| message_id::of_version(ServiceName::Order, order.order_id.as_str(), version, index);
        (1..=MOST_COMMANDS).map(of)
    });
    ids.any(|id| id.to_string() == request_id)
}
