//! What the order service makes of a command: the events that answer it, and the wait for them.
//!
//! The topic is read from its beginning, so that a repeated command finds its answer. What was there before the command came
//! answers it only where it names the command, or where the order is undone already.

use std::collections::HashMap;

use schemas::{CommandId, Message, OrderCommand, OrderEvent, OrderId};
use tokio::time::{Duration, Instant};

use super::Change;
use super::report::Fate;
use crate::cli::Session;
use crate::cli::output::Failure;
use crate::cli::way::Events;
use crate::order_history::answered;
use crate::{Came, Record};

/// How often a wait looks at the clock.
const TICK: Duration = Duration::from_millis(200);

/// Which answer a verb waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Awaits {
    /// What the command makes happen.
    Taken,
    /// That the order is undone.
    Undone,
    /// That the refund of the command's id has its outcome.
    Refunded,
    /// That the return which the command names is taken back, and its refund has its outcome.
    TakenBack,
}

/// An order whose answer is awaited.
#[derive(Debug, Clone)]
pub(super) struct Question {
    awaits: Awaits,
    command_id: CommandId,
    /// Of the refund or return that is awaited.
    part: CommandId,
    is_accepted: bool,
}

impl Question {
    pub(super) fn of(command: &OrderCommand, id: &CommandId, awaits: Awaits) -> Self {
        let part = if let OrderCommand::ReceiveReturn(receive) = command { &receive.return_id } else { id };
        Question { awaits, command_id: id.clone(), part: part.clone(), is_accepted: false }
    }

    /// What this event is to the question. `is_old`: it was there before the command.
    pub(super) fn heard(&mut self, event: &OrderEvent, is_old: bool) -> Heard {
        let is_ours = answered(event) == Some(&self.command_id);
        if is_ours && matches!(event, OrderEvent::OrderRejected(_) | OrderEvent::OrderCommandRefused(_)) {
            return Heard::Answer(false);
        }
        self.is_accepted |= is_ours;
        match self.awaits {
            Awaits::Taken if is_ours => Heard::Answer(true),
            Awaits::Undone => undone(event, self.is_accepted || !is_old),
            Awaits::Refunded | Awaits::TakenBack if self.is_accepted => settled(event, &self.part),
            Awaits::Taken | Awaits::Refunded | Awaits::TakenBack => Heard::Nothing,
        }
    }
}

/// What an event is to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing.
    Nothing,
    /// Its answer, and whether it is a yes.
    Answer(bool),
    /// That an earlier answer was none: the order was stuck, and goes on.
    Reopened,
}

impl Heard {
    fn answer_if(counts: bool, is_yes: bool) -> Self {
        if counts { Heard::Answer(is_yes) } else { Heard::Nothing }
    }
}

/// Whether the order has ended undone; `counts`: it may be because of the command.
fn undone(event: &OrderEvent, counts: bool) -> Heard {
    match event {
        OrderEvent::OrderCancelled(_) => Heard::Answer(true),
        OrderEvent::OrderResolved(m) => Heard::answer_if(counts, m.outcome == "cancelled"),
        OrderEvent::OrderStuck(_) => Heard::answer_if(counts, false),
        OrderEvent::OrderCancelling(_) | OrderEvent::OrderRetried(_) => Heard::Reopened,
        OrderEvent::OrderPlaced(_)
        | OrderEvent::OrderStockReserved(_)
        | OrderEvent::OrderActionRequired(_)
        | OrderEvent::OrderAuthorized(_)
        | OrderEvent::OrderConfirmed(_)
        | OrderEvent::OrderPaymentCaptured(_)
        | OrderEvent::OrderHeld(_)
        | OrderEvent::OrderReleased(_)
        | OrderEvent::OrderShipped(_)
        | OrderEvent::OrderStockCommitted(_)
        | OrderEvent::OrderCompleted(_)
        | OrderEvent::OrderAskedAgain(_)
        | OrderEvent::OrderRefundRequested(_)
        | OrderEvent::OrderRefunded(_)
        | OrderEvent::OrderRefundFailed(_)
        | OrderEvent::OrderReturnRequested(_)
        | OrderEvent::OrderReturnReceived(_)
        | OrderEvent::OrderReturnClosed(_)
        | OrderEvent::OrderRejected(_)
        | OrderEvent::OrderCommandRefused(_) => Heard::Nothing,
    }
}

/// Whether this refund, or this return and its refund, has its outcome.
fn settled(event: &OrderEvent, part: &CommandId) -> Heard {
    match event {
        OrderEvent::OrderRefunded(m) => Heard::answer_if(m.refund_id == *part, true),
        OrderEvent::OrderRefundFailed(m) => Heard::answer_if(m.refund_id == *part, false),
        OrderEvent::OrderReturnClosed(m) => Heard::answer_if(m.return_id == *part, m.outcome == "taken_back"),
        // All that was left is given back when an order is undone.
        OrderEvent::OrderCancelled(_) => Heard::Answer(true),
        OrderEvent::OrderPlaced(_)
        | OrderEvent::OrderStockReserved(_)
        | OrderEvent::OrderActionRequired(_)
        | OrderEvent::OrderAuthorized(_)
        | OrderEvent::OrderConfirmed(_)
        | OrderEvent::OrderPaymentCaptured(_)
        | OrderEvent::OrderHeld(_)
        | OrderEvent::OrderReleased(_)
        | OrderEvent::OrderShipped(_)
        | OrderEvent::OrderStockCommitted(_)
        | OrderEvent::OrderCompleted(_)
        | OrderEvent::OrderCancelling(_)
        | OrderEvent::OrderStuck(_)
        | OrderEvent::OrderRetried(_)
        | OrderEvent::OrderAskedAgain(_)
        | OrderEvent::OrderResolved(_)
        | OrderEvent::OrderRefundRequested(_)
        | OrderEvent::OrderReturnRequested(_)
        | OrderEvent::OrderReturnReceived(_)
        | OrderEvent::OrderRejected(_)
        | OrderEvent::OrderCommandRefused(_) => Heard::Nothing,
    }
}

/// Waits for the answers to what was sent. Gives up when nothing was read and none was answered for as long as the session is
/// patient.
pub(super) async fn wait(
    session: &Session,
    change: &Change,
    id: &CommandId,
    mut reader: Events,
    fates: &mut [(OrderId, Fate)],
) -> Result<(), Failure> {
    let mut open = questions(change, id, fates);
    let (mut moved, mut left) = (Instant::now(), reader.remaining());
    while !open.is_empty() && moved.elapsed() < session.patience {
        let is_old = reader.remaining() > 0;
        let came = reader.next(TICK).await?;
        if reader.remaining() < left {
            (moved, left) = (Instant::now(), reader.remaining());
        }
        if let Came::Message(record) = came
            && let Some((index, fate)) = fate_by(&mut open, record, is_old)
        {
            fates[index].1 = fate;
            moved = Instant::now();
        }
        // What was there before is read to its end: an answer in it may not have been the last word.
        if is_old && reader.remaining() == 0 {
            open.retain(|_, (index, _)| matches!(fates[*index].1, Fate::Sent));
        }
    }
    for (index, _) in open.into_values() {
        if matches!(fates[index].1, Fate::Sent) {
            fates[index].1 = Fate::Unanswered;
        }
    }
    Ok(())
}

/// By order id: which of the fates, and what is asked.
type Questions = HashMap<String, (usize, Question)>;

fn questions(change: &Change, id: &CommandId, fates: &[(OrderId, Fate)]) -> Questions {
    let sent = fates.iter().enumerate().filter(|(_, (_, fate))| matches!(fate, Fate::Sent));
    sent.map(|(index, (order_id, _))| {
        let question = Question::of(&change.command(order_id, id), id, change.awaits);
        (order_id.to_string(), (index, question))
    })
    .collect()
}

/// What becomes of an order by this record, if it is about one of them. It is asked about no more once it is answered by what
/// came after the command.
fn fate_by(open: &mut Questions, record: Box<Record>, is_old: bool) -> Option<(usize, Fate)> {
    let Message::OrderEvent(event) = &record.message else { return None };
    let (index, question) = open.get_mut(record.message.key())?;
    let (index, heard) = (*index, question.heard(event, is_old));
    if !is_old && matches!(heard, Heard::Answer(_)) {
        open.remove(record.message.key());
    }
    match heard {
        Heard::Nothing => None,
        Heard::Reopened => Some((index, Fate::Sent)),
        Heard::Answer(true) => Some((index, Fate::Done(record))),
        Heard::Answer(false) => Some((index, Fate::Refused(record))),
    }
}

#[cfg(test)]
mod tests {
    use schemas::{CancelOrder, PaymentRefunded, RefundOrder, RetryOrder, ShipOrder};

    use super::*;
    use crate::story::{Story, id, on_command, place_order};

    /// The answer that this command finds in a story, of which so many events were there before: the last word of those, or
    /// else the first one after them.
    fn answer(command: &OrderCommand, awaits: Awaits, story: &Story, old: usize) -> Option<(usize, bool)> {
        let mut question = Question::of(command, command.command_id().unwrap(), awaits);
        let mut last = None;
        for (index, event) in story.events.iter().enumerate() {
            match question.heard(event, index < old) {
                Heard::Nothing => {}
                Heard::Answer(is_yes) => last = Some((index, is_yes)),
                Heard::Reopened => last = None,
            }
            if last.is_some() && index + 1 >= old {
                break;
            }
        }
        last
    }

    fn ship() -> ShipOrder {
        let (order_id, command_id) = (place_order().order_id, id("s"));
        ShipOrder { order_id, command_id, lines: Vec::new(), carrier: None, tracking: None, by: None, note: None }
    }

    fn refund(command: &str) -> RefundOrder {
        RefundOrder { amount_minor: Some(10), ..RefundOrder::all(place_order().order_id, id(command)) }
    }

    fn refunded(refund: &str) -> schemas::PaymentEvent {
        let (at, refund_id) = (schemas::Time::from_micros(0), id(refund));
        let (order_id, version) = (place_order().order_id, 3);
        PaymentRefunded { order_id, version, at, refund_id, amount_minor: 10, provider_reference: None }.into()
    }

    #[test]
    fn a_command_is_answered_by_what_it_makes_happen_or_by_its_own_refusal() {
        let story = Story::paid(on_command()).takes(ship());
        assert_eq!(answer(&ship().into(), Awaits::Taken, &story, 4), Some((4, true)));
        assert_eq!(answer(&ship().into(), Awaits::Taken, &story, 5), Some((4, true)), "the same command again");
        let other = ShipOrder { command_id: id("other"), ..ship() };
        assert_eq!(answer(&other.clone().into(), Awaits::Taken, &story, 4), None, "somebody else's");
        let refused = story.takes(other.clone());
        assert_eq!(answer(&other.into(), Awaits::Taken, &refused, 5), Some((5, false)));
    }

    #[test]
    fn a_refund_is_answered_by_its_own_outcome() {
        let story = Story::completed().takes(refund("r")).takes(refund("s"));
        let story = story.hears_payment(&refunded("r"));
        assert_eq!(answer(&refund("r").into(), Awaits::Refunded, &story, 5), Some((7, true)));
        assert_eq!(answer(&refund("s").into(), Awaits::Refunded, &story, 5), None, "the other one is under way");
        let story = story.hears_payment(&refunded("s"));
        assert_eq!(answer(&refund("s").into(), Awaits::Refunded, &story, 5), Some((8, true)));
    }

    #[test]
    fn a_cancel_is_answered_by_the_end_and_not_by_what_was_stuck_before_it() {
        let order_id = place_order().order_id;
        let (at, detail) = (schemas::Time::from_micros(0), "away".to_owned());
        let operation = schemas::PaymentOperation::Authorize;
        let stuck = schemas::PaymentStuck {
            order_id: order_id.clone(),
            version: 1,
            at,
            operation,
            detail,
            refused_attempts: 0,
        };
        let reserved = schemas::StockReserved { order_id: order_id.clone(), version: 1, at, lines: Vec::new() };
        let story = Story::of(place_order()).hears_stock(&reserved.into()).hears_payment(&stuck.clone().into());
        let retry = RetryOrder { order_id: order_id.clone(), command_id: id("y"), step: None, by: None, note: None };
        let cancel = CancelOrder::new(order_id, id("c"));
        assert_eq!(answer(&cancel.clone().into(), Awaits::Undone, &story, 3), None, "its refusal is still to come");
        let story = story.takes(retry.clone()).takes(cancel.clone());
        assert_eq!(answer(&cancel.clone().into(), Awaits::Undone, &story, 4), None, "{:?}", story.events);
        let story = story.hears_payment(&stuck.into());
        assert_eq!(answer(&cancel.clone().into(), Awaits::Undone, &story, 4), Some((5, false)));
        let again = RetryOrder { command_id: id("z"), ..retry };
        assert_eq!(answer(&cancel.into(), Awaits::Undone, &story.takes(again), 7), None, "it was stuck, and goes on");
    }
}
