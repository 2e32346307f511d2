//! Records that nobody can take: set aside with their bytes untouched and the cause, and nothing behind them waits.

use std::collections::BTreeMap;

use schemas::{
    AdjustStock, CancelOrder, CommandId, CustomerId, Message, OrderId, PaymentAuthorized, PaymentDeclined,
    ReceiveStock, ReserveStock, ServiceName, Sku, StockLine, StockReserved, Time, TopicName, limits,
};
use sha2::{Digest, Sha256};
use tests::{Found, Outcome, Pipeline, RawRecord, Sent, Servers, Settings, order, sample, stock_for, trouble};

use crate::DAEMON;

const PARTITIONS: i32 = 3;
const DLT_LIMIT_BYTES: usize = 1_048_588 + 64 * 1024;

/// A record that cannot be taken, and the cause that has to be given for it.
struct Bad {
    what: &'static str,
    sent: Sent,
    cause: &'static str,
}

/// Where a bad record landed: partition and offset.
struct Published {
    bad: Bad,
    at: (i32, i64),
}

/// A message that belongs on the topic.
fn good(topic: TopicName) -> Outcome<Message> {
    let (order_id, at) = (OrderId::new("some-order")?, Time::from_micros(1));
    let (command_id, sku) = (CommandId::new("some-command")?, Sku::new("some-sku")?);
    let lines = vec![StockLine { sku: sku.clone(), quantity: 1 }];
    Ok(match topic {
        TopicName::OrderCommands => CancelOrder::new(order_id, command_id).into(),
        TopicName::StockCommands => ReceiveStock::of(sku, command_id, 1).into(),
        TopicName::InventoryCommands => ReserveStock { order_id, lines }.into(),
        TopicName::InventoryEvents => StockReserved { order_id, version: 1, at, lines }.into(),
        TopicName::PaymentCommands => schemas::VoidPayment { order_id }.into(),
        TopicName::PaymentEvents => declined(order_id)?,
        TopicName::OrderEvents => {
            let attributes = std::collections::BTreeMap::new();
            schemas::OrderCompleted { order_id, version: 9, at, attributes, origin: None }.into()
        }
        TopicName::StockEvents => {
            schemas::StockAdjusted { sku, version: 9, at, command_id, delta: 1, origin: None }.into()
        }
    })
}

fn declined(order_id: OrderId) -> Outcome<Message> {
    let (customer_id, at) = (CustomerId::new("c")?, Time::from_micros(1));
    let (currency, detail) = ("USD".to_owned(), "by a stranger".to_owned());
    Ok(PaymentDeclined { order_id, version: 1, at, customer_id, currency, amount_minor: 1, detail }.into())
}

/// Bytes that no compression makes smaller: the same on every run.
fn noise(bytes: usize) -> Vec<u8> {
    let block = |number: usize| Sha256::digest(number.to_be_bytes());
    (0..bytes.div_ceil(32)).flat_map(block).take(bytes).collect()
}

/// An Avro string: its length in zigzag, and its bytes.
fn avro_text(text: &str) -> Vec<u8> {
    let mut length = text.len() * 2;
    let mut bytes = Vec::new();
    while length >= 0x80 {
        bytes.push(u8::try_from(length & 0x7f).unwrap_or_default() | 0x80);
        length >>= 7;
    }
    bytes.push(u8::try_from(length).unwrap_or_default());
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// A `CancelOrder` with any text as the order id.
fn cancel_of(order_id: &str) -> Sent {
    let mut value = vec![0, 0, 0x0f, 0x42, 0x41];
    value.extend(avro_text(order_id));
    value.extend(avro_text("c"));
    let key = Some(order_id.as_bytes().to_vec());
    Sent { topic: TopicName::OrderCommands.as_str().into(), key, value: Some(value), ..Sent::default() }
}

/// What is bad on any topic; what only a service writes is refused for being positionless before anything else.
fn bad_anywhere(topic: TopicName) -> Outcome<Vec<Bad>> {
    let sent = Sent::of(good(topic)?)?;
    let value = sent.value.clone().unwrap_or_default();
    let elsewhere = if topic == TopicName::PaymentEvents { TopicName::OrderCommands } else { TopicName::PaymentEvents };
    let wrong_type = Sent { topic: sent.topic.clone(), ..Sent::of(good(elsewhere)?)? };
    let with = |value: Option<Vec<u8>>| Sent { value, ..sent.clone() };
    let keyed = |key: Option<&[u8]>| Sent { key: key.map(<[u8]>::to_vec), ..sent.clone() };
    let mut cases = vec![
        ("garbage", with(Some(noise(200))), "undecodable"),
        ("an empty value", with(Some(Vec::new())), "undecodable"),
        ("no value", with(None), "undecodable"),
        ("an unknown schema", with(Some([&[0, 0, 0, 0, 7], &value[5..]].concat())), "undecodable"),
        ("a schema that is not ours", with(Some([&[0, 0xff, 0xff, 0xff, 0xff], &value[5..]].concat())), "undecodable"),
        ("trailing bytes", with(Some([&value[..], &[0]].concat())), "undecodable"),
        ("a datum cut off", with(Some(value[..value.len() - 1].to_vec())), "undecodable"),
        ("a type of another topic", wrong_type, "undecodable"),
        ("as large as it gets", with(Some(noise(1_048_000))), "undecodable"),
        ("far too large", with(Some(vec![7; 6_000_000])), "undecodable"),
        ("no key", keyed(None), "key"),
        ("an empty key", keyed(Some(b"")), "key"),
        ("another key", keyed(Some(b"some-orders")), "key"),
        ("a key that is no text", keyed(Some(&[0xff, 0xfe])), "key"),
        ("a large key", keyed(Some(&noise(20_000))), "key"),
    ];
    if topic == TopicName::OrderCommands {
        cases.push(("an id with a control character", cancel_of("a\u{7}b"), "undecodable"));
        cases.push(("an id that is too long", cancel_of(&"x".repeat(65)), "undecodable"));
        cases.push(("an empty id", cancel_of(""), "key"));
    }
    let is_own = topic.written_by().is_some();
    if is_own {
        cases.push(("a message without a position", sent.clone(), ""));
        for position in ["/nobody:1:1:1", "nonsense", "/order:1:1", ""] {
            let mut forged = sent.clone();
            forged.headers.push(("outbox-position".into(), Some(position.as_bytes().to_vec())));
            cases.push(("a message with a position that nobody believes", forged, ""));
        }
    }
    let bad = |(number, (what, mut sent, cause)): (i32, (&'static str, Sent, &'static str))| {
        sent.partition = Some(number % PARTITIONS);
        // Headers come back as they were: doubled, empty, without a value, and with any bytes.
        sent.headers.extend([
            ("number".into(), Some(format!("{what} {number}").into_bytes())),
            ("number".into(), Some(vec![0xff, 0])),
            ("".into(), Some(Vec::new())),
            ("nothing".into(), None),
        ]);
        Bad { what, sent, cause: if is_own { "unpositioned" } else { cause } }
    };
    Ok((0..).zip(cases).map(bad).collect())
}

/// The dead letter of a record, if it is what it has to be.
fn assert_dead_letter(prefix: &str, bad: &Bad, at: (i32, i64), letter: &Found) {
    let Bad { what, sent, cause } = bad;
    let on = &sent.topic;
    assert_eq!(letter.partition, at.0, "{what} on {on}: on its partition");
    assert_eq!(letter.text("kafka_dlt-original-topic"), format!("{prefix}{on}"), "{what}");
    assert_eq!(letter.header("kafka_dlt-original-partition"), Some(&at.0.to_be_bytes()[..]), "{what}");
    assert_eq!(letter.text("kafka_dlt-exception-fqcn"), *cause, "{what} on {on}: {letter:?}");
    let detail = letter.text("kafka_dlt-exception-message");
    assert!(!detail.is_empty() && detail.len() <= limits::MAX_DETAIL_BYTES, "{what} on {on}: words: {detail:?}");
    let value = sent.value.as_deref().unwrap_or_default();
    if value.len() > DLT_LIMIT_BYTES {
        let digest: String = Sha256::digest(value).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(letter.text("kafka_dlt-original-sha256"), digest, "{what} on {on}");
        let size: usize = letter.text("kafka_dlt-original-size").parse().unwrap_or_default();
        assert!(size >= value.len() && letter.value.is_none(), "{what} on {on}: its size, and no body");
    } else {
        assert_eq!((&letter.key, &letter.value), (&sent.key, &sent.value), "{what} on {on}: untouched");
        assert_eq!(letter.headers.get(..sent.headers.len()), Some(&sent.headers[..]), "{what} on {on}: headers");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_taken_is_set_aside_untouched_on_every_topic_and_blocks_nobody() -> Outcome {
    let servers = Servers::shared().await?;
    let settings = Settings { partitions: PARTITIONS, ..Settings::default() };
    let pipeline = Pipeline::start(DAEMON, &servers, settings).await?;
    let orders = sample(4_000, 120)?;
    pipeline.receive(&stock_for(&orders)).await?;
    pipeline.publish(&orders[..40]).await?;
    let mut expected: BTreeMap<String, Vec<Published>> = BTreeMap::new();
    for topic in TopicName::ALL {
        for bad in bad_anywhere(topic)? {
            let what = format!("{} on {topic}", bad.what);
            let at = pipeline.broker().send(&bad.sent).await.map_err(|error| error.during(&what))?;
            // Nobody reads what is only told to the outside: it is no service's to set aside.
            if !matches!(topic, TopicName::OrderEvents | TopicName::StockEvents) {
                expected.entry(topic.dead_letter()).or_default().push(Published { bad, at });
            }
        }
        pipeline.broker().send(&Sent { topic: topic.dead_letter(), value: Some(noise(50)), ..Sent::default() }).await?;
        pipeline.publish(&orders[40..80]).await?;
    }
    pipeline.publish(&orders[80..]).await?;
    pipeline.await_terminal(&orders).await?;
    pipeline.check_clean().await?;

    for (topic, expected) in &expected {
        let letters = pipeline.broker().read(std::slice::from_ref(topic)).await?;
        let ours: Vec<&Found> =
            letters.iter().filter(|letter| letter.header("kafka_dlt-original-offset").is_some()).collect();
        assert_eq!(ours.len(), expected.len(), "{topic}: as many letters as records");
        for Published { bad, at } in expected {
            let offset = at.1.to_be_bytes();
            let is_its = |letter: &&&Found| {
                letter.partition == at.0 && letter.header("kafka_dlt-original-offset") == Some(&offset[..])
            };
            let letter = ours.iter().find(is_its).ok_or_else(|| trouble(format!("{topic}: no {}", bad.what)))?;
            assert_dead_letter(pipeline.prefix(), bad, *at, letter);
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_answer_moves_no_order() -> Outcome {
    let servers = Servers::shared().await?;
    let mut pipeline = Pipeline::prepare(DAEMON, &servers, Settings::default()).await?;
    pipeline.start_services(&[ServiceName::Order, ServiceName::Inventory]).await?;
    let orders = vec![order("forged-yes", &["a"])?, order("forged-no", &["a"])?];
    pipeline.receive(&stock_for(&orders)).await?;
    pipeline.publish(&orders).await?;
    pipeline.await_stage("stock_reserved", 2).await?;
    let yes = PaymentAuthorized {
        order_id: orders[0].order_id.clone(),
        version: 1,
        at: Time::from_micros(1),
        customer_id: orders[0].customer_id.clone(),
        currency: "USD".into(),
        amount_minor: 100,
        provider_reference: None,
        payment_provider: None,
        payment_token: None,
        expires_at: None,
        attempt: 1,
    };
    let forged = [Sent::of(yes)?, Sent::of(declined(orders[1].order_id.clone())?)?];
    pipeline.broker().send_all(&forged).await?;
    pipeline.await_read(TopicName::PaymentEvents).await?;
    assert_eq!(pipeline.tables().stages().await?, BTreeMap::from([("stock_reserved".to_owned(), 2)]));
    pipeline.start_services(&[ServiceName::Payment]).await?;
    let rows = pipeline.await_terminal(&orders).await?;
    pipeline.check_clean().await?;
    assert!(rows.values().all(|row| row.stage == "completed"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_key_on_a_wrong_partition_is_taken() -> Outcome {
    let servers = Servers::shared().await?;
    let settings = Settings { partitions: PARTITIONS, ..Settings::default() };
    let pipeline = Pipeline::start(DAEMON, &servers, settings).await?;
    let orders = sample(4_200, 90)?;
    let misplaced = |message: Message| {
        let sent = Sent::of(message)?;
        let own = schemas::partitioner::partition_of(sent.key.as_deref().unwrap_or_default(), PARTITIONS);
        Outcome::Ok(Sent { partition: Some((own + 1) % PARTITIONS), ..sent })
    };
    let mut stock = Vec::new();
    for (sku, quantity) in stock_for(&orders) {
        // Up and down again, so that both commands of the topic are met.
        let command = |name: &str| CommandId::new(format!("{name}-{sku}"));
        let (first, second) = (command("receive")?, command("adjust")?);
        stock.push(misplaced(ReceiveStock::of(sku.clone(), first, quantity + 1).into())?);
        stock.push(misplaced(AdjustStock::of(sku.clone(), second, -1).into())?);
    }
    pipeline.broker().send_all(&stock).await?;
    pipeline.await_quiet().await?;
    let placed = orders.iter().map(|order| misplaced(order.clone().into())).collect::<Outcome<Vec<_>>>()?;
    pipeline.broker().send_all(&placed).await?;
    let rows = pipeline.await_terminal(&orders).await?;
    pipeline.check_clean().await?;
    assert!(rows.values().all(|row| row.stage == "completed"), "{:?}", pipeline.tables().stages().await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_name_that_is_no_text_stops_no_worker() -> Outcome {
    let servers = Servers::shared().await?;
    let mut pipeline = Pipeline::start(DAEMON, &servers, Settings { partitions: 1, ..Settings::default() }).await?;
    let orders = sample(4_300, 40)?;
    pipeline.receive(&stock_for(&orders)).await?;
    let long = vec![b'x'; 70_000];
    let headers: [(&[u8], &[u8]); 5] =
        [(b"good", b"1"), (&[0xff, 0xfe], b"2"), (b"with\0zero", b"3"), (&long, b"4"), (b"after", b"5")];
    for topic in TopicName::ALL {
        let record = RawRecord { key: b"k", value: b"no datum", headers: &headers };
        pipeline.broker().send_raw(topic.as_str(), 0, record).await?;
    }
    // A command is judged by key and value: unreadable headers do not keep it from being taken.
    let placed = Sent::of(orders[0].clone())?;
    let (key, value) = (placed.key.unwrap_or_default(), placed.value.unwrap_or_default());
    let record = RawRecord { key: &key, value: &value, headers: &headers };
    pipeline.broker().send_raw(TopicName::OrderCommands.as_str(), 0, record).await?;
    pipeline.publish(&orders[1..]).await?;
    pipeline.await_terminal(&orders).await?;
    // Whoever takes over reads the topics' ends, where strangers' records may be the last ones.
    for service in ServiceName::ALL {
        pipeline.kill9_all(service)?;
    }
    pipeline.start_services(&ServiceName::ALL).await?;
    pipeline.check_clean().await?;
    let letters = pipeline.broker().read(&[TopicName::OrderCommands.dead_letter()]).await?;
    let [letter] = letters.as_slice() else { panic!("{letters:?}") };
    assert_eq!((letter.text("good").as_str(), letter.text("after").as_str()), ("1", "5"));
    assert_eq!(letter.text("kafka_dlt-original-headers-left-out"), "2", "the one without text, and the long one");
    Ok(())
}
