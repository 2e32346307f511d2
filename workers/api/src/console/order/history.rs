//! An order with all that was said of it, decoded: what every part of its page is made of.

use std::collections::HashSet;

use client::{Standing as Waiting, Wait, message_of};
use domain::charge::{self, Payment, Posting, RefundOutcome};
use domain::saga::{Order, Stage, origin};
use jiff::Timestamp;
use schemas::{CommandId, Message, MessageType, OrderEvent, OrderId, Origin, Time, TopicName};

use crate::http::{Door, Problem};
use crate::view::{Standing, Told};

/// So many messages of each service are looked at: more than an order that is as it should be ever has.
pub(super) const MESSAGES: i64 = 500;

/// An order as it is looked at.
pub(super) struct Looked {
    /// The order, and where it stands.
    pub(super) found: Standing<Order>,
    /// All that was said, the oldest first.
    pub(super) hops: Vec<Hop>,
    /// Its payment, where there is one.
    pub(super) payment: Option<Payment>,
    /// When it was looked at.
    pub(super) now: Time,
    /// Services of which more was said before.
    pub(super) cut: Vec<TopicName>,
}

/// Something that was said of it.
pub(super) struct Hop {
    /// As it is kept.
    pub(super) told: Told,
    /// Decoded; none of what this version does not know.
    pub(super) message: Option<Message>,
}

impl Looked {
    /// The order as it stands now; none where there is no such order.
    pub(super) async fn at(door: &Door, id: &OrderId) -> Result<Option<Self>, Problem> {
        let (found, told, payment) =
            tokio::try_join!(door.reads.order(id), door.reads.history(id, MESSAGES), door.reads.payment(id))?;
        let now = Time::from(Timestamp::now());
        Ok(found.map(|found| Looked { found, cut: cut(&told), hops: hops(told), payment, now }))
    }

    /// The order.
    pub(super) fn order(&self) -> &Order {
        &self.found.what
    }

    /// What it waits for. Where a part of its history was not read, since when is only known as far as the state tells it.
    pub(super) fn waits(&self) -> Vec<Wait> {
        let events = self.hops.iter().filter_map(Hop::order_event);
        let told = Waiting::of(events).ok().flatten().filter(|_| !self.is_cut());
        told.unwrap_or_else(|| Waiting::as_it_is(self.order().clone())).waits
    }

    /// Whether a part of what the order service said was not read.
    pub(super) fn is_cut(&self) -> bool {
        self.cut.contains(&TopicName::OrderEvents)
    }

    /// How much was given back for undoing the order and came back, and why.
    pub(super) fn owed(&self) -> Option<(i64, &str)> {
        let payment = self.payment.as_ref().filter(|_| self.order().stage == Stage::Cancelled)?;
        let came_back = payment.refunds.iter().rev().find_map(|refund| match &refund.outcome {
            RefundOutcome::Reversed { detail, .. } => Some(detail.as_str()),
            RefundOutcome::Refunded { .. } | RefundOutcome::Unknown { .. } | RefundOutcome::Refused { .. } => None,
        })?;
        Some((payment.refundable_minor(), came_back)).filter(|(minor, _)| *minor > 0)
    }

    /// What its payment has posted, as the core derives it; nothing where a part of its history was not read.
    pub(super) fn postings(&self) -> Vec<(Time, Posting)> {
        let (mut payment, mut posted) = (None::<Payment>, Vec::new());
        for hop in &self.hops {
            let Some(Message::PaymentEvent(event)) = &hop.message else { continue };
            let Ok(evolved) = charge::evolve(payment.take(), event) else { return Vec::new() };
            posted.extend(evolved.postings.into_iter().map(|posting| (hop.told.at, posting)));
            payment = evolved.payment;
        }
        posted
    }

    /// What others have had done to it behind this version: not by this command.
    pub(super) fn done_since(&self, version: i64, command: &CommandId) -> Vec<&Hop> {
        let is_new = |hop: &&Hop| {
            hop.told.said.version.is_some_and(|made| made > version)
                && hop.origin().is_some_and(|origin| origin.command_id != *command)
        };
        self.hops.iter().filter(is_new).collect()
    }

    /// What has answered this command.
    pub(super) fn answer(&self, command: &CommandId) -> Option<&Hop> {
        self.hops.iter().find(|hop| hop.answered() == Some(command))
    }
}

impl Hop {
    fn order_event(&self) -> Option<&OrderEvent> {
        match &self.message {
            Some(Message::OrderEvent(event)) => Some(event),
            Some(
                Message::OrderCommand(_)
                | Message::InventoryCommand(_)
                | Message::InventoryEvent(_)
                | Message::StockCommand(_)
                | Message::StockEvent(_)
                | Message::PaymentCommand(_)
                | Message::PaymentEvent(_),
            )
            | None => None,
        }
    }

    /// Who asked for it, and why.
    pub(super) fn origin(&self) -> Option<&Origin> {
        self.order_event().and_then(origin)
    }

    /// The command of a person's that it answers, with a yes or a no.
    fn answered(&self) -> Option<&CommandId> {
        let refused = match self.order_event() {
            Some(OrderEvent::OrderCommandRefused(event)) => Some(&event.command_id),
            Some(OrderEvent::OrderRejected(event)) => event.command_id.as_ref(),
            Some(_) | None => None,
        };
        refused.or_else(|| self.origin().map(|origin| &origin.command_id))
    }

    /// Whose word it is.
    pub(super) fn topic(&self) -> TopicName {
        self.told.said.position.topic
    }

    /// Where it lies, as the tools write it.
    pub(super) fn place(&self) -> String {
        let position = &self.told.said.position;
        format!("{}[{}]@{}", position.topic, position.partition, position.offset)
    }
}

/// Of which topics more was said than is read.
fn cut(told: &[Told]) -> Vec<TopicName> {
    let count = |topic: TopicName| told.iter().filter(|told| told.said.position.topic == topic).count();
    let is_cut = |topic: &TopicName| i64::try_from(count(*topic)).is_ok_and(|count| count >= MESSAGES);
    [TopicName::OrderEvents, TopicName::InventoryEvents, TopicName::PaymentEvents].into_iter().filter(is_cut).collect()
}

/// What is said again makes no other version, and is told once.
pub(super) fn hops(mut told: Vec<Told>) -> Vec<Hop> {
    let mut seen = HashSet::new();
    told.retain(|told| told.said.version.is_none_or(|version| seen.insert((told.said.position.topic, version))));
    told.into_iter().map(hop).collect()
}

fn hop(told: Told) -> Hop {
    let kind = MessageType::on(told.said.position.topic).find(|kind| kind.name() == told.said.name);
    let message = kind.and_then(|kind| message_of(kind, serde_json::from_str(&told.said.body).ok()?).ok());
    Hop { told, message }
}
