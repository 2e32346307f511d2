//! Who is told to come again: by what waits, by what a key may ask for, and by what is too large. And early "sold out".

use hyper::Method;
use schemas::ServiceName;
use serde_json::{Value, json};

use crate::api::{Answer, Api};
use crate::keys::made;
use crate::pipeline::{Outcome, Pipeline, Setting, stop, until};

fn order(id: &str, pieces: i64) -> Value {
    json!({ "order_id": id, "customer_id": "ada", "currency": "EUR",
        "lines": [{ "sku": "pen", "quantity": pieces, "unit_price_minor": 50 }] })
}

/// Places one order after the other until one is told to come again.
async fn until_refused(api: &Api, name: &str) -> Outcome<(String, Answer)> {
    let number = std::sync::atomic::AtomicUsize::new(0);
    until("an order is told to come again", || async {
        let id = format!("{name}-{}", number.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        let answer = api.post("/v1/orders", order(&id, 1)).await?;
        if answer.status == 429 { Ok((id, answer)) } else { Err(format!("{answer:?}").into()) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn while_too_many_commands_wait_for_the_order_service_no_further_ones_come_in() -> Outcome {
    let pipeline = Pipeline::start("waiting").await?;
    let door = pipeline.start_door_with("door", |command| {
        command.env("MAX_COMMANDS_WAITING", "2");
    })?;
    let api = &door.api;
    pipeline.receive("pen", 1_000_000).await?;
    api.waiting().post("/v1/orders", order("first", 1)).await?.of(201)?;
    let orders = pipeline.daemon(ServiceName::Order)?;
    orders.stop()?;
    let (id, said) = until_refused(api, "o").await?;
    assert_eq!((said.text("type"), said.header("retry-after")), ("urn:order-api:too-many", "5"));
    assert!(said.text("detail").contains("wait for the order service"), "{said:?}");
    // Reading goes on.
    api.get("/v1/orders/first").await?.of(200)?;
    orders.cont()?;
    until("orders come in again", || async { api.post("/v1/orders", order("last", 1)).await?.of(202).map(drop) })
        .await?;
    until("the last one is there", || async { api.get("/v1/orders/last").await?.of(200).map(drop) }).await?;
    // What was told to come again was not published.
    assert!(!pipeline.query("select order_id from orders.orders").await?.contains(&id), "{id}");
    stop(door)
}

#[tokio::test(flavor = "multi_thread")]
async fn while_kafka_confirms_nothing_no_further_commands_queue_up() -> Outcome {
    const QUEUE: usize = 3;
    let pipeline = Pipeline::start_as("queue", Setting { is_alone: true, ..Setting::default() }).await?;
    let door = pipeline.start_door_with("door", |command| {
        command.env("MAX_UNCONFIRMED", QUEUE.to_string());
    })?;
    let api = &door.api;
    pipeline.receive("pen", 100).await?;
    api.waiting().post("/v1/orders", order("first", 1)).await?.of(201)?;
    pipeline.kafka()?.pause()?;
    let callers: Vec<_> = (0..QUEUE)
        .map(|number| {
            let api = api.clone();
            tokio::spawn(async move { api.post("/v1/orders", order(&format!("queued-{number}"), 1)).await })
        })
        .collect();
    until("the queue is full", || async {
        let status = api.get("/v1/status").await?.of(200)?.body;
        if status["unconfirmed"] == QUEUE { Ok(()) } else { Err(status.to_string().into()) }
    })
    .await?;
    let said = api.post("/v1/orders", order("one-more", 1)).await?.of(429)?;
    assert_eq!((said.text("type"), said.header("retry-after")), ("urn:order-api:too-many", "1"));
    assert!(said.text("detail").contains("wait for Kafka"), "{said:?}");
    pipeline.kafka()?.resume()?;
    for caller in callers {
        let answer = caller.await??;
        assert!([202, 503].contains(&answer.status), "{answer:?}");
    }
    for id in ["queued-0", "queued-1", "queued-2", "one-more"] {
        until("it is placed", || async {
            let answer = api.post("/v1/orders", order(id, 1)).await?;
            if [200, 202].contains(&answer.status) { Ok(()) } else { Err(format!("{answer:?}").into()) }
        })
        .await?;
        until("it is there", || async { api.get(&format!("/v1/orders/{id}")).await?.of(200).map(drop) }).await?;
    }
    assert_eq!(pipeline.query("select count(*)::text from orders.orders").await?, ["5"], "each once");
    stop(door)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_has_so_many_requests_a_second_and_a_body_so_many_bytes() -> Outcome {
    let pipeline = Pipeline::start("bounds").await?;
    let roles = ["orders:read", "orders:write"];
    let ((hasty, first), (calm, second)) = (made(&pipeline, "hasty", &roles)?, made(&pipeline, "calm", &roles)?);
    let bounded = first.replace("name = \"hasty\"", "name = \"hasty\"\nrequests_per_second = 2");
    let file = pipeline.write("keys.toml", &[bounded, second].concat())?;
    let door = pipeline.start_door_with("door", |command| {
        command.env("API_KEYS_FILE", &file).env("MAX_BODY_BYTES", "400");
    })?;
    let (hasty, calm) = [hasty, calm].map(|key| door.api.with("authorization", &format!("Bearer {key}"))).into();
    let mut told = Vec::new();
    for _ in 0..10 {
        told.push(hasty.get("/v1/stock").await?);
        calm.get("/v1/stock").await?.of(200)?;
    }
    let refused = told.iter().find(|answer| answer.status == 429).ok_or("it was never told to come again")?;
    assert_eq!((refused.text("type"), refused.header("retry-after")), ("urn:order-api:too-many", "1"));
    until("it comes again", || async { hasty.get("/v1/stock").await?.of(200).map(drop) }).await?;

    let mut large = order("large", 1);
    large["attributes"] = json!({ "words": "w".repeat(400) });
    let said = calm.post("/v1/orders", large.clone()).await?.of(413)?;
    assert_eq!(said.text("type"), "urn:order-api:too-large");
    let declared = Some(("application/json", large.to_string()));
    calm.ask(Method::POST, "/v1/orders", declared).await?.of(413)?;
    calm.post("/v1/orders", order("small", 1)).await?.of(202)?;
    stop(door)
}

#[tokio::test(flavor = "multi_thread")]
async fn sold_out_is_told_early_to_whoever_asks_and_decided_by_inventory() -> Outcome {
    let pipeline = Pipeline::start("shortage").await?;
    let door = pipeline.start_door("door")?;
    let api = &door.api;
    let receipt = json!({ "sku": "pen", "quantity": 5 });
    api.waiting().once("r").post("/v1/stock/receipts", receipt).await?.of(200)?;
    let body = |id: &str| {
        let mut order = order(id, 3);
        order["lines"] = json!([{ "sku": "pen", "quantity": 3, "unit_price_minor": 50 },
            { "sku": "ink", "quantity": 1, "unit_price_minor": 50 }, { "sku": "pen", "quantity": 3, "unit_price_minor": 50 }]);
        order
    };
    let said = api.waiting().post("/v1/orders?check_stock=true", body("early")).await?.of(409)?;
    assert_eq!(said.text("type"), "urn:order-api:sold-out");
    let short = said.body["short"].as_array().cloned().unwrap_or_default();
    let told: Vec<Value> =
        short.iter().map(|one| json!([one["sku"], one["lines"], one["wanted"], one["available"]])).collect();
    assert_eq!(json!(told), json!([["ink", [2], 1, 0], ["pen", [1, 3], 6, 5]]));
    assert!(short[1]["position"].as_str().is_some_and(|text| text.starts_with("stock.events.v1/")), "{short:?}");
    // Nothing was published: the same id is free, and without asking inventory decides.
    let decided = api.waiting().post("/v1/orders", body("early")).await?.of(201)?;
    assert_eq!((decided.text("state"), &decided.body["cancellation"]["reason"]), ("cancelled", &json!("OutOfStock")));
    // One that is there is told as it stands, whatever there is now.
    api.waiting().post("/v1/orders?check_stock=true", body("early")).await?.of(200)?;
    let enough = api.waiting().post("/v1/orders?check_stock=true", order("enough", 5)).await?.of(201)?;
    assert_ne!(enough.text("state"), "cancelled");
    api.post("/v1/orders?check_stock=perhaps", order("wrong", 1)).await?.of(400)?;
    let placed = pipeline.query("select count(*)::text from orders.orders").await?;
    assert_eq!(placed, ["2"]);
    stop(door)
}
