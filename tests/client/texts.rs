//! Texts and times that one side allows and another may not: what the contract takes, the database takes and gives back.

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use schemas::{CustomerId, Message, OrderEvent, OrderId, PlaceOrder, RejectionCode, Time, TopicName, text};
use tests::{Outcome, Pipeline, Sent, Servers, Settings, order, stock_for, trouble};

use crate::DAEMON;
use crate::program::run;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rule_for_texts_is_the_database_s() -> Outcome {
    let servers = Servers::shared().await?;
    let pipeline = Pipeline::prepare(DAEMON, &servers, Settings::default()).await?;
    // Every character that is not a surrogate, in texts of a few thousand; and those around the one that is refused.
    let all: Vec<char> = ('\u{1}'..=char::MAX).collect();
    for part in all.chunks(4096) {
        let given: String = part.iter().collect();
        assert!(text::is_storable(&given));
        let row = pipeline.tables().query("select $1::text", &[&given]).await?;
        assert_eq!(row[0].get::<_, String>(0), given);
    }
    for given in ["\0", "a\0b"] {
        assert!(!text::is_storable(given));
        assert!(pipeline.tables().query("select $1::text", &[&given]).await.is_err());
    }
    pipeline.accept();
    Ok(())
}

/// The same record with these headers too.
fn with(sent: Sent, headers: &[(&str, &[u8])]) -> Sent {
    let mut sent = sent;
    sent.headers.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), Some(value.to_vec()))));
    sent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_header_and_no_text_makes_a_good_order_a_dead_letter() -> Outcome {
    let servers = Servers::shared().await?;
    let pipeline = Pipeline::start(DAEMON, &servers, Settings::default()).await?;
    let hostile: [&[(&str, &[u8])]; 6] = [
        &[("ce_id", b"ab\0cd")],
        &[("ce_id", b"\0")],
        &[("ce_id", &[0xff, 0xfe])],
        &[("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0\0")],
        &[("ce_type", b"shop.order.PlaceOrder.v1\0"), ("ce_source", b"\0"), ("ce_time", b"\0"), ("ce_subject", b"\0")],
        &[("ce_causationid", b"\0"), ("redrive-of", b"\0"), ("redrive-by", b"a\0b")],
    ];
    let mut orders = Vec::new();
    for (number, headers) in (0..).zip(hostile) {
        let order = PlaceOrder {
            order_id: OrderId::new(format!("hostile-{number}/é'\"\\{{}},\u{200b}\u{feff}"))?,
            customer_id: CustomerId::new("c'\"\\{},NULL\u{fffd}")?,
            ..order("x", &["sku'\"\\{},null", "NULL"])?
        };
        pipeline.broker().send(&with(Sent::of(order.clone())?, headers)).await?;
        orders.push(order);
    }
    let odd_currency = PlaceOrder { currency: "U\0D".to_owned(), ..order("odd-currency", &["NULL"])? };
    pipeline.broker().send(&Sent::of(odd_currency)?).await?;
    pipeline.receive(&stock_for(&orders)).await?;
    let rows = pipeline.await_terminal(&orders).await?;
    assert_eq!(rows.len(), orders.len());
    pipeline.check_clean().await?;
    assert_eq!(pipeline.broker().read(&[TopicName::OrderCommands.dead_letter()]).await?, []);
    let events = pipeline.messages(TopicName::OrderEvents).await?;
    let refused = events.iter().find_map(|record| {
        let Message::OrderEvent(OrderEvent::OrderRejected(event)) = &record.message else { return None };
        Some(event)
    });
    let refused = refused.ok_or_else(|| trouble("the odd currency is refused"))?;
    assert_eq!(refused.reasons.first().map(|reason| reason.code), Some(RejectionCode::CurrencyUnknown));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ends_of_the_years_1_and_9999_go_in_and_come_out_everywhere() -> Outcome {
    let servers = Servers::shared().await?;
    let pipeline = Pipeline::start(DAEMON, &servers, Settings::default()).await?;
    let times = [Time::EARLIEST, "9999-12-31T23:59:59Z".parse()?, Time::MAX];
    let orders = times
        .into_iter()
        .enumerate()
        .map(|(number, placed_at)| Ok(PlaceOrder { placed_at, ..order(&format!("end-{number}"), &["a"])? }));
    let orders = orders.collect::<Outcome<Vec<_>>>()?;
    pipeline.receive(&stock_for(&orders)).await?;
    pipeline.publish(&orders).await?;
    // Every later step reads the row back that the first one has written.
    let rows = pipeline.await_terminal(&orders).await?;
    assert!(rows.values().all(|row| row.stage == "completed"), "{rows:?}");
    pipeline.check_clean().await?;
    let sql = "select (extract(epoch from placed_at) * 1000000)::bigint from orders.orders order by order_id";
    for (row, time) in pipeline.tables().query(sql, &[]).await?.iter().zip(times) {
        assert_eq!(row.get::<_, i64>(0), time.as_micros());
    }
    let shown = run(&pipeline, &["show", "end-2", "--json"]).await?.expect(0)?.json()?;
    assert_eq!(shown["history"][0]["body"]["placed_at"], "9999-12-31T23:59:59.999999Z", "{shown}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_says_whose_time_the_record_has() -> Outcome {
    let servers = Servers::shared().await?;
    let pipeline = Pipeline::start(DAEMON, &servers, Settings { partitions: 1, ..Settings::default() }).await?;
    let topic = format!("{}{}", pipeline.prefix(), TopicName::OrderCommands);
    let garbage = Sent {
        topic: TopicName::OrderCommands.as_str().into(),
        key: Some(b"k".to_vec()),
        value: Some(b"garbage".to_vec()),
        ..Sent::default()
    };
    pipeline.broker().send(&garbage).await?;
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", servers.stack().brokers()).create()?;
    let change = AlterConfig::new(ResourceSpecifier::Topic(&topic)).set("message.timestamp.type", "LogAppendTime");
    for altered in admin.alter_configs([&change], &AdminOptions::new()).await? {
        altered.map_err(|(_, code)| trouble(code.to_string()))?;
    }
    let types = pipeline
        .until("a record with the broker's time is set aside", async || {
            // The setting is in force a moment after it is acknowledged.
            pipeline.broker().send(&garbage).await?;
            let letters = pipeline.broker().read(&[TopicName::OrderCommands.dead_letter()]).await?;
            let types: Vec<String> =
                letters.iter().map(|letter| letter.text("kafka_dlt-original-timestamp-type")).collect();
            if types.iter().any(|name| name == "LogAppendTime") {
                Ok(types)
            } else {
                Err(trouble(format!("{types:?}")))
            }
        })
        .await?;
    assert_eq!(types.first().map(String::as_str), Some("CreateTime"));
    pipeline.accept();
    Ok(())
}
