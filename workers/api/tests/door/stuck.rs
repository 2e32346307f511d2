//! Stuck orders over HTTP: seen, with what may be done, and freed, as the state machine allows.

use serde_json::{Value, json};

use crate::pipeline::{Outcome, Pipeline, Setting, stop, until};

/// No capture succeeds, and what is held cannot be let go of.
const PROVIDER: &str = "capture_failure_per_million = 1000000\nvoid_failure_per_million = 1000000\n";

fn order(id: &str) -> Value {
    json!({ "order_id": id, "customer_id": "ada", "currency": "EUR",
        "lines": [{ "sku": "pen", "quantity": 1, "unit_price_minor": 50 }] })
}

#[tokio::test(flavor = "multi_thread")]
async fn stuck_orders_are_seen_with_what_may_be_done_and_freed_by_a_person() -> Outcome {
    let pipeline = Pipeline::start_as("stuck", Setting { provider: PROVIDER, ..Setting::default() }).await?;
    let (door, [operator, shop, shelf]) = pipeline.start_door_for([
        ("kim", &["ops:act", "orders:read"]),
        ("shop", &["orders:read", "orders:write"]),
        ("shelf", &["stock:write"]),
    ])?;
    let bearer = |key: &str| door.api.with("authorization", &format!("Bearer {key}"));
    let api = bearer(&operator);
    pipeline.receive("pen", 10).await?;
    for id in ["s-1", "s-2", "s-3"] {
        bearer(&shop).post("/v1/orders", order(id)).await?.of(202)?;
    }
    let seen = until("three are stuck", || async {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = api.get(&format!("/v1/stuck?limit=2{cursor}")).await?.of(200)?.body;
            seen.extend(page["stuck"].as_array().cloned().unwrap_or_default());
            let Some(next) = page["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        if seen.len() == 3 { Ok(seen) } else { Err(format!("{seen:?}").into()) }
    })
    .await?;
    for one in &seen {
        let why = one["why"].as_str().unwrap_or_default();
        assert!(one["step"] == "PaymentVoid" && why.starts_with("stuck (CaptureFailed)"), "{one}");
        assert!(one["since"].as_str().is_some() && one["until"] == Value::Null, "{one}");
        let expected = json!([
            { "act": "retry", "then": ["OrderRetried", "RetryPayment", "VoidPayment"] },
            { "act": "skip", "then": ["OrderCancelling", "ReleaseStock"] },
            { "act": "resolve", "outcome": "completed", "then": ["OrderResolved"] },
            { "act": "resolve", "outcome": "cancelled", "then": ["OrderResolved"] },
        ]);
        assert_eq!(one["may"], expected);
    }
    assert!(api.get("/v1/stuck?customer=eve").await?.of(200)?.body["stuck"] == json!([]));

    // Who may not, and what is wrong.
    for (key, path) in [(&shop, "skip"), (&shop, "retry"), (&shelf, "returns/r/receipt")] {
        bearer(key)
            .once("k")
            .post(&format!("/v1/orders/s-1/{path}"), json!({ "note": "n", "lines": [] }))
            .await?
            .of(403)?;
    }
    bearer(&shop).get("/v1/stuck").await?.of(403)?;
    for (verb, body, words) in [
        ("skip", json!({}), "note"),
        ("resolve", json!({ "outcome": "cancelled" }), "note"),
        ("resolve", json!({ "outcome": "forgotten", "note": "n" }), "outcome"),
    ] {
        let said = api.once("wrong").post(&format!("/v1/orders/s-1/{verb}"), body).await?.of(400)?;
        assert!(said.text("detail").contains(words), "{said:?}");
    }
    let other = api.waiting().once("other").post("/v1/orders/s-1/retry", json!({ "step": "StockCommit" })).await?;
    assert_eq!(other.of(422)?.body["reasons"][0]["code"], "OtherStep");
    let unknown = api.waiting().once("none").post("/v1/orders/s-9/retry", json!({})).await?.of(422)?;
    assert_eq!(unknown.body["reasons"][0]["code"], "OrderUnknown");

    // Freed.
    let note = json!({ "note": "voided in the provider's console", "step": "PaymentVoid" });
    let skipped = api.waiting().once("skip").post("/v1/orders/s-1/skip", note).await?.of(200)?;
    assert!(["cancelling", "cancelled"].contains(&skipped.text("state")), "{skipped:?}");
    let end = json!({ "outcome": "cancelled", "note": "settled with the customer" });
    let ended = api.waiting().once("end").post("/v1/orders/s-2/resolve", end.clone()).await?.of(200)?;
    assert_eq!(ended.text("state"), "cancelled");
    let again = api.waiting().once("end").post("/v1/orders/s-2/resolve", end.clone()).await?.of(200)?;
    assert_eq!(again.body["version"], ended.body["version"], "a repetition changes nothing");
    let late = api.waiting().once("late").post("/v1/orders/s-2/resolve", end).await?.of(422)?;
    assert_eq!(late.body["reasons"][0]["code"], "NotStuck");
    api.waiting().once("again").post("/v1/orders/s-3/retry", json!({})).await?.of(200)?;
    until("the third is stuck once more, and alone", || async {
        let page = api.get("/v1/stuck").await?.of(200)?.body;
        let is_alone = page["stuck"].as_array().map(Vec::len) == Some(1) && page["stuck"][0]["order_id"] == "s-3";
        if is_alone && page["stuck"][0]["version"].as_i64() > seen[0]["version"].as_i64() {
            Ok(())
        } else {
            Err(page.to_string().into())
        }
    })
    .await?;
    let said = "select (body::json->'origin'->>'by') || ': ' || (body::json->'origin'->>'note') from view.heard \
        where name = 'OrderResolved'";
    assert_eq!(pipeline.query(said).await?, ["kim: settled with the customer"]);
    stop(door)
}
