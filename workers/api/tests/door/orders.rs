//! Orders over HTTP: placed once however often they are asked for, looked at, and what is done to them.

use hyper::Method;
use serde_json::{Value, json};

use crate::api::Api;
use crate::pipeline::{Outcome, Pipeline, stop, until, until_state};

fn order(customer: &str, lines: &[(&str, i64)]) -> Value {
    let line = |(sku, quantity): &(&str, i64)| json!({ "sku": sku, "quantity": quantity, "unit_price_minor": 250 });
    let lines: Vec<Value> = lines.iter().map(line).collect();
    json!({ "customer_id": customer, "currency": "EUR", "lines": lines })
}

fn shipped_on_command(customer: &str) -> Value {
    let mut order = order(customer, &[("pen", 4)]);
    order["fulfilment"] = json!("on_command");
    order
}

async fn receive(api: &Api, sku: &str, quantity: i64) -> Outcome {
    let body = json!({ "sku": sku, "quantity": quantity });
    let level = api.waiting().once(&format!("receive-{sku}")).post("/v1/stock/receipts", body).await?.of(200)?;
    assert_eq!((level.body["received"].as_i64(), level.body["available"].as_i64()), (Some(quantity), Some(quantity)));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_placed_once_shipped_refunded_and_its_money_seen() -> Outcome {
    let pipeline = Pipeline::start("orders").await?;
    let (door, other) = (pipeline.start_door("door")?, pipeline.start_door("other")?);
    let api = &door.api;
    receive(api, "pen", 100).await?;

    // Placed, and placed once, whichever instance is asked.
    let asked = api.waiting().once("first");
    let placed = asked.post("/v1/orders", shipped_on_command("ada")).await?.of(201)?;
    assert_eq!((placed.text("state"), placed.header("preference-applied")), ("confirmed", "wait"));
    let id = placed.text("order_id").to_owned();
    for api in [api, &other.api] {
        let again = api.waiting().once("\"first\"").post("/v1/orders", shipped_on_command("ada")).await?;
        let after = format!("/v1/orders/{id}?after={}", again.header("order-position"));
        assert_eq!((again.status / 100, again.text("order_id")), (2, id.as_str()), "{again:?}");
        // What one has seen, the other one gives no older.
        assert_eq!(other.api.get(&after).await?.of(200)?.text("order_id"), id);
    }
    assert_eq!(pipeline.query("select order_id from orders.orders").await?, [id.as_str()]);
    until("the view has it", || async { api.get(&format!("/v1/orders/{id}")).await?.of(200).map(drop) }).await?;
    // What no id is, no question for the database is either.
    for asked in ["/v1/orders?customer=%00", "/v1/orders?sku=", "/v1/stock?cursor=%00", "/v1/stock/%00"] {
        api.get(asked).await?.of(400)?;
    }
    let differs = api.once("first").post("/v1/orders", order("ada", &[("pen", 3)])).await?.of(422)?;
    assert_eq!(differs.text("type"), "urn:order-api:content-differs");

    // Shipped, which is on its way at first; a later read waits for it.
    let path = format!("/v1/orders/{id}");
    until_state(api, &path, "ready_to_ship").await?;
    let on_its_way = api.once("ship-1").post(&format!("{path}/ship"), json!({ "carrier": "DHL" })).await?.of(202)?;
    let shipped = other.api.get(on_its_way.location()).await?.of(200)?;
    assert_eq!(shipped.body["shipment"]["carrier"], "DHL");
    until_state(api, &path, "completed").await?;
    let again = api.once("ship-1").post(&format!("{path}/ship"), json!({ "carrier": "DHL" })).await?.of(200)?;
    assert_eq!(again.text("state"), "completed", "a repetition is no second shipment");
    let late = api.waiting().once("late").post(&format!("{path}/cancel"), Value::Null).await?;
    assert_eq!((late.status, late.text("type")), (400, "urn:order-api:bad-request"), "{late:?}");
    let late = api.waiting().once("late").ask(Method::POST, &format!("{path}/cancel"), None).await?.of(422)?;
    assert_eq!(late.text("type"), "urn:order-api:refused");
    assert!(!late.body["reasons"][0]["code"].as_str().unwrap_or_default().is_empty(), "{late:?}");

    // A part of the money goes back, once.
    let refund = || async {
        api.waiting().once("refund-1").post(&format!("{path}/refunds"), json!({ "amount_minor": 400 })).await?.of(200)
    };
    assert_eq!(refund().await?.body["refunds"][0]["amount_minor"], 400);
    refund().await?;
    until("the money is back", || async {
        let payment = api.get(&format!("{path}/payment")).await?.of(200)?.body;
        let money =
            ["authorized_minor", "captured_minor", "refunded_minor", "kept_minor"].map(|name| payment[name].as_i64());
        if money == [Some(1000), Some(1000), Some(400), Some(600)] { Ok(()) } else { Err(payment.to_string().into()) }
    })
    .await?;
    let by = "select distinct body::json->'origin'->>'by' from view.heard where body::json->'origin'->>'command_id' in ('ship-1', 'refund-1')";
    assert_eq!(pipeline.query(by).await?, ["local"], "who asked is in the trail");

    // What is known is not sent again. Payment says that the money is back before the order does: its last event is waited for.
    until("the order knows of its refund", || async {
        let found = api.get(&path).await?.of(200)?;
        if found.body["refunds"][0]["state"] == "refunded" { Ok(()) } else { Err(format!("{found:?}").into()) }
    })
    .await?;
    let found = api.get(&path).await?.of(200)?;
    let known = api.with("if-none-match", found.header("etag")).get(&path).await?.of(304)?;
    assert_eq!((known.header("order-position"), &known.body), (found.header("order-position"), &Value::Null));
    until("the pens are gone", || async {
        let level = api.get("/v1/stock/pen").await?.of(200)?.body;
        let pens = ["shipped", "available"].map(|name| level[name].as_i64());
        if pens == [Some(4), Some(96)] { Ok(()) } else { Err(level.to_string().into()) }
    })
    .await?;
    let report = pipeline.check().await?;
    assert!(report.is_clean(), "{report}");
    stop(door)?;
    stop(other)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_told_and_lists_give_every_order_once() -> Outcome {
    let pipeline = Pipeline::start("lists").await?;
    let door = pipeline.start_door("door")?;
    let api = &door.api;
    receive(api, "pen", 100).await?;
    receive(api, "ink", 5).await?;
    for number in 0..7 {
        let (customer, sku) = (format!("c-{}", number % 2), if number < 4 { "pen" } else { "ink" });
        // The last one wants more than there is.
        let pieces = if number == 6 { 50 } else { 1 };
        let mut body = order(&customer, &[(sku, pieces), (sku, 1)]);
        body["order_id"] = json!(format!("o/{number}"));
        let placed = api.waiting().post("/v1/orders", body).await?.of(201)?;
        let is_short = placed.text("state") == "cancelled" && placed.body["cancellation"]["reason"] == "OutOfStock";
        assert_eq!(is_short, number == 6, "{placed:?}");
    }
    for (query, count) in [("", 7), ("?state=cancelled", 1)] {
        until("the view has all", || async {
            let found = api.get(&format!("/v1/orders{query}")).await?.of(200)?.body;
            if found["orders"].as_array().map(Vec::len) == Some(count) { Ok(()) } else { Err(found.to_string().into()) }
        })
        .await?;
    }
    for (query, expected) in [
        ("limit=3", vec![6, 5, 4, 3, 2, 1, 0]),
        ("customer=c-1&limit=2", vec![5, 3, 1]),
        ("sku=ink&limit=1", vec![6, 5, 4]),
        ("customer=c-0&sku=ink", vec![6, 4]),
        ("state=cancelled", vec![6]),
        ("from=2100-01-01T00:00:00Z", vec![]),
    ] {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = api.get(&format!("/v1/orders?{query}{cursor}")).await?.of(200)?.body;
            let ids = page["orders"].as_array().cloned().unwrap_or_default();
            found.extend(ids.iter().map(|order| order["order_id"].as_str().unwrap_or_default().to_owned()));
            let Some(next) = page["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        let expected: Vec<String> = expected.iter().map(|number| format!("o/{number}")).collect();
        assert_eq!(found, expected, "{query}");
    }
    assert_eq!(api.get("/v1/orders/o%2F3").await?.of(200)?.text("customer_id"), "c-1");
    let page = api.get("/v1/stock?limit=1").await?.of(200)?.body;
    assert_eq!((page["stock"][0]["sku"].as_str(), page["next"].as_str()), (Some("ink"), Some("ink")));
    let page = api.get("/v1/stock?limit=1&cursor=ink").await?.of(200)?.body;
    assert_eq!((page["stock"][0]["sku"].as_str(), &page["next"]), (Some("pen"), &Value::Null));

    // What a service refuses: no order comes of it, and the reason is told to whoever looks.
    let mut wrong = order("ada", &[("pen", 0)]);
    wrong["order_id"] = json!("wrong");
    let refused = api.waiting().post("/v1/orders", wrong).await?.of(422)?;
    assert_eq!(refused.body["reasons"][0]["code"], "QuantityNotPositive");
    until("the reason is told", || async {
        let found = api.get("/v1/orders/wrong").await?.of(404)?;
        if found.body["reasons"][0]["code"] == "QuantityNotPositive" {
            Ok(())
        } else {
            Err(format!("{found:?}").into())
        }
    })
    .await?;
    let below = json!({ "sku": "pen", "delta": -1000 });
    let below = api.waiting().once("below").post("/v1/stock/adjustments", below).await?.of(422)?;
    assert_eq!(below.body["reasons"][0]["code"], "BelowReserved", "{below:?}");
    refuse_what_is_wrong(api).await?;
    let status = api.get("/v1/status").await?.of(200)?.body;
    assert!(status["confirm_p50_ms"].as_f64().is_some_and(|took| took > 0.0), "{status}");
    stop(door)
}

async fn refuse_what_is_wrong(api: &Api) -> Outcome {
    let good = order("ada", &[("pen", 1)]);
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body["order_id"] = json!("not-sent");
        body[field] = value;
        body
    };
    for (body, words) in [
        (good.clone(), "Idempotency-Key"),
        (with("order_id", json!("")), "order id is empty"),
        (with("lines", json!([{ "sku": "pen", "quantity": "1", "unit_price_minor": 1 }])), "lines[0].quantity"),
        (with("colour", json!("red")), "colour"),
        (with("placed_at", json!("yesterday")), "placed_at"),
        (with("currency", json!("EU\u{0}R")), "currency"),
        (
            json!({ "order_id": "card", "customer_id": "c", "currency": "EUR", "lines": [], "payment_token": "4111 1111" }),
            "token",
        ),
    ] {
        let said = api.post("/v1/orders", body.clone()).await?.of(400)?;
        assert!(said.text("detail").contains(words) && !said.text("detail").contains("4111"), "{body}: {said:?}");
        assert_eq!(said.header("content-type"), "application/problem+json");
    }
    let plain = Some(("text/plain", good.to_string()));
    api.once("k").ask(Method::POST, "/v1/orders", plain).await?.of(415)?;
    let large = Some(("application/json", " ".repeat(300_000)));
    api.once("k").ask(Method::POST, "/v1/orders", large).await?.of(413)?;
    for (path, status) in [
        ("/v1/nothing", 404),
        ("/", 404),
        ("/v1/orders/unknown", 404),
        ("/v1/orders/unknown/payment", 404),
        ("/v1/stock/unknown", 404),
        ("/v1/orders?state=lost", 400),
        ("/v1/orders?limit=0", 400),
        ("/v1/orders?cursor=ü", 400),
        ("/v1/orders?cursor=zz", 400),
        ("/v1/orders?colour=red", 400),
        ("/v1/orders/x?after=soon", 400),
        ("/v1/orders/%FF", 400),
    ] {
        let path = path.replace('ü', "%C3%BC");
        let said = api.get(&path).await?.of(status)?;
        assert!(said.text("type").starts_with("urn:order-api:") && !said.text("detail").is_empty(), "{said:?}");
    }
    let wrong = api.ask(Method::DELETE, "/v1/orders/o", None).await?.of(405)?;
    assert_eq!((wrong.header("allow"), wrong.text("type")), ("GET,HEAD", "urn:order-api:method-not-allowed"));
    api.ask(Method::HEAD, "/v1/orders", None).await?.of(200)?;
    let behind = api.get("/v1/orders/x?after=order.events.v1/0/999999").await?.of(503)?;
    assert_eq!(behind.header("retry-after"), "1");
    let headers = api.get("/v1/status").await?.of(200)?;
    assert_eq!((headers.header("x-content-type-options"), headers.header("cache-control")), ("nosniff", "no-store"));
    Ok(())
}
