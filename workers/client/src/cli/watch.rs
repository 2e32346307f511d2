//! `orders watch`: what happens to orders as it happens, or one order's events until it is finished.

use std::time::Duration;

use grammar::{complain, counted, harmless};
use schemas::{Message, OrderEvent, TopicName};

use super::options::WatchOptions;
use super::output::{Failure, spinner};
use super::{End, NAME, Session};
use crate::{Record, Selection, Step, TopicReader, detail, record_json};

/// How often a wait looks at the clock.
const TICK: Duration = Duration::from_millis(200);

pub(super) async fn run(session: &Session, options: WatchOptions) -> Result<End, Failure> {
    let one = options.order_id.clone();
    let selection = Selection {
        topic: TopicName::OrderEvents,
        key: options.order_id.map(String::from),
        from_end: one.is_none() && !options.from_beginning,
    };
    let mut reader = TopicReader::open(&session.connection, selection).await?;
    let begin = tokio::time::Instant::now();
    let limit = options.for_seconds.map(Duration::from_secs);
    let bar = spinner("{spinner} watching, Ctrl-C ends it  {elapsed}");
    while limit.is_none_or(|limit| begin.elapsed() < limit) {
        let Step::Message(record) = reader.next(TICK).await? else { continue };
        bar.suspend(|| session.output.say(|| record_json(&record), || line(&record)))?;
        if one.is_some() && is_finish(&record.message) {
            return Ok(End::DONE);
        }
    }
    if let (Some(order_id), Some(limit)) = (&one, limit) {
        let text = format!("the order {order_id} has not ended within {}", counted(limit.as_secs(), "second"));
        complain(NAME, text);
        return Ok(End::NO);
    }
    Ok(End::DONE)
}

/// One line of text for a message.
pub(super) fn line(record: &Record) -> String {
    let message = &record.message;
    let text = format!("{}  {}  {:<20} {}", record.time, message.key(), message.name(), detail(message));
    harmless(text.trim_end())
}

/// Whether nothing more happens to the order by itself after this event.
fn is_finish(message: &Message) -> bool {
    let Message::OrderEvent(event) = message else { return false };
    match event {
        OrderEvent::OrderCompleted(_) | OrderEvent::OrderCancelled(_) | OrderEvent::OrderStuck(_) => true,
        OrderEvent::OrderPlaced(_)
        | OrderEvent::OrderStockReserved(_)
        | OrderEvent::OrderConfirmed(_)
        | OrderEvent::OrderPaymentCaptured(_)
        | OrderEvent::OrderCancelling(_)
        | OrderEvent::OrderRejected(_) => false,
    }
}
