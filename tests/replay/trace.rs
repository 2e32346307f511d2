//! `trace`: one timeline of an order, whatever was said about it and by whom.

use outbox::{Outbox, OutboxConfig, OutboxMessage, TopicSpec};
use schemas::{
    Codec, CustomerId, Message, OrderId, PaymentAuthorized, ReserveStock, ServiceName, Sku, StockLine, Time, TopicName,
};
use serde_json::Value;
use tests::{Outcome, Pipeline, Sent, Servers, Settings, order, stock_for, trouble};

use crate::DAEMON;
use crate::program::{run, run_offline};

fn names(trace: &Value) -> Vec<&str> {
    let hops = trace["hops"].as_array().map(Vec::as_slice).unwrap_or_default();
    hops.iter().map(|hop| hop["type"].as_str().unwrap_or_default()).collect()
}

fn hop(trace: &Value, wanted: impl Fn(&Value) -> bool) -> Outcome<&Value> {
    let hops = trace["hops"].as_array().ok_or_else(|| trouble("no hops"))?;
    hops.iter().find(|hop| wanted(hop)).ok_or_else(|| trouble(format!("no such hop in {trace:#}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_completed_order_is_told_from_its_command_to_its_end() -> Outcome {
    let servers = Servers::shared().await?;
    let pipeline = Pipeline::start(DAEMON, &servers, Settings::default()).await?;
    let orders = [order("traced", &["a", "b"])?, order("other", &["a"])?];
    pipeline.receive(&stock_for(&orders)).await?;
    pipeline.publish(&orders).await?;
    pipeline.await_terminal(&orders).await?;
    // Said twice, and said by a stranger.
    pipeline.publish(&orders[..1]).await?;
    let authorized = PaymentAuthorized {
        order_id: OrderId::new("traced")?,
        version: 1,
        at: Time::from_micros(1),
        customer_id: CustomerId::new("c-1")?,
        currency: "USD".to_owned(),
        amount_minor: 1,
        provider_reference: None,
        payment_provider: None,
        payment_token: None,
        expires_at: None,
        attempt: 1,
    };
    let stranger = Sent::of(authorized)?;
    pipeline.broker().send(&stranger).await?;
    pipeline
        .until("the stranger's record is set aside", async || {
            let letters = pipeline.broker().read(&[TopicName::PaymentEvents.dead_letter()]).await?;
            if letters.len() == 1 { Ok(()) } else { Err(trouble(format!("{} letters", letters.len()))) }
        })
        .await?;
    pipeline.check_clean().await?;

    let trace = run(&pipeline, &["trace", "traced", "--json"]).await?.expect(0)?.json()?;
    let saga = [
        "PlaceOrder",
        "OrderPlaced",
        "ReserveStock",
        "StockReserved",
        "OrderStockReserved",
        "AuthorizePayment",
        "PaymentAuthorized",
        "OrderConfirmed",
        "CapturePayment",
        "PaymentCaptured",
        "OrderPaymentCaptured",
        "CommitStock",
        "StockCommitted",
        "OrderCompleted",
    ];
    let told = names(&trace);
    let place = |name: &str| told.iter().position(|told| *told == name).ok_or_else(|| trouble(format!("no {name}")));
    for pair in saga.windows(2).filter(|pair| pair[0] != "OrderPlaced" || pair[1] != "ReserveStock") {
        assert!(place(pair[0])? < place(pair[1])?, "{pair:?} in {told:?}");
    }
    let reserved = hop(&trace, |hop| hop["type"] == "StockReserved")?;
    let request = hop(&trace, |hop| hop["type"] == "ReserveStock")?;
    assert_eq!((&reserved["cause"], &reserved["version"]), (&request["number"], &Value::from(1)), "{trace:#}");
    assert!(reserved["since_cause_us"].as_i64().is_some_and(|micros| micros > 0), "{reserved}");
    assert!(reserved["position"].as_str().is_some_and(|position| position.starts_with("/inventory:1:1:")));
    let again = hop(&trace, |hop| hop["type"] == "PlaceOrder" && hop["mark"] == "repeated")?;
    assert_eq!(again["counts"], false);
    let stranger = hop(&trace, |hop| hop["mark"] == "stranger")?;
    let letter = hop(&trace, |hop| hop["mark"] == "dead letter")?;
    assert_eq!((&letter["cause"], &letter["topic"]), (&stranger["number"], &"payment.events.v1-dlt".into()));
    assert_eq!((&trace["standing"]["stage"], &trace["standing"]["waiting"]), (&"completed".into(), &Value::Null));

    let text = run(&pipeline, &["trace", "traced"]).await?.expect(0)?.stdout;
    assert!(text.contains("stands at completed, version 5") && text.contains("[stranger] PaymentAuthorized"), "{text}");
    let picture = run(&pipeline, &["trace", "traced", "--mermaid"]).await?.expect(0)?.stdout;
    for line in ["client->>order: PlaceOrder", "inventory-->>order: StockReserved v1", "Note over order: dead letter"] {
        assert!(picture.starts_with("sequenceDiagram\n") && picture.contains(line), "{line} in {picture}");
    }
    // From an archive alone it is the same trace.
    let archive = pipeline.folder().join("archive").display().to_string();
    run(&pipeline, &["archive", "run", "--to", &archive]).await?.expect(0)?;
    assert_eq!(run_offline(&pipeline, &archive, &["trace", "traced", "--json"]).await?.expect(0)?.json()?, trace);
    let letters = run(&pipeline, &["dead-letters", "list"]).await?.expect(0)?.stdout;
    assert!(letters.contains("1 open"), "{letters}");
    assert_eq!(run_offline(&pipeline, &archive, &["dead-letters", "list"]).await?.expect(0)?.stdout, letters);
    let refused = run_offline(&pipeline, &archive, &["dead-letters", "redrive", "--all"]).await?.expect(2)?;
    assert!(refused.stderr.contains("needs --brokers"), "{refused:?}");

    let nobody = run(&pipeline, &["trace", "nobody"]).await?.expect(1)?;
    assert!(nobody.stderr.contains("nobody") && nobody.stdout.is_empty(), "{nobody:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_parked_is_told_and_who_frees_it() -> Outcome {
    let settings = Settings { instances: 1, ..Settings::default() };
    let pipeline = Pipeline::start(DAEMON, &Servers::shared().await?, settings).await?;
    pipeline.receive(&stock_for(&[order("asking", &["a"])?])).await?;
    let forbid = "alter table orders.orders add constraint a_bug check (order_id <> 'nowhere') not valid; \
                  alter table inventory.reservations add constraint a_bug check (order_id <> 'asking') not valid";
    pipeline.tables().script(forbid).await?;
    pipeline.publish(&[order("nowhere", &["a"])?, order("asking", &["a"])?]).await?;
    let url = pipeline.database_url().to_owned();
    for (id, code, name, by) in [("nowhere", 1, "PlaceOrder", "order"), ("asking", 0, "ReserveStock", "inventory")] {
        let trace = pipeline
            .until(&format!("{name} is parked"), async || {
                let trace = run(&pipeline, &["trace", id, "--database-url", &url]).await?.expect(code)?.stdout;
                if trace.contains("[parked]") { Ok(trace) } else { Err(trouble(trace)) }
            })
            .await?;
        let told = format!("is parked: the {by} service could not take it; {by}-worker parked list");
        assert!(trace.contains(&told) && trace.contains(&format!("[parked] {name}")), "{trace}");
    }
    let json = run(&pipeline, &["trace", "asking", "--json", "--database-url", &url]).await?.expect(0)?.json()?;
    assert_eq!(json["standing"]["waiting"]["request_is_taken"], false, "{json:#}");
    // Without the tables it is not known.
    let without = run(&pipeline, &["trace", "asking"]).await?.expect(0)?.stdout;
    assert!(!without.contains("[parked]") && without.contains("no answer of the inventory service"), "{without}");
    pipeline.accept();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_order_waits_for_is_told_and_where_that_hangs() -> Outcome {
    let servers = Servers::shared().await?;
    let mut pipeline = Pipeline::prepare(DAEMON, &servers, Settings::default()).await?;
    pipeline.start_services(&[ServiceName::Order, ServiceName::Payment]).await?;
    pipeline.publish(&[order("waiting", &["a"])?]).await?;
    pipeline.await_stage("placed", 1).await?;
    let url = pipeline.database_url().to_owned();
    let with_tables = ["trace", "waiting", "--json", "--database-url", &url];
    let waiting = |trace: &Value| trace["standing"]["waiting"].clone();
    let sent = pipeline
        .until("the request is published", async || {
            let trace = run(&pipeline, &with_tables).await?.expect(0)?.json()?;
            hop(&trace, |hop| hop["type"] == "ReserveStock" && hop["is_published"] == true)?;
            Ok(trace)
        })
        .await?;
    let told = waiting(&sent);
    assert_eq!((&told["for"], &told["from"]), (&"StockReservation".into(), &"inventory".into()), "{told:#}");
    assert_eq!(told["request_is_taken"], false, "{told:#}");
    assert!(told["deadline"].is_string() && told["since"].is_string(), "{told:#}");
    let text = run(&pipeline, &["trace", "waiting"]).await?.expect(0)?.stdout;
    assert!(text.contains("waits for StockReservation: StockReserved or StockRejected from the inventory"), "{text}");

    // Without a relay, what is committed stays where it is.
    pipeline.kill9_all(ServiceName::Order)?;
    commit_unpublished(&pipeline, "waiting").await?;
    let trace = run(&pipeline, &with_tables).await?.expect(0)?.json()?;
    let unpublished = hop(&trace, |hop| hop["mark"] == "unpublished")?;
    assert_eq!((&unpublished["type"], &unpublished["offset"]), (&"ReserveStock".into(), &Value::Null), "{trace:#}");
    let count = names(&trace).iter().filter(|name| **name == "ReserveStock").count();
    assert_eq!(count, 2, "what is published is not told twice: {trace:#}");
    pipeline.accept();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_topics_tell_is_told_though_tables_cannot_be_read() -> Outcome {
    let servers = Servers::shared().await?;
    let mut pipeline = Pipeline::prepare(DAEMON, &servers, Settings { instances: 1, ..Settings::default() }).await?;
    pipeline.start_services(&[ServiceName::Order]).await?;
    pipeline.publish(&[order("waiting", &["a"])?]).await?;
    pipeline.await_stage("placed", 1).await?;
    pipeline.await_quiet_outboxes().await?;
    let whole = run(&pipeline, &["trace", "waiting", "--json"]).await?.expect(0)?.json()?;
    assert_eq!(whole["unread_tables"], Value::Array(Vec::new()));
    // Nobody listens at the port of a database, and another one has no such tables.
    let nobody = "payment=postgres://a:secret@127.0.0.1:1/b";
    let other = format!("inventory={}", pipeline.database_url().replace("/t", "/no_"));
    let all = pipeline.database_url();
    let urls = ["--database-url", nobody, "--database-url", &other, "--database-url", all];
    let told = run(&pipeline, &[&["trace", "waiting", "--json"][..], &urls].concat()).await?.expect(2)?;
    let trace = told.json()?;
    assert_eq!(names(&trace), names(&whole));
    assert_eq!(trace["standing"]["stage"], "placed");
    let unread = trace["unread_tables"].as_array().ok_or_else(|| trouble("no list"))?;
    let services: Vec<&Value> = unread.iter().map(|one| &one["service"]).collect();
    assert_eq!(services, ["inventory", "payment"]);
    assert!(unread[1]["reason"].as_str().is_some_and(|reason| reason.contains("refused")), "{unread:?}");
    for service in ["inventory", "payment"] {
        let words = format!("the {service} service's tables could not be read");
        assert!(told.stderr.contains(&words), "{}", told.stderr);
    }
    assert!(!told.stderr.contains("secret"), "{}", told.stderr);
    let text = run(&pipeline, &[&["trace", "waiting"][..], &urls].concat()).await?.expect(2)?;
    assert!(text.stdout.contains("without the payment service's tables"), "{}", text.stdout);
    // Nobody has heard of it, as far as anybody could be asked.
    run(&pipeline, &[&["trace", "nobody"][..], &urls].concat()).await?.expect(2)?;
    run(&pipeline, &["trace", "nobody", "--database-url", all]).await?.expect(1)?;
    pipeline.accept();
    Ok(())
}

/// One more request of the order service, as a row of its outbox.
async fn commit_unpublished(pipeline: &Pipeline, order_id: &str) -> Outcome {
    let mut client = outbox::connect(&pipeline.database_url().parse()?, tokio_postgres::NoTls).await?;
    let topic = format!("{}{}", pipeline.prefix(), TopicName::InventoryCommands.as_str());
    let partitions = Settings::default().partitions;
    let topics = vec![TopicSpec { name: topic.clone(), partitions }];
    let outbox = Outbox::open(&client, OutboxConfig::new("orders", ServiceName::Order.source(), topics)).await?;
    let lines = vec![StockLine { sku: Sku::new("a")?, quantity: 1 }];
    let request = Message::from(ReserveStock { order_id: OrderId::new(order_id)?, lines });
    let payload = Codec::embedded().encode(&request)?;
    let message = OutboxMessage::event(topic, request.type_name()).key(order_id.to_owned()).payload(payload);
    outbox.begin(&mut client).await?.commit(vec![message]).await?;
    Ok(())
}
