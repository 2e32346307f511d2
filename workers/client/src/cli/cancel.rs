//! `orders cancel`: asks, and waits for the order service's yes or no.

use std::time::Duration;

use schemas::{CommandId, Message, OrderEvent, TopicName};
use serde_json::{Value, json};
use uuid::Uuid;

use super::options::CancelOptions;
use super::output::{Failure, reading_bar};
use super::publish::SOURCE;
use super::{End, Session};
use crate::{Came, OrderPlace, Publisher, Record, Selection, TopicReader, detail, record_json};

/// How often a wait looks at the clock.
const TICK: Duration = Duration::from_millis(200);

pub(super) async fn run(session: &Session, options: CancelOptions) -> Result<End, Failure> {
    let CancelOptions { order_id, id, no_wait } = options;
    let id = id.map_or_else(|| CommandId::new(Uuid::now_v7().to_string()), Ok);
    let id = id.map_err(|error| Failure::Words(error.to_string()))?;
    let selection =
        Selection { topic: TopicName::OrderEvents, key: Some(order_id.as_str().to_owned()), from_end: false };
    // Opened first and from the beginning: the answer may be there already, when this cancel is a repetition.
    let mut reader = TopicReader::open(&session.connection, selection).await?;
    let bar = reading_bar();
    let place = OrderPlace::find(&session.connection, &order_id, session.patience, |left| bar.set_position(left)).await;
    bar.finish_and_clear();
    let publisher = Publisher::open(&session.connection, SOURCE)?;
    publisher.cancel_on(place?.partition, order_id.clone(), id.clone()).await?;
    if no_wait {
        let json = || json!({ "order_id": order_id.as_str(), "command_id": id.as_str(), "answer": Value::Null });
        session.output.say(json, || format!("the cancel {id} of order {order_id} is on its way"))?;
        return Ok(End::DONE);
    }
    let Some((record, cancelled)) = answer(&mut reader, &id, session.patience).await? else {
        let wait_s = session.patience.as_secs();
        let words =
            format!("order {order_id} is not cancelled after {wait_s} s; follow it with `orders watch {order_id}`");
        return Err(Failure::Words(words));
    };
    let json = || {
        let answer = record_json(&record);
        json!({ "order_id": order_id.as_str(), "command_id": id.as_str(), "cancelled": cancelled, "answer": answer })
    };
    session.output.say(json, || match cancelled {
        true => format!("order {order_id} is cancelled ({})", detail(&record.message)),
        false => format!("order {order_id} is not cancelled: {}", detail(&record.message)),
    })?;
    Ok(if cancelled { End::DONE } else { End::NO })
}

/// The event that answers the cancel, and whether the order is cancelled.
async fn answer(
    reader: &mut TopicReader,
    id: &CommandId,
    patience: Duration,
) -> Result<Option<(Record, bool)>, Failure> {
    let begin = tokio::time::Instant::now();
    while begin.elapsed() < patience {
        let Came::Message(record) = reader.next(TICK).await? else { continue };
        if let Some(cancelled) = verdict(&record.message, id) {
            return Ok(Some((*record, cancelled)));
        }
    }
    Ok(None)
}

fn verdict(message: &Message, id: &CommandId) -> Option<bool> {
    let Message::OrderEvent(event) = message else { return None };
    match event {
        OrderEvent::OrderCancelled(_) => Some(true),
        OrderEvent::OrderStuck(_) => Some(false),
        OrderEvent::OrderRejected(m) if m.command_id.as_ref() == Some(id) => Some(false),
        _ => None,
    }
}
