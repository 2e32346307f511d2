//! `orders stock receive`, `adjust`, `describe` and `show`.

use std::time::Duration;

use domain::stock::{Deed, Description};
use grammar::{Table, complain, money, terminal_width};
use schemas::{
    AdjustStock, CommandId, DescribeProduct, Message, ReceiveStock, Sku, StockCommand, StockEvent, TopicName,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::options::{AdjustOptions, Asker, DescribeOptions, ReceiveOptions, StockShowOptions};
use super::output::{Failure, reading_bar};
use super::publish::publish_file;
use super::way::{SOURCE, Way};
use super::{End, NAME, Session, or_interrupted};
use crate::{
    Came, Connection, Entries, HttpDoor, Level, PublishPlan, Publisher, Record, Request, Selection, StockLevels, Told,
    TopicReader, record_json,
};

/// How often a wait looks at the clock.
const TICK: Duration = Duration::from_millis(200);

pub(super) async fn receive(session: &Session, options: ReceiveOptions) -> Result<End, Failure> {
    let Asker { by, note } = options.asker;
    match (options.file, options.sku, options.quantity) {
        (Some(_), _, _) if by.is_some() || note.is_some() => {
            Err(Failure::Words("a file's receipts say nothing of who asks: leave out --by and --note".to_owned()))
        }
        (Some(file), _, _) => {
            let batch = options.id.map_or_else(|| Uuid::now_v7().to_string(), String::from);
            let name = file.display().to_string();
            let entries = Entries::stock(file, &batch)?;
            eprintln!("receipts have the ids {batch}/LINE; --id {batch} repeats them without a second effect");
            publish_file(session, TopicName::StockCommands, &name, "receipt", entries, PublishPlan::default(), None)
                .await
        }
        (None, Some(sku), Some(quantity)) => {
            let command_id = named(options.id)?;
            let receive = ReceiveStock { sku, command_id, quantity, by, note }.into();
            or_interrupted(change(session, receive, options.no_wait)).await
        }
        (None, _, _) => Err(Failure::Words("give a SKU and a quantity, or --file".to_owned())),
    }
}

pub(super) async fn adjust(session: &Session, options: AdjustOptions) -> Result<End, Failure> {
    let AdjustOptions { sku, delta, id, asker: Asker { by, note }, no_wait } = options;
    let adjust = AdjustStock { sku, command_id: named(id)?, delta, by, note }.into();
    or_interrupted(change(session, adjust, no_wait)).await
}

pub(super) async fn describe(session: &Session, options: DescribeOptions) -> Result<End, Failure> {
    let DescribeOptions { sku, title, price_minor, currency, id, asker: Asker { by, note }, no_wait } = options;
    let describe = DescribeProduct { sku, command_id: named(id)?, title, price_minor, currency, by, note }.into();
    or_interrupted(change(session, describe, no_wait)).await
}

fn named(id: Option<CommandId>) -> Result<CommandId, Failure> {
    let id = id.map_or_else(|| CommandId::new(Uuid::now_v7().to_string()), Ok);
    id.map_err(|error| Failure::Words(error.to_string()))
}

/// What a command is called, and how it is told once it is carried out.
fn words(command: &StockCommand) -> (&'static str, String) {
    match command {
        StockCommand::ReceiveStock(ReceiveStock { sku, quantity, .. }) => {
            ("receipt", format!("received {quantity} × {sku}"))
        }
        StockCommand::AdjustStock(AdjustStock { sku, delta, .. }) => {
            ("adjustment", format!("adjusted {sku} by {delta:+}"))
        }
        StockCommand::DescribeProduct(DescribeProduct { sku, title, price_minor, currency, .. }) => {
            ("description", format!("{sku} is {title} at {}", money(*price_minor, currency)))
        }
    }
}

/// What the inventory service said to a command.
struct Answer {
    /// Why not; none: it is done.
    refusal: Option<String>,
    /// The event, where it was seen.
    record: Option<Record>,
}

async fn change(session: &Session, command: StockCommand, no_wait: bool) -> Result<End, Failure> {
    let (sku, id) = (command.key().clone(), command.command_id().clone());
    let wait = (!no_wait).then_some(session.patience);
    let answer = match &session.way {
        Way::Kafka(connection) => by_kafka(connection, &command, wait).await?,
        Way::Http(door) => by_http(door, &command, wait).await?,
    };
    let (kind, done) = words(&command);
    if no_wait {
        let json = || json!({ "sku": sku.as_str(), "command_id": id.as_str(), "answer": Value::Null });
        session.output.say(json, || format!("{kind} {id} of {sku} is on its way"))?;
        return Ok(End::DONE);
    }
    let Some(Answer { refusal, record }) = answer else {
        let wait_s = session.patience.as_secs();
        let words = format!("no answer from the inventory service within {wait_s} s; the {kind} {id} is in its topic");
        return Err(Failure::Words(words));
    };
    let (accepted, record) = (refusal.is_none(), record.as_ref().map(record_json));
    let json = || json!({ "sku": sku.as_str(), "command_id": id.as_str(), "accepted": accepted, "answer": record });
    session.output.say(json, || match &refusal {
        None => format!("{done} ({kind} {id})"),
        Some(detail) => format!("refused: {detail}"),
    })?;
    Ok(if accepted { End::DONE } else { End::NO })
}

/// Publishes it and reads what is said to it.
async fn by_kafka(
    connection: &Connection,
    command: &StockCommand,
    wait: Option<Duration>,
) -> Result<Option<Answer>, Failure> {
    let key = Some(command.key().as_str().to_owned());
    let selection = Selection { topic: TopicName::StockEvents, key, from_end: false };
    let mut reader = TopicReader::open(connection, selection).await?;
    let publisher = Publisher::open(connection, SOURCE)?;
    publisher.check_topic(TopicName::StockCommands).await?;
    publisher.publish(&command.clone().into()).await?;
    let Some(patience) = wait else { return Ok(None) };
    let answer = answer(&mut reader, command, patience).await?;
    Ok(answer.map(|(record, accepted)| Answer {
        refusal: (!accepted).then(|| crate::detail(&record.message)),
        record: Some(record),
    }))
}

/// Asks for it: the answer to the request is the service's.
async fn by_http(door: &HttpDoor, command: &StockCommand, wait: Option<Duration>) -> Result<Option<Answer>, Failure> {
    Ok(match door.tell(&Request::of(&command.clone().into())?, wait).await? {
        Told::Taken => Some(Answer { refusal: None, record: None }),
        Told::OnItsWay => None,
        Told::Refused(problem) => {
            let reasons: Vec<String> = problem.reasons().into_iter().map(|reason| reason.detail).collect();
            Some(Answer { refusal: Some(reasons.join("; ")), record: None })
        }
    })
}

/// What the inventory service said to this command, and whether it was a yes.
async fn answer(
    reader: &mut TopicReader,
    command: &StockCommand,
    patience: Duration,
) -> Result<Option<(Record, bool)>, Failure> {
    let begin = tokio::time::Instant::now();
    while begin.elapsed() < patience {
        let Came::Message(record) = reader.next(TICK).await? else { continue };
        if let Message::StockEvent(event) = &record.message
            && let Some(accepted) = answers(command, event)
        {
            return Ok(Some((*record, accepted)));
        }
    }
    Ok(None)
}

/// Whether the event answers the command, with a yes or a no. An event of another content under its id is of an earlier command;
/// this one is still to be refused.
fn answers(command: &StockCommand, event: &StockEvent) -> Option<bool> {
    if event.command_id() != command.command_id() {
        return None;
    }
    Deed::told_by(event).map_or(Some(false), |done| (done == Deed::asked_by(command)).then_some(true))
}

pub(super) async fn show(session: &Session, options: StockShowOptions) -> Result<End, Failure> {
    let only = options.sku.as_ref();
    let (levels, descriptions) = match &session.way {
        Way::Kafka(connection) => {
            let bar = reading_bar();
            let levels = StockLevels::read(connection, session.patience, |left| bar.set_position(left)).await;
            bar.finish_and_clear();
            levels?.into_parts()
        }
        Way::Http(door) => (door.levels(only).await?, door.descriptions(only).await?),
    };
    let wanted: Vec<(&Sku, &Level)> = levels.iter().filter(|(sku, _)| only.is_none_or(|only| only == *sku)).collect();
    if wanted.is_empty() {
        let what = options.sku.map_or_else(|| "any SKU".to_owned(), |sku| format!("the SKU {sku}"));
        complain(NAME, format_args!("nothing is known of {what}"));
        return Ok(End::NO);
    }
    if session.output.json {
        for (sku, level) in wanted {
            session.output.say(|| level_json(sku, level, descriptions.get(sku)), String::new)?;
        }
        return Ok(End::DONE);
    }
    let columns = ["SKU", "received", "reserved", "shipped", "returned", "written off", "available", "price", "title"];
    let mut table = Table::new(columns);
    for (sku, level) in wanted {
        let Level { received, reserved, shipped, returned, written_off } = *level;
        let numbers = [received, reserved, shipped, returned, written_off, level.available()];
        let told = descriptions.get(sku).map_or_else(Default::default, |description| {
            let Description { title, price_minor, currency } = description;
            [money(*price_minor, currency), title.clone()]
        });
        table.row(std::iter::once(sku.to_string()).chain(numbers.map(|number| number.to_string())).chain(told));
    }
    session.output.say(|| Value::Null, || table.text(terminal_width()))?;
    Ok(End::DONE)
}

/// Sums are of 64-bit numbers: a JSON number where one fits, a text where it does not.
fn level_json(sku: &Sku, level: &Level, description: Option<&Description>) -> Value {
    let number = |n: i128| i64::try_from(n).map_or_else(|_| json!(n.to_string()), |n| json!(n));
    json!({
        "sku": sku.as_str(),
        "received": number(level.received),
        "reserved": number(level.reserved),
        "shipped": number(level.shipped),
        "returned": number(level.returned),
        "written_off": number(level.written_off),
        "available": number(level.available()),
        "title": description.map(|had| &had.title),
        "price_minor": description.map(|had| had.price_minor),
        "currency": description.map(|had| &had.currency),
    })
}

#[cfg(test)]
mod tests {
    use schemas::{StockAdjusted, StockCommandRejected, StockReceived, StockRejectionCode, Time};

    use super::*;

    #[test]
    fn only_its_own_answer_ends_the_wait() {
        let (sku, at) = (Sku::new("a").unwrap(), Time::from_micros(1));
        let id = |text: &str| CommandId::new(text).unwrap();
        let adjust: StockCommand = AdjustStock::of(sku.clone(), id("count"), -3).into();
        let adjusted = |command_id, delta| {
            StockAdjusted { sku: sku.clone(), version: 2, at, command_id, delta, origin: None }.into()
        };
        assert_eq!(answers(&adjust, &adjusted(id("count"), -3)), Some(true));
        assert_eq!(answers(&adjust, &adjusted(id("count"), -2)), None, "an earlier one under this id");
        assert_eq!(answers(&adjust, &adjusted(id("other"), -3)), None);
        let (command_id, origin) = (id("count"), None);
        let received = StockReceived { sku: sku.clone(), version: 1, at, command_id, quantity: -3, origin };
        assert_eq!(answers(&adjust, &received.into()), None);
        let (code, detail) = (StockRejectionCode::BelowReserved, "too few".to_owned());
        let refused = StockCommandRejected { sku: sku.clone(), at, command_id: id("count"), code, detail };
        assert_eq!(answers(&adjust, &refused.into()), Some(false));
        assert_eq!(words(&adjust).1, "adjusted a by -3");
    }
}
