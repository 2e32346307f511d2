//! `orders stock receive` and `orders stock show`.

use std::time::Duration;

use grammar::{Table, complain, terminal_width};
use schemas::{CommandId, Message, Sku, StockEvent, TopicName};
use serde_json::{Value, json};
use uuid::Uuid;

use super::options::{ReceiveOptions, StockShowOptions};
use super::output::{Failure, reading_bar};
use super::publish::{SOURCE, publish_file};
use super::{End, NAME, Session, or_interrupted};
use crate::{Came, Entries, Level, PublishPlan, Publisher, Record, Selection, StockLevels, TopicReader, record_json};

/// How often a wait looks at the clock.
const TICK: Duration = Duration::from_millis(200);

pub(super) async fn receive(session: &Session, options: ReceiveOptions) -> Result<End, Failure> {
    match (options.file, options.sku, options.quantity) {
        (Some(file), _, _) => {
            let batch = options.id.map_or_else(|| Uuid::now_v7().to_string(), String::from);
            let name = file.display().to_string();
            let entries = Entries::stock(file, &batch)?;
            eprintln!("receipts have the ids {batch}/LINE; --id {batch} repeats them without a second effect");
            publish_file(session, TopicName::StockCommands, &name, "receipt", entries, PublishPlan::default(), None)
                .await
        }
        (None, Some(sku), Some(quantity)) => {
            let id = options.id.map_or_else(|| CommandId::new(Uuid::now_v7().to_string()), Ok);
            let id = id.map_err(|error| Failure::Words(error.to_string()))?;
            or_interrupted(receive_one(session, sku, quantity, id, options.no_wait)).await
        }
        (None, _, _) => Err(Failure::Words("give a SKU and a quantity, or --file".to_owned())),
    }
}

async fn receive_one(session: &Session, sku: Sku, quantity: i64, id: CommandId, no_wait: bool) -> Result<End, Failure> {
    let selection = Selection { topic: TopicName::StockEvents, key: Some(sku.as_str().to_owned()), from_end: false };
    let mut reader = TopicReader::open(&session.connection, selection).await?;
    let publisher = Publisher::open(&session.connection, SOURCE)?;
    publisher.check_topic(TopicName::StockCommands).await?;
    publisher.receive_stock(sku.clone(), quantity, id.clone()).await?;
    if no_wait {
        let json = || json!({ "sku": sku.as_str(), "command_id": id.as_str(), "answer": Value::Null });
        session.output.say(json, || format!("receipt {id} of {quantity} × {sku} is on its way"))?;
        return Ok(End::DONE);
    }
    let Some((record, accepted)) = answer(&mut reader, &id, quantity, session.patience).await? else {
        let wait_s = session.patience.as_secs();
        let words = format!("no answer from the inventory service within {wait_s} s; the receipt {id} is in its topic");
        return Err(Failure::Words(words));
    };
    let json = || json!({ "sku": sku.as_str(), "command_id": id.as_str(), "accepted": accepted, "answer": record_json(&record) });
    session.output.say(json, || match accepted {
        true => format!("received {quantity} × {sku} (receipt {id})"),
        false => format!("refused: {}", crate::detail(&record.message)),
    })?;
    Ok(if accepted { End::DONE } else { End::NO })
}

/// What the inventory service said to this command, and whether it was a yes.
async fn answer(
    reader: &mut TopicReader,
    id: &CommandId,
    quantity: i64,
    patience: Duration,
) -> Result<Option<(Record, bool)>, Failure> {
    let begin = tokio::time::Instant::now();
    while begin.elapsed() < patience {
        let Came::Message(record) = reader.next(TICK).await? else { continue };
        if let Message::StockEvent(event) = &record.message {
            let accepted = match event {
                // A receipt of another quantity under this id is an earlier command's; ours is still to be refused.
                StockEvent::StockReceived(m) if m.command_id == *id && m.quantity == quantity => true,
                StockEvent::StockCommandRejected(m) if m.command_id == *id => false,
                StockEvent::StockReceived(_) | StockEvent::StockAdjusted(_) | StockEvent::StockCommandRejected(_) => {
                    continue;
                }
            };
            return Ok(Some((*record, accepted)));
        }
    }
    Ok(None)
}

pub(super) async fn show(session: &Session, options: StockShowOptions) -> Result<End, Failure> {
    let bar = reading_bar();
    let levels = StockLevels::read(&session.connection, session.patience, |left| bar.set_position(left)).await;
    bar.finish_and_clear();
    let levels = levels?;
    let wanted: Vec<(&Sku, &Level)> =
        levels.all().filter(|(sku, _)| options.sku.as_ref().is_none_or(|only| only == *sku)).collect();
    if wanted.is_empty() {
        let what = options.sku.map_or_else(|| "any SKU".to_owned(), |sku| format!("the SKU {sku}"));
        complain(NAME, format_args!("nothing is known of {what}"));
        return Ok(End::NO);
    }
    if session.output.json {
        for (sku, level) in wanted {
            session.output.say(|| level_json(sku, level), String::new)?;
        }
        return Ok(End::DONE);
    }
    let mut table = Table::new(["SKU", "received", "reserved", "shipped", "returned", "written off", "available"]);
    for (sku, level) in wanted {
        let Level { received, reserved, shipped, returned, written_off } = *level;
        let numbers = [received, reserved, shipped, returned, written_off, level.available()];
        table.row(std::iter::once(sku.to_string()).chain(numbers.map(|number| number.to_string())));
    }
    session.output.say(|| Value::Null, || table.text(terminal_width()))?;
    Ok(End::DONE)
}

/// Sums are of 64-bit numbers: a JSON number where one fits, a text where it does not.
fn level_json(sku: &Sku, level: &Level) -> Value {
    let number = |n: i128| i64::try_from(n).map_or_else(|_| json!(n.to_string()), |n| json!(n));
    json!({
        "sku": sku.as_str(),
        "received": number(level.received),
        "reserved": number(level.reserved),
        "shipped": number(level.shipped),
        "returned": number(level.returned),
        "written_off": number(level.written_off),
        "available": number(level.available()),
    })
}
