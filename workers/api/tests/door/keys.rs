//! Who may: without keys only this machine, with keys only who has one, and what its roles say.

use http_body_util::BodyExt as _;
use hyper::Method;
use serde_json::json;

pub(crate) use crate::pipeline::made;
use crate::pipeline::{Outcome, PATIENCE, Pipeline, stop, until};

#[tokio::test(flavor = "multi_thread")]
async fn only_who_has_a_key_gets_in_and_only_as_far_as_its_roles_go() -> Outcome {
    let pipeline = Pipeline::start("keys").await?;
    let (code, told) = pipeline.run(&["--api-listen", "0.0.0.0:0"])?;
    assert!(code != Some(0) && told.contains("API_KEYS_FILE"), "{told}");

    let local = pipeline.start_door("local")?;
    local.api.get("/v1/orders").await?.of(200)?;
    // A page of somebody else's that got this machine's address by a name of its own.
    local.api.with("host", "evil.example").get("/v1/orders").await?.of(403)?;
    assert!(local.daemon.tail().contains("no keys are configured"));
    stop(local)?;

    let (reader, first) = made(&pipeline, "reader", &["orders:read"])?;
    let (shop, second) = made(&pipeline, "shop", &["orders:read", "orders:write"])?;
    let (twin, third) = made(&pipeline, "twin", &["orders:read", "orders:write", "stock:write", "ops:act"])?;
    let slow = first.replace("name = \"reader\"", "name = \"reader\"\nrequests_per_second = 4");
    let file = pipeline.write("keys.toml", &[slow, second, third].concat())?;
    let door = pipeline.start_door_with("door", |command| {
        command.env("API_KEYS_FILE", &file).env("LOG", "debug");
    })?;
    let bearer = |key: &str| door.api.with("authorization", &format!("Bearer {key}"));
    for api in [door.api.clone(), bearer(""), bearer("oak_0"), door.api.with("authorization", &format!("Basic {shop}"))]
    {
        let said = api.get("/v1/orders").await?.of(401)?;
        assert!(said.header("www-authenticate").starts_with("Bearer"), "{said:?}");
    }
    bearer(&reader).get("/v1/orders").await?.of(200)?;
    let receipt = json!({ "sku": "pen", "quantity": 10 });
    for (key, path, role) in [
        (&reader, "/v1/orders", "orders:write"),
        (&reader, "/v1/orders/o/ship", "orders:write"),
        (&shop, "/v1/stock/receipts", "stock:write"),
        (&shop, "/v1/orders/o/hold", "ops:act"),
    ] {
        let said = bearer(key).once("k").post(path, receipt.clone()).await?.of(403)?;
        assert!(said.text("detail").contains(role), "{said:?}");
    }
    let body = || Some(("application/json", r#"{"title":"Pen","price_minor":1,"currency":"EUR"}"#.to_owned()));
    bearer(&shop).once("p").ask(Method::PUT, "/v1/products/pen", body()).await?.of(403)?;
    bearer(&twin).waiting().once("p").ask(Method::PUT, "/v1/products/pen", body()).await?.of(200)?;
    bearer(&reader).get("/v1/products/pen").await?.of(200)?;
    let by = "select asked_by from inventory.stock_receipts where command_id = 'p'";
    assert_eq!(pipeline.query(by).await?, ["twin"]);
    bearer(&twin).waiting().once("r").post("/v1/stock/receipts", receipt).await?.of(200)?;

    // One key of idempotency of two callers is two orders, and commands say who asked.
    let order = json!({ "customer_id": "ada", "currency": "EUR", "fulfilment": "on_command",
        "lines": [{ "sku": "pen", "quantity": 1, "unit_price_minor": 100 }] });
    let one = bearer(&shop).waiting().once("same").post("/v1/orders", order.clone()).await?.of(201)?;
    let two = bearer(&twin).waiting().once("same").post("/v1/orders", order).await?.of(201)?;
    assert_ne!(one.text("order_id"), two.text("order_id"));
    let path = format!("/v1/orders/{}/hold", one.text("order_id"));
    let held = bearer(&twin).waiting().once("h").post(&path, json!({ "reason_code": "fraud_check" })).await?.of(200)?;
    assert_eq!(held.body["hold"]["reason_code"], "fraud_check");
    let by = pipeline.query("select body::json->'origin'->>'by' from view.heard where name = 'OrderHeld'").await?;
    assert_eq!(by, ["twin"]);

    let mut answers = Vec::new();
    for _ in 0..12 {
        answers.push(bearer(&reader).get("/v1/orders").await?);
    }
    let told = answers.iter().find(|answer| answer.status == 429).ok_or("nobody was told to come again")?;
    assert_eq!(told.header("retry-after"), "1");
    let log = std::fs::read_to_string(door.daemon.log_file())?;
    for secret in [&reader, &shop, &twin] {
        assert!(!log.contains(secret.as_str()), "a key is in the log");
    }
    stop(door)
}

/// What is left of a stream; an error where it does not end.
async fn rest(mut body: hyper::body::Incoming) -> Outcome {
    let reading = async {
        while let Some(frame) = body.frame().await {
            frame?;
        }
        Outcome::Ok(())
    };
    tokio::time::timeout(PATIENCE, reading).await.map_err(|_| "the stream goes on")?
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_when_their_key_is_taken_out_of_the_file_or_its_role_is() -> Outcome {
    let pipeline = Pipeline::start("revoked").await?;
    let (gone, first) = made(&pipeline, "gone", &["orders:read"])?;
    let (less, second) = made(&pipeline, "less", &["orders:read", "orders:write"])?;
    let (stays, third) = made(&pipeline, "stays", &["orders:read"])?;
    let file = pipeline.write("keys.toml", &[first.as_str(), &second, &third].concat())?;
    let door = pipeline.start_door_with("door", |command| {
        command.env("API_KEYS_FILE", &file);
    })?;
    let bearer = |key: &str| door.api.with("authorization", &format!("Bearer {key}"));
    let visitor = |key: &str| door.api.with("cookie", &format!("console_key={key}"));
    pipeline.receive("pen", 10).await?;
    pipeline.place("o-1", "ada", &[("pen", 1)]).await?;
    until("the order is known", || async { bearer(&stays).get("/v1/orders/o-1").await?.of(200).map(drop) }).await?;
    let (events, page) = ("/v1/orders/o-1/events", "/console/orders/o-1/live");
    let mut ending = Vec::new();
    for key in [&gone, &less] {
        ending.push(bearer(key).body(events).await?);
        ending.push(visitor(key).body("/console/live").await?);
        ending.push(visitor(key).body(page).await?);
    }
    let staying = [bearer(&stays).body(events).await?, visitor(&stays).body("/console/live").await?];
    door.until_metric("api_streams", 8.0).await?;
    let fewer = second.replace("roles = [\"orders:read\", \"orders:write\"]", "roles = [\"orders:write\"]");
    pipeline.write("keys.toml", &[fewer.as_str(), &third].concat())?;
    for body in ending {
        rest(body).await?;
    }
    door.until_metric("api_streams", 2.0).await?;
    bearer(&gone).get("/v1/orders").await?.of(401)?;
    bearer(&less).get("/v1/orders").await?.of(403)?;
    bearer(&stays).get("/v1/orders").await?.of(200)?;
    drop(staying);
    // A file that cannot be read lets nobody out, and is told.
    pipeline.write("keys.toml", "nothing")?;
    until("it is told", || async {
        let ready = tokio::task::block_in_place(|| door.daemon.get("/readyz"))?.1;
        if ready.contains("count on") { Ok(()) } else { Err(ready.into()) }
    })
    .await?;
    bearer(&stays).get("/v1/orders").await?.of(200)?;
    stop(door)
}
