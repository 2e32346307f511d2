//! `archive restore --partitions`: the pipeline goes over to another number of partitions, and on with all that it knows.

use std::collections::{BTreeMap, BTreeSet};

use outbox::inbox::place::RESTORED_FROM_HEADER;
use schemas::{CancelOrder, CommandId, MessageType, OrderId, PlaceOrder, ReceiveStock, ServiceName, Sku, TopicName};
use tests::{Found, Outcome, Pipeline, Sent, Servers, sample, trouble};

use crate::archive::archive;
use crate::program::{Run, run};
use crate::rested::rested;
use crate::restore::{self, all_topics, found, orders_end};

/// Enough that what is new gets partitions and offsets which old records had.
const REFUSED: usize = 60;

/// Knows where the services' tables are, and where the table of places is to be.
async fn restore(pipeline: &Pipeline, folder: &str, to: &str, more: &[&str]) -> Outcome<Run> {
    let places = pipeline.folder().join("places.csv").display().to_string();
    let tables = ["--database-url", pipeline.database_url(), "--places", &places];
    restore::restore(pipeline, folder, to, &[more, &tables].concat()).await
}

/// The command of a customer to cancel an order that there is none of.
fn refused(name: &str) -> Outcome<CancelOrder> {
    let (order_id, command_id) = (OrderId::new(name)?, CommandId::new(format!("cancel-{name}"))?);
    Ok(CancelOrder { order_id, command_id, reason_code: None, by: None, note: None })
}

/// Commands that end in refusals and dead letters, some with a forged first place.
async fn bad_input(pipeline: &Pipeline, name: &str) -> Outcome {
    let forged = (RESTORED_FROM_HEADER.to_owned(), Some(b"0@0".to_vec()));
    let mut sent = Vec::new();
    for number in 0..REFUSED {
        let mut cancel = Sent::of(refused(&format!("{name}-{number}"))?)?;
        if number.is_multiple_of(7) {
            cancel.headers.push(forged.clone());
        }
        sent.push(cancel);
        let command_id = CommandId::new(format!("nothing-{name}-{number}"))?;
        let nothing = ReceiveStock::of(Sku::new(format!("sku-{name}-{number}"))?, command_id, 0);
        sent.push(Sent::of(nothing)?);
    }
    for number in 0..6_u8 {
        let key = (!number.is_multiple_of(3)).then(|| format!("spoilt-{name}-{number}").into_bytes());
        let partition = key.is_none().then_some(i32::from(number % 2));
        let spoilt = Sent {
            topic: TopicName::OrderCommands.as_str().to_owned(),
            partition,
            key,
            value: Some(b"no command".to_vec()),
            headers: vec![forged.clone()],
        };
        sent.push(spoilt);
        // On a topic that only a service writes.
        let partition = Some(i32::from(number % 2));
        let stranger = Sent { topic: TopicName::PaymentEvents.as_str().to_owned(), partition, ..Sent::default() };
        let key = Some(format!("stranger-{name}-{number}").into_bytes());
        sent.push(Sent { key, value: Some(b"stranger".to_vec()), ..stranger });
    }
    pipeline.broker().send_all(&sent).await?;
    Ok(())
}

/// More orders, which end as all that came before them; and bad input of all kinds.
async fn goes_on(pipeline: &Pipeline, orders: &mut Vec<PlaceOrder>, more: Vec<PlaceOrder>, name: &str) -> Outcome {
    bad_input(pipeline, name).await?;
    orders_end(pipeline, orders, more).await?;
    pipeline.check_clean().await
}

async fn verified(pipeline: &Pipeline) -> Outcome {
    let said = run(pipeline, &["verify", "--database-url", pipeline.database_url()]).await?.expect(0)?.stdout;
    if said.contains("Everything holds") { Ok(()) } else { Err(trouble(said)) }
}

/// By topic and key, the ids of its records in their order, and what they say.
type Histories = BTreeMap<(String, Option<Vec<u8>>), Vec<(String, Option<Vec<u8>>)>>;

fn id_of(record: &Found) -> String {
    let name = if record.topic.ends_with("-dlt") { "outbox-id" } else { "ce_id" };
    record.text(name)
}

/// Notes of operators are left out: they name their letter's offset.
fn histories(found: &[Found]) -> Histories {
    let mut histories = Histories::new();
    for record in found.iter().filter(|record| record.key.is_some() && record.header("operator-action").is_none()) {
        let history = histories.entry((record.topic.clone(), record.key.clone())).or_default();
        history.push((id_of(record), record.value.clone()));
    }
    histories
}

/// The ids of all refusals and letters, each of which must be another's alone.
fn answers(found: &[Found]) -> BTreeSet<String> {
    let is_answer = |record: &&Found| {
        let name = record.text("ce_type");
        let refusals = [MessageType::OrderRejected, MessageType::StockCommandRejected].map(MessageType::type_name);
        let is_letter = record.topic.ends_with("-dlt") && record.header("operator-action").is_none();
        is_letter || (record.topic.contains("events") && refusals.contains(&name.as_str()))
    };
    let answers: Vec<String> = found.iter().filter(is_answer).map(id_of).collect();
    let ids: BTreeSet<String> = answers.iter().cloned().collect();
    assert_eq!(ids.len(), answers.len(), "an answer's id is its own");
    ids
}

/// By topic, old partition and offset: the new ones.
type Places = BTreeMap<(String, i32, i64), (i32, i64)>;

/// Where each old record lies now, by the table that was written.
fn places(pipeline: &Pipeline) -> Outcome<Places> {
    let mut places = BTreeMap::new();
    for line in std::fs::read_to_string(pipeline.folder().join("places.csv"))?.lines().skip(1) {
        let [topic, partition, offset, records, to_partition, to_offset] = line.split(',').collect::<Vec<_>>()[..]
        else {
            return Err(trouble(format!("no line of places: {line}")));
        };
        let topic = topic.strip_prefix(pipeline.prefix()).ok_or_else(|| trouble(line))?;
        let (offset, to_offset): (i64, i64) = (offset.parse()?, to_offset.parse()?);
        for step in 0..records.parse::<i64>()? {
            let from = (topic.to_owned(), partition.parse()?, offset + step);
            assert_eq!(places.insert(from, (to_partition.parse()?, to_offset + step)), None, "{line}");
        }
    }
    Ok(places)
}

/// Archive, restore into so many partitions, go over, and see that nothing is lost or in another order.
async fn repartition(pipeline: &mut Pipeline, count: i32, folder: &str) -> Outcome {
    let folder = pipeline.folder().join(folder).display().to_string();
    archive(pipeline, &folder, &[]).await?.expect(0)?;
    let before = found(pipeline, &all_topics()).await?;
    let new = format!("{}x{count}-", pipeline.prefix());
    let number = count.to_string();
    let told = restore(pipeline, &folder, &new, &["--partitions", &number, "--dry-run"]).await?.expect(0)?.stdout;
    let expected = format!("{} records would be published in {} partitions", before.len(), 16 * count);
    assert!(told.starts_with(&expected), "{told}");
    restore(pipeline, &folder, &new, &["--partitions", &number]).await?.expect(0)?;
    let swap = ["--partitions", &number, "--swap"];
    let swapped = restore(pipeline, &folder, &new, &swap).await?.expect(0)?.stdout;
    assert!(swapped.starts_with("0 records published") && swapped.contains("order: writes to 6"), "{swapped}");
    let again = restore(pipeline, &folder, &new, &swap).await?.expect(0)?.stdout;
    assert!(again.starts_with("0 records published") && again.contains("order: writes to 0"), "{again}");
    let places = places(pipeline)?;

    pipeline.move_to(&new)?;
    pipeline.change_settings(|settings| settings.partitions = count)?;
    let after = found(pipeline, &all_topics()).await?;
    assert_eq!(after.len(), before.len());
    assert!(histories(&after) == histories(&before), "every key has its records in their order");
    let lies: BTreeMap<(&str, i32, i64), &Found> =
        after.iter().map(|record| ((record.topic.as_str(), record.partition, record.offset), record)).collect();
    for record in &before {
        let to = places.get(&(record.topic.clone(), record.partition, record.offset));
        let (partition, offset) = to.ok_or_else(|| trouble(format!("no place of {record:?}")))?;
        let there = lies.get(&(record.topic.as_str(), *partition, *offset));
        assert_eq!(there.map(|there| id_of(there)), Some(id_of(record)), "{record:?}");
    }
    verified(pipeline).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_go_on_with_other_numbers_of_partitions() -> Outcome {
    let (mut pipeline, mut orders) = rested(&Servers::shared().await?, 20).await?;
    pipeline.start_services(&ServiceName::ALL).await?;
    goes_on(&pipeline, &mut orders, sample(500, 10)?, "first").await?;
    let letters = run(&pipeline, &["dead-letters", "list", "--json"]).await?.expect(0)?.json()?;
    let letter = letters["letters"][0]["letter"].as_str().unwrap_or_default().to_owned();
    run(&pipeline, &["dead-letters", "discard", &letter, "--reason", "a test"]).await?.expect(0)?;
    pipeline.stop_services(&ServiceName::ALL).await?;
    let url = pipeline.database_url().to_owned();

    repartition(&mut pipeline, 5, "archive").await?;
    let first = answers(&found(&pipeline, &all_topics()).await?);
    let letters = run(&pipeline, &["dead-letters", "list"]).await?.expect(0)?.stdout;
    assert!(letters.contains("discarded"), "{letters}");
    pipeline.start_services(&ServiceName::ALL).await?;
    goes_on(&pipeline, &mut orders, sample(900, 10)?, "second").await?;
    let second = answers(&found(&pipeline, &all_topics()).await?);
    assert!(second.is_superset(&first) && second.len() > first.len() + 2 * REFUSED);

    // What the topics tell is what the tables hold, also once it has taken their place.
    pipeline.stop_services(&ServiceName::ALL).await?;
    let rebuild = run(&pipeline, &["rebuild", "--dry-run", "--database-url", &url]).await?.expect(0)?.stdout;
    assert_eq!(rebuild.matches("the same, row for row").count(), 3, "{rebuild}");
    run(&pipeline, &["rebuild", "--swap", "--database-url", &url]).await?.expect(0)?;
    pipeline.start_services(&ServiceName::ALL).await?;
    goes_on(&pipeline, &mut orders, sample(1300, 5)?, "third").await?;
    pipeline.stop_services(&ServiceName::ALL).await?;

    repartition(&mut pipeline, 2, "again").await?;
    let third = answers(&found(&pipeline, &all_topics()).await?);
    pipeline.start_services(&ServiceName::ALL).await?;
    goes_on(&pipeline, &mut orders, sample(1700, 5)?, "fourth").await?;
    pipeline.stop_services(&ServiceName::ALL).await?;
    let fourth = answers(&found(&pipeline, &all_topics()).await?);
    assert!(fourth.is_superset(&third) && fourth.len() > third.len() + 2 * REFUSED);
    reads_again(&mut pipeline, &fourth).await?;
    pipeline.accept();
    Ok(())
}

/// Commands that are read once more are answered under the ids of the first time, wherever they lie by now.
async fn reads_again(pipeline: &mut Pipeline, answered: &BTreeSet<String>) -> Outcome {
    let topic = format!("{}{}", pipeline.prefix(), TopicName::OrderCommands);
    let forget = "update orders.inbox_offsets \
                  set next_offset = 0, witness_offset = null, witness_digest = null, topic_id = null where topic = $1";
    assert_eq!(pipeline.tables().execute(forget, &[&topic]).await?, 2);
    pipeline.start_services(&ServiceName::ALL).await?;
    pipeline.await_quiet().await?;
    let found = found(pipeline, &all_topics()).await?;
    let letters = found.iter().filter(|record| record.topic == TopicName::OrderCommands.dead_letter());
    let letters: Vec<String> = letters.filter(|record| record.header("operator-action").is_none()).map(id_of).collect();
    let distinct: BTreeSet<&String> = letters.iter().collect();
    assert_eq!(letters.len(), 2 * distinct.len(), "each was set aside twice");
    let rejected =
        found.iter().filter(|record| record.text("ce_type") == MessageType::OrderRejected.type_name()).map(id_of);
    let strange: Vec<String> = rejected.chain(letters.iter().cloned()).filter(|id| !answered.contains(id)).collect();
    assert_eq!(strange, Vec::<String>::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_not_at_rest_is_refused_before_anything_is_made() -> Outcome {
    let (mut pipeline, _) = rested(&Servers::shared().await?, 5).await?;
    let folder = pipeline.folder().join("archive").display().to_string();
    let new = format!("{}x4-", pipeline.prefix());
    let swap = ["--partitions", "4", "--swap"];
    // A command that nobody has read.
    pipeline.broker().send(&Sent::of(refused("late")?)?).await?;
    archive(&pipeline, &folder, &[]).await?.expect(0)?;
    let unread = restore(&pipeline, &folder, &new, &swap).await?.expect(2)?.stderr;
    assert!(unread.contains("order.commands.v1") && unread.contains("until it has read all"), "{unread}");

    pipeline.start_services(&ServiceName::ALL).await?;
    pipeline.await_quiet().await?;
    let running = restore(&pipeline, &folder, &new, &swap).await?.expect(2)?.stderr;
    assert!(running.contains("is connected") && running.contains("stop it first"), "{running}");
    pipeline.stop_services(&ServiceName::ALL).await?;
    // It has read and said more than is archived.
    let beyond = restore(&pipeline, &folder, &new, &swap).await?.expect(2)?.stderr;
    assert!(beyond.contains("archive again"), "{beyond}");
    for bad in [&["--partitions", "0"][..], &["--partitions", "-1"]] {
        restore(&pipeline, &folder, &new, bad).await?.expect(2)?;
    }
    let url = pipeline.database_url().to_owned();
    archive(&pipeline, &folder, &[]).await?.expect(0)?;
    let same = restore(&pipeline, &folder, pipeline.prefix(), &swap).await?.expect(2)?.stderr;
    assert!(same.contains("another --topic-prefix"), "{same}");
    restore(&pipeline, &folder, &new, &["--partitions", "3", "--swap"]).await?.expect(0)?;
    pipeline.move_to(&new)?;
    run(&pipeline, &["verify", "--database-url", &url]).await?.expect(0)?;
    pipeline.accept();
    Ok(())
}
