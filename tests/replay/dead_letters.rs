//! `dead-letters`: what nobody could take is listed, shown, corrected, published again, settled.

use std::collections::BTreeMap;
use std::path::PathBuf;

use dev_stack::Child;
use schemas::{Codec, Message, PlaceOrder, TopicName};
use serde_json::{Value, json};
use tests::{Found, Outcome, Pipeline, Sent, Servers, Settings, order, stock_for, trouble};

use crate::DAEMON;
use crate::program::{Run, command, run};

const LETTERS: TopicName = TopicName::OrderCommands;

/// An order's command, to be spoilt.
fn sent(order: &PlaceOrder) -> Outcome<Sent> {
    Sent::of(Message::from(order.clone()))
}

/// What lies in a topic of the pipeline.
async fn records(pipeline: &Pipeline, topic: &str) -> Outcome<Vec<Found>> {
    pipeline.broker().read(&[topic.to_owned()]).await
}

async fn await_letters(pipeline: &Pipeline, count: usize) -> Outcome<Vec<Value>> {
    pipeline
        .until("the letters are there", async || {
            let listed = list(pipeline, &[]).await?;
            if listed.len() >= count { Ok(listed) } else { Err(trouble(format!("{} are", listed.len()))) }
        })
        .await
}

async fn list(pipeline: &Pipeline, filter: &[&str]) -> Outcome<Vec<Value>> {
    let arguments = [&["dead-letters", "list", "--json"], filter].concat();
    let listed = run(pipeline, &arguments).await?.expect(0)?.json()?;
    listed["letters"].as_array().cloned().ok_or_else(|| trouble("no letters"))
}

async fn redrive(pipeline: &Pipeline, arguments: &[&str]) -> Outcome<Run> {
    run(pipeline, &[&["dead-letters", "redrive"], arguments].concat()).await
}

/// The letter of this key.
fn of_key<'l>(letters: &'l [Value], key: &str) -> Outcome<&'l Value> {
    letters
        .iter()
        .find(|letter| letter["key"] == key)
        .ok_or_else(|| trouble(format!("no letter of {key}: {letters:#?}")))
}

fn name(letter: &Value) -> &str {
    letter["letter"].as_str().unwrap_or_default()
}

fn file(pipeline: &Pipeline, name: &str, content: &Value) -> Outcome<String> {
    let path: PathBuf = pipeline.folder().join(name);
    std::fs::write(&path, content.to_string())?;
    Ok(path.display().to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_commands_are_listed_shown_corrected_and_their_orders_complete() -> Outcome {
    let servers = Servers::shared().await?;
    let pipeline = Pipeline::start(DAEMON, &servers, Settings::default()).await?;
    let orders = [order("garbled", &["a"])?, order("mis-keyed", &["a"])?, order("unknown-schema", &["a"])?];
    pipeline.receive(&stock_for(&orders)).await?;
    let garbage = Sent { value: Some(b"\x01not avro\xff".to_vec()), ..sent(&orders[0])? };
    let wrong_key = Sent { key: Some(b"another-key".to_vec()), ..sent(&orders[1])? };
    let mut bad_schema = sent(&orders[2])?;
    bad_schema.value.as_mut().ok_or_else(|| trouble("no value"))?[1] = 0x7f;
    pipeline.broker().send_all(&[garbage, wrong_key, bad_schema]).await?;
    let listed = await_letters(&pipeline, 3).await?;

    let cause = |key: &str| Ok::<_, tests::Trouble>(of_key(&listed, key)?["cause"].clone());
    assert_eq!(cause("garbled")?, "undecodable");
    assert_eq!(cause("another-key")?, "key");
    assert_eq!(cause("unknown-schema")?, "undecodable");
    assert!(listed.iter().all(|letter| letter["state"] == "open"), "{listed:#?}");
    let by_cause = list(&pipeline, &["--cause", "key", "--topic", "order.commands.v1"]).await?;
    assert_eq!(by_cause.len(), 1, "{by_cause:#?}");
    assert!(list(&pipeline, &["--until", "2020-01-01T00:00:00Z"]).await?.is_empty());
    assert!(list(&pipeline, &["--topic", "stock.commands.v1"]).await?.is_empty());

    // What can be decoded is shown as JSON, what cannot as bytes.
    let (garbled, mis_keyed) = (name(of_key(&listed, "garbled")?), name(of_key(&listed, "another-key")?));
    let text = run(&pipeline, &["dead-letters", "show", mis_keyed]).await?.expect(0)?.stdout;
    assert!(
        text.contains("\"order_id\": \"mis-keyed\"") && text.contains("ce_type: shop.order.PlaceOrder.v2"),
        "{text}"
    );
    let text = run(&pipeline, &["dead-letters", "show", garbled]).await?.expect(0)?.stdout;
    assert!(text.contains("01 6e 6f 74 20 61 76 72 6f ff") && text.contains(".not avro."), "{text}");
    let shown = run(&pipeline, &["dead-letters", "show", mis_keyed, "--json"]).await?.expect(0)?.json()?;
    run(&pipeline, &["dead-letters", "show", "order.commands.v1-dlt[0]@999999"]).await?.expect(1)?;

    // As they are they would only come back: refused, and nothing is written.
    let before =
        (records(&pipeline, LETTERS.as_str()).await?.len(), records(&pipeline, &LETTERS.dead_letter()).await?.len());
    let refused = redrive(&pipeline, &["--all"]).await?.expect(1)?;
    assert!(
        refused.stdout.contains("would be set aside again") && refused.stdout.contains("0 redriven, 3 not"),
        "{refused:?}"
    );
    // A dry run of what could be done writes nothing either.
    let fixed = file(&pipeline, "mis-keyed.json", &shown)?;
    let dry = redrive(&pipeline, &[mis_keyed, "--edited", &fixed, "--dry-run"]).await?.expect(0)?;
    assert!(dry.stdout.contains("would be redriven"), "{dry:?}");
    let after =
        (records(&pipeline, LETTERS.as_str()).await?.len(), records(&pipeline, &LETTERS.dead_letter()).await?.len());
    assert_eq!(before, after);

    redrive(&pipeline, &[mis_keyed, "--edited", &fixed, "--by", "alice", "--reason", "the key was wrong"])
        .await?
        .expect(0)?;
    for (letter, order) in [(garbled, &orders[0]), (name(of_key(&listed, "unknown-schema")?), &orders[2])] {
        let body = json!({
            "order_id": order.order_id, "customer_id": order.customer_id, "placed_at": "2017-07-14T02:40:00Z",
            "currency": "USD", "lines": [{ "sku": "a", "quantity": 1, "unit_price_minor": 100 }],
        });
        let edited = file(&pipeline, "edited.json", &json!({ "type": "PlaceOrder", "body": body }))?;
        redrive(&pipeline, &[letter, "--edited", &edited]).await?.expect(0)?;
    }
    let rows = pipeline.await_terminal(&orders).await?;
    assert!(rows.values().all(|row| row.stage == "completed"), "{rows:?}");

    let listed = list(&pipeline, &[]).await?;
    assert!(listed.iter().all(|letter| letter["state"] == "redriven"), "{listed:#?}");
    assert!(list(&pipeline, &["--open"]).await?.is_empty());
    let note = of_key(&listed, "another-key")?["notes"][1].clone();
    assert_eq!(
        (&note["by"], &note["reason"], &note["is_edited"]),
        (&"alice".into(), &"the key was wrong".into(), &true.into())
    );
    assert_eq!(of_key(&listed, "garbled")?["notes"][1]["by"], "the-operator");
    let trace = run(&pipeline, &["trace", "mis-keyed"]).await?.expect(0)?.stdout;
    for told in ["[dead letter] PlaceOrder", "[operator] redriven", "by alice, edited", "stands at completed"] {
        assert!(trace.contains(told), "{told} in {trace}");
    }
    // Notes of operators are nothing that the checker takes for messages.
    pipeline.check_clean().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_handled_is_not_redriven_again_and_no_message_goes_round_for_ever() -> Outcome {
    let servers = Servers::shared().await?;
    let pipeline = Pipeline::start(DAEMON, &servers, Settings::default()).await?;
    let garbage = |key: &str| Sent {
        topic: LETTERS.as_str().to_owned(),
        key: Some(key.as_bytes().to_vec()),
        value: Some(b"garbage".to_vec()),
        ..Sent::default()
    };
    pipeline.broker().send_all(&[garbage("round"), garbage("settled")]).await?;
    let mut letters = await_letters(&pipeline, 2).await?;
    let settled = name(of_key(&letters, "settled")?).to_owned();
    run(&pipeline, &["dead-letters", "discard", &settled]).await?.expect(2)?;
    run(&pipeline, &["dead-letters", "discard", &settled, "--reason", "a test of ours"]).await?.expect(0)?;
    let refused = redrive(&pipeline, &[&settled, "--unreadable"]).await?.expect(1)?;
    assert!(refused.stdout.contains("it was discarded by the-operator"), "{refused:?}");
    assert_eq!(of_key(&list(&pipeline, &[]).await?, "settled")?["state"], "discarded");

    // Insisting, three times; each time it comes back as a new letter.
    let mut letter = name(of_key(&letters, "round")?).to_owned();
    for count in 1..=3 {
        redrive(&pipeline, &[&letter, "--unreadable"]).await?.expect(0)?;
        let again = redrive(&pipeline, &[&letter, "--unreadable"]).await?.expect(1)?;
        assert!(again.stdout.contains("--again"), "{again:?}");
        letters = await_letters(&pipeline, 2 + count).await?;
        let newest = letters.iter().filter(|letter| letter["key"] == "round" && letter["state"] == "open");
        letter = newest.map(name).next().ok_or_else(|| trouble(format!("no open letter: {letters:#?}")))?.to_owned();
    }
    let guarded = redrive(&pipeline, &[&letter, "--unreadable"]).await?.expect(1)?;
    assert!(guarded.stdout.contains("it was redriven 3 times already"), "{guarded:?}");
    let records = records(&pipeline, LETTERS.as_str()).await?;
    let counts: Vec<String> =
        records.iter().map(|record| record.text("redrive-count")).filter(|c| !c.is_empty()).collect();
    assert_eq!(counts, ["1", "2", "3"]);
    // What a service alone writes is not an operator's to say.
    let stranger = Sent { topic: "payment.events.v1".to_owned(), ..garbage("round") };
    pipeline.broker().send(&stranger).await?;
    await_letters(&pipeline, 6).await?;
    let refused = redrive(&pipeline, &["--topic", "payment.events.v1", "--unreadable"]).await?.expect(1)?;
    assert!(refused.stdout.contains("only the payment service writes payment.events.v1"), "{refused:?}");
    run(&pipeline, &["dead-letters", "redrive"]).await?.expect(2)?;
    pipeline.check_clean().await?;
    Ok(())
}

/// Orders whose commands came under one wrong key each: `count` letters of `keys` keys.
async fn spoilt(pipeline: &Pipeline, keys: usize, count: usize) -> Outcome {
    let mut bad = Vec::new();
    for number in 0..count {
        let key = format!("key-{}", number % keys);
        let value = Codec::embedded().encode(&order(&format!("o-{number:03}"), &["a"])?.into())?;
        let headers = vec![("number".to_owned(), Some(number.to_string().into_bytes()))];
        let topic = LETTERS.as_str().to_owned();
        bad.push(Sent { topic, key: Some(key.into_bytes()), value: Some(value), headers, ..Sent::default() });
    }
    pipeline.broker().send_all(&bad).await?;
    await_letters(pipeline, count).await.map(drop)
}

/// The redriven records of each key by their numbers, in the order of the log.
async fn redriven(pipeline: &Pipeline) -> Outcome<BTreeMap<String, Vec<String>>> {
    let mut numbers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for record in records(pipeline, LETTERS.as_str()).await? {
        if record.header("redrive-of").is_some() {
            let key = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned();
            numbers.entry(key).or_default().push(record.text("number"));
        }
    }
    Ok(numbers)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redrive_that_is_killed_is_ended_by_the_next_one_and_nothing_is_doubled() -> Outcome {
    const KEYS: usize = 5;
    const COUNT: usize = 60;
    let servers = Servers::shared().await?;
    let pipeline = Pipeline::start(DAEMON, &servers, Settings::default()).await?;
    spoilt(&pipeline, KEYS, COUNT).await?;
    // Only the first letters: what is redriven becomes a letter again.
    let letters: Vec<String> = list(&pipeline, &[]).await?.iter().map(|letter| name(letter).to_owned()).collect();
    let named: Vec<&str> = letters.iter().map(String::as_str).collect();
    let arguments = [&["dead-letters", "redrive", "--unreadable", "--rate", "40"], &named[..]].concat();
    for (round, wanted) in [(1, 7), (2, 25)] {
        let log = pipeline.folder().join(format!("redrive-{round}.log"));
        let killed = Child::spawn(command(&pipeline, &arguments), "redrive", &log)?;
        pipeline
            .until("some are redriven", async || {
                let count: usize = redriven(&pipeline).await?.values().map(Vec::len).sum();
                if count >= wanted { Ok(()) } else { Err(trouble(format!("{count} are"))) }
            })
            .await?;
        killed.kill9()?;
    }
    let last = run(&pipeline, &arguments).await?;
    assert!(matches!(last.code, Some(0 | 1)), "{last:?}");
    let ended = run(&pipeline, &arguments).await?.expect(1)?;
    assert!(ended.stdout.contains(&format!("0 redriven, {COUNT} not")), "{ended:?}");
    let all = redriven(&pipeline).await?;
    for (key, numbers) in &all {
        let expected: Vec<String> = (0..COUNT)
            .filter(|number| format!("key-{}", number % KEYS) == *key)
            .map(|number| number.to_string())
            .collect();
        assert_eq!(*numbers, expected, "each once, in order: {key}");
    }
    assert_eq!(all.len(), KEYS);
    pipeline.check_clean().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_an_interrupted_redrive_had_published_is_found() -> Outcome {
    let servers = Servers::shared().await?;
    let pipeline = Pipeline::start(DAEMON, &servers, Settings::default()).await?;
    spoilt(&pipeline, 1, 2).await?;
    let letters = list(&pipeline, &[]).await?;
    // As if the first redrive had been killed between its record and the note about it, and the second before its record.
    let partition = i32::try_from(letters[0]["partition"].as_i64().unwrap_or_default())?;
    let ends = pipeline.broker().ends(&[LETTERS.as_str().to_owned()]).await?;
    let (_, end) = ends[&(LETTERS.as_str().to_owned(), partition)];
    for letter in &letters {
        let offset: i64 = name(letter).rsplit_once('@').ok_or_else(|| trouble("no offset"))?.1.parse()?;
        let note = json!({
            "action": "redrive-begun", "letter_offset": offset, "by": "bob", "at": "2026-01-01T00:00:00Z", "attempt": 1,
            "to_partition": partition, "to_offset": end,
        });
        let headers = vec![("operator-action".to_owned(), Some(b"redrive-begun".to_vec()))];
        let (topic, value) = (LETTERS.dead_letter(), Some(note.to_string().into_bytes()));
        let key = Some(b"key-0".to_vec());
        pipeline.broker().send(&Sent { topic, partition: Some(partition), key, value, headers }).await?;
    }
    let header = |name: &str, value: &str| (name.to_owned(), Some(value.as_bytes().to_vec()));
    let published = Sent {
        topic: LETTERS.as_str().to_owned(),
        partition: Some(partition),
        key: Some(b"key-0".to_vec()),
        value: Some(b"x".to_vec()),
        headers: vec![header("redrive-of", name(&letters[0])), header("redrive-count", "1"), header("number", "0")],
    };
    let (_, offset) = pipeline.broker().send(&published).await?;
    assert!(list(&pipeline, &[]).await?.iter().take(2).all(|letter| letter["state"] == "redrive-begun"));

    let arguments = [name(&letters[0]), name(&letters[1]), "--unreadable"];
    let ended = redrive(&pipeline, &arguments).await?.expect(0)?;
    assert!(ended.stdout.contains(&format!("@{offset} (an interrupted run had published it)")), "{ended:?}");
    assert_eq!(redriven(&pipeline).await?["key-0"], ["0", "1"], "the first is not published again, the second is");
    pipeline
        .until("what was redriven came back", async || {
            let count = list(&pipeline, &[]).await?.len();
            if count == 4 { Ok(()) } else { Err(trouble(format!("{count} letters"))) }
        })
        .await?;
    pipeline.check_clean().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_stops_at_its_first_failure_and_the_others_go_on() -> Outcome {
    let servers = Servers::shared().await?;
    let pipeline = Pipeline::start(DAEMON, &servers, Settings::default()).await?;
    // Under its wrong key each; the first of one key has been round too often.
    let bad = |id: &str, key: &str, redrives: &str| {
        let value = Codec::embedded().encode(&order(id, &["a"])?.into())?;
        let (topic, key) = (LETTERS.as_str().to_owned(), Some(key.as_bytes().to_vec()));
        let headers = vec![("redrive-count".to_owned(), Some(redrives.as_bytes().to_vec()))];
        Outcome::Ok(Sent { topic, key, value: Some(value), headers, ..Sent::default() })
    };
    for bad in [bad("a-1", "k-a", "3")?, bad("a-2", "k-a", "0")?, bad("b-1", "k-b", "0")?] {
        pipeline.broker().send(&bad).await?;
    }
    await_letters(&pipeline, 3).await?;
    let ended = redrive(&pipeline, &["--all", "--unreadable", "--json"]).await?.expect(1)?.json()?;
    let outcomes = ended["outcomes"].as_array().cloned().unwrap_or_default();
    let of = |key: &str| {
        outcomes.iter().filter(|one| one["key"] == key).map(|one| one["outcome"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(of("k-a"), ["refused", "skipped"]);
    assert_eq!(of("k-b"), ["redriven"]);
    pipeline
        .until("the letters came back", async || {
            let count = list(&pipeline, &[]).await?.len();
            if count == 4 { Ok(()) } else { Err(trouble(format!("{count} letters"))) }
        })
        .await?;
    pipeline.check_clean().await?;
    Ok(())
}
