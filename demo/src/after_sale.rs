//! After the sale: some customers get money back, and some send everything back and get all of it.
//!
//! Told by the order service's events alone, as any other client hears of it.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use client::{Came, Publisher, Selection, TopicReader};
use grammar::grouped;
use schemas::{
    CommandId, LineQuantity, Message, OrderCommand, OrderEvent, OrderId, ReceiveReturn, RefundOrder, RequestReturn,
    ReturnedLine, TopicName,
};

use crate::error::DemoError;
use crate::narrator::Narrator;
use crate::scene::Scene;

/// Of the completed orders, one in so many is refunded, and one in so many is sent back.
const EVERY: usize = 50;
/// Without any event for so long, what is left is given up.
const STALL: Duration = Duration::from_secs(60);
/// How often a wait looks at the clock.
const TICK: Duration = Duration::from_millis(100);
/// What its messages name as their origin.
const SOURCE: &str = "/demo-after-sale";

/// What became of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct AfterSale {
    /// Orders whose money was asked back.
    pub(crate) refunds: u64,
    /// Of these, how many got it.
    pub(crate) refunded: u64,
    /// Orders that were sent back.
    pub(crate) returns: u64,
    /// Of these, how many are back in stock and paid back.
    pub(crate) returned: u64,
    /// What was given back, in minor units of the orders' currencies.
    pub(crate) refunded_minor: i64,
}

impl AfterSale {
    /// Whether everybody got what was theirs.
    pub(crate) const fn is_complete(&self) -> bool {
        self.refunded == self.refunds && self.returned == self.returns
    }
}

/// Who still waits for what.
#[derive(Debug, Default)]
struct Waiting {
    /// For a refund.
    refund: HashSet<OrderId>,
    /// For the refund of what was sent back.
    back: HashSet<OrderId>,
}

/// Refunds and returns of some of these orders, which are completed; ends when all have ended.
pub(crate) async fn play(scene: &Scene, completed: &[OrderId], narrator: &Narrator) -> Result<AfterSale, DemoError> {
    let selection = Selection { topic: TopicName::OrderEvents, key: None, from_end: true };
    let mut reader = TopicReader::open(&scene.connection(), selection).await?;
    let publisher = Publisher::open(&scene.connection(), SOURCE)?;
    let mut waiting = Waiting::default();
    for (number, order_id) in completed.iter().enumerate() {
        let command: OrderCommand = match number % EVERY {
            7 => {
                waiting.refund.insert(order_id.clone());
                RefundOrder::all(order_id.clone(), id("refund", number)?).into()
            }
            32 => {
                waiting.back.insert(order_id.clone());
                send_back(order_id, number)?.into()
            }
            _ => continue,
        };
        publisher.send(&command.into()).await?;
    }
    let mut outcome =
        AfterSale { refunds: count(&waiting.refund), returns: count(&waiting.back), ..AfterSale::default() };
    narrator.tell(&format!("{} orders are refunded, {} sent back", grouped(outcome.refunds), grouped(outcome.returns)));
    let mut last = Instant::now();
    while !(waiting.refund.is_empty() && waiting.back.is_empty()) && last.elapsed() < STALL {
        let Came::Message(record) = reader.next(TICK).await? else { continue };
        if let Message::OrderEvent(event) = &record.message {
            last = Instant::now();
            if let Some(command) = hear(event, &mut waiting, &mut outcome)? {
                publisher.send(&OrderCommand::from(command).into()).await?;
            }
        }
    }
    Ok(outcome)
}

/// What is to be done about an event: what comes back is received.
fn hear(
    event: &OrderEvent,
    waiting: &mut Waiting,
    outcome: &mut AfterSale,
) -> Result<Option<ReceiveReturn>, DemoError> {
    if let OrderEvent::OrderReturnRequested(event) = event {
        return Ok(Some(received(&event.order_id, &event.return_id, &event.lines)?));
    }
    if let OrderEvent::OrderRefunded(event) = event {
        outcome.refunded_minor = outcome.refunded_minor.saturating_add(event.amount_minor);
        outcome.refunded += u64::from(waiting.refund.remove(&event.order_id));
        outcome.returned += u64::from(waiting.back.remove(&event.order_id));
    }
    // A free order is paid back with nothing.
    if let OrderEvent::OrderReturnClosed(event) = event {
        outcome.returned += u64::from(waiting.back.remove(&event.order_id));
    }
    if is_free(event) {
        outcome.refunds -= u64::from(waiting.refund.remove(event.key()));
    }
    // It ends without what was asked for; the counts say so.
    if let OrderEvent::OrderRejected(_) | OrderEvent::OrderCommandRefused(_) | OrderEvent::OrderRefundFailed(_) = event
    {
        waiting.refund.remove(event.key());
        waiting.back.remove(event.key());
    }
    Ok(None)
}

/// Whether a refund was refused because there is nothing to give back.
fn is_free(event: &OrderEvent) -> bool {
    let OrderEvent::OrderRejected(event) = event else { return false };
    event.reasons.iter().any(|reason| reason.reason_code.as_deref() == Some("AmountNotPositive"))
}

fn send_back(order_id: &OrderId, number: usize) -> Result<RequestReturn, DemoError> {
    Ok(RequestReturn {
        order_id: order_id.clone(),
        command_id: id("return", number)?,
        lines: Vec::new(),
        reason_code: Some("too_small".to_owned()),
        by: Some("the customer".to_owned()),
        note: None,
    })
}

fn received(order_id: &OrderId, return_id: &CommandId, lines: &[LineQuantity]) -> Result<ReceiveReturn, DemoError> {
    let line =
        |one: &LineQuantity| ReturnedLine { line: one.line, quantity: one.quantity, disposition: "restock".to_owned() };
    let text = format!("received-{}", return_id.as_str());
    Ok(ReceiveReturn {
        order_id: order_id.clone(),
        command_id: CommandId::new(text).map_err(|error| DemoError::Words(error.to_string()))?,
        return_id: return_id.clone(),
        lines: lines.iter().map(line).collect(),
        refund_minor: None,
        by: Some("returns desk".to_owned()),
        note: None,
    })
}

fn id(what: &str, number: usize) -> Result<CommandId, DemoError> {
    CommandId::new(format!("demo-{what}-{number}")).map_err(|error| DemoError::Words(error.to_string()))
}

fn count(ids: &HashSet<OrderId>) -> u64 {
    u64::try_from(ids.len()).unwrap_or(u64::MAX)
}
