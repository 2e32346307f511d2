//! `orders watch`: what happens to orders as it happens, or one order's events until it is finished.

use std::time::Duration;

use grammar::{complain, counted, harmless};
use schemas::{Message, OrderEvent, TopicName};

use super::options::WatchOptions;
use super::output::{Failure, spinner};
use super::way::Events;
use super::{End, NAME, Session};
use crate::{Came, Record, Selection, Standing, TopicReader, detail, record_json};

/// How often a wait looks at the clock.
const TICK: Duration = Duration::from_millis(200);

pub(super) async fn run(session: &Session, options: WatchOptions) -> Result<End, Failure> {
    let one = options.order_id;
    let mut reader = match &one {
        Some(order_id) => session.way.order_events(order_id).await?,
        None => {
            let connection = session.way.kafka("one order alone can be watched: give its id")?;
            let from_end = !options.from_beginning;
            let selection = Selection { topic: TopicName::OrderEvents, key: None, from_end };
            Events::Topic(Box::new(TopicReader::open(connection, selection).await?))
        }
    };
    let begin = tokio::time::Instant::now();
    let limit = options.for_seconds.map(Duration::from_secs);
    let bar = spinner("{spinner} watching, Ctrl-C ends it  {elapsed}");
    let mut events: Vec<OrderEvent> = Vec::new();
    while limit.is_none_or(|limit| begin.elapsed() < limit) {
        let came = reader.next(TICK).await?;
        if let Came::Message(record) = &came {
            bar.suspend(|| session.output.say(|| record_json(record), || line(record)))?;
        }
        if one.is_none() {
            continue;
        }
        if let Came::Message(record) = came
            && let Message::OrderEvent(event) = record.message
        {
            events.push(event);
        }
        if reader.remaining() == 0 && is_finished(&events) {
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

/// Whether nothing more happens to the order by itself after these events.
fn is_finished(events: &[OrderEvent]) -> bool {
    matches!(Standing::of(events), Ok(Some(standing)) if standing.is_at_rest())
}
