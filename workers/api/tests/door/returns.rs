//! Goods that come back: expected, received, put on the shelf or not, and paid for.

use serde_json::{Value, json};

use crate::pipeline::{Outcome, Pipeline, stop, until, until_state};

#[tokio::test(flavor = "multi_thread")]
async fn goods_that_come_back_are_put_on_the_shelf_or_not_and_the_money_is_given_back() -> Outcome {
    let pipeline = Pipeline::start("returns").await?;
    let door = pipeline.start_door("door")?;
    let api = &door.api;
    pipeline.receive("pen", 10).await?;
    let order = json!({ "order_id": "o-1", "customer_id": "ada", "currency": "EUR",
        "lines": [{ "sku": "pen", "quantity": 4, "unit_price_minor": 250 }] });
    api.waiting().post("/v1/orders", order).await?.of(201)?;
    until_state(api, "/v1/orders/o-1", "completed").await?;
    let asked = json!({ "lines": [{ "line": 1, "quantity": 3 }], "reason_code": "TOO_SMALL" });
    let asked = api.waiting().once("rma-5").post("/v1/orders/o-1/returns", asked).await?.of(200)?;
    assert_eq!(asked.body["returns"][0]["state"], "requested");

    let path = "/v1/orders/o-1/returns/rma-5/receipt";
    let came = |disposition: &str| json!({ "lines": [{ "line": 1, "quantity": 1, "disposition": disposition }] });
    for (body, words) in [(came("burn"), "disposition"), (json!({}), "lines"), (json!({ "lines": [{}] }), "lines[0]")] {
        let said = api.once("wrong").post(path, body.clone()).await?.of(400)?;
        assert!(said.text("detail").contains(words), "{body}: {said:?}");
    }
    let unknown =
        api.waiting().once("u").post("/v1/orders/o-1/returns/rma-6/receipt", came("restock")).await?.of(422)?;
    assert_eq!(unknown.body["reasons"][0]["code"], "ReturnUnknown", "{unknown:?}");

    let divided = json!({ "lines": [{ "line": 1, "quantity": 2, "disposition": "restock" },
        { "line": 1, "quantity": 1, "disposition": "write_off" }], "note": "one is broken" });
    let received = api.waiting().once("in-1").post(path, divided.clone()).await?.of(200)?;
    assert_ne!(received.body["returns"][0]["state"], "requested", "{received:?}");
    // Sent once more, it is received once.
    api.waiting().once("in-1").post(path, divided).await?.of(200)?;
    until("the money is back", || async {
        let found = api.get("/v1/orders/o-1").await?.of(200)?.body;
        let (back, refund) = (&found["returns"][0], &found["refunds"][0]);
        let is_done = back["state"] == "taken_back" && refund["state"] == "refunded";
        if is_done && refund["amount_minor"] == 750 { Ok(()) } else { Err(found.to_string().into()) }
    })
    .await?;
    until("the stock is corrected", || async {
        let level = api.get("/v1/stock/pen").await?.of(200)?.body;
        let told = ["shipped", "returned", "written_off", "available"].map(|name| level[name].as_i64());
        if told == [Some(4), Some(3), Some(1), Some(8)] { Ok(()) } else { Err(level.to_string().into()) }
    })
    .await?;
    let refunds = api.get("/v1/orders/o-1").await?.of(200)?.body["refunds"].clone();
    assert_eq!(refunds.as_array().map(Vec::len), Some(1), "{refunds}");
    let notes = "select coalesce(body::json->'origin'->>'note', '') from view.heard where name = 'OrderReturnReceived'";
    assert_eq!(pipeline.query(notes).await?, ["one is broken"]);
    let late = api.waiting().once("late").ask(hyper::Method::POST, path, None).await?.of(400)?;
    assert_ne!(late.body["detail"], Value::Null);
    stop(door)
}
