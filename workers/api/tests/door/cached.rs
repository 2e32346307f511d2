//! What callers have kept: "not modified" comes with the position at which that was so, and is never said of anything older.

use serde_json::json;

use crate::api::{Answer, Api};
use crate::pipeline::{Outcome, Pipeline, stop, until, until_state};

fn offset(answer: &Answer) -> Outcome<i64> {
    let position = answer.header("order-position");
    Ok(position.rsplit('/').next().unwrap_or_default().parse()?)
}

/// Asks again and again with what is known, until it is known no longer: all answers.
async fn ask_until_modified(api: Api, path: &str, tag: &str) -> Outcome<Vec<(u16, i64)>> {
    let api = api.with("if-none-match", tag);
    let answers = std::sync::Mutex::new(Vec::new());
    until("it is modified", || async {
        let answer = api.get(path).await?;
        let told = (answer.status, offset(&answer)?);
        answers.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(told);
        if told.0 == 200 { Ok(()) } else { Err(format!("{told:?}").into()) }
    })
    .await?;
    Ok(answers.into_inner()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_modified_is_no_older_than_the_position_that_comes_with_it() -> Outcome {
    let pipeline = Pipeline::start("cached").await?;
    let door = pipeline.start_door("door")?;
    let api = &door.api;
    pipeline.receive("pen", 10).await?;
    let order = json!({ "order_id": "o-1", "customer_id": "ada", "currency": "EUR",
        "lines": [{ "sku": "pen", "quantity": 4, "unit_price_minor": 250 }] });
    api.waiting().post("/v1/orders", order).await?.of(201)?;
    let path = "/v1/orders/o-1";
    let first = until_state(api, path, "completed").await?;
    let (tag, known) = (first.header("etag").to_owned(), api.with("if-none-match", first.header("etag")));
    let same = known.get(path).await?.of(304)?;
    assert_eq!((same.header("order-position"), same.header("etag")), (first.header("order-position"), tag.as_str()));
    assert_eq!(same.header("cache-control"), "private, no-cache", "nobody in between keeps it");

    // A refusal is said of the order and changes nothing of it: not modified, at a later position.
    let much = json!({ "amount_minor": 9_999 });
    api.waiting().once("much").post("/v1/orders/o-1/refunds", much).await?.of(422)?;
    let later = until("the refusal is in the read model", || async {
        let same = known.get(path).await?.of(304)?;
        if offset(&same)? > offset(&first)? { Ok(same) } else { Err(format!("{same:?}").into()) }
    })
    .await?;
    let after = format!("{path}?after={}", later.header("order-position"));
    known.get(&after).await?.of(304)?;

    // While it changes: nobody is told "not modified" at the position of the change, or behind it.
    let asking = tokio::spawn({
        let (api, tag) = (api.clone(), tag.clone());
        async move { ask_until_modified(api, "/v1/orders/o-1", &tag).await }
    });
    api.once("refund").post("/v1/orders/o-1/refunds", json!({ "amount_minor": 100 })).await?.of(202)?;
    let answers = asking.await??;
    let changed = "select log_offset::text from view.heard where key = 'o-1' and name = 'OrderRefundRequested'";
    let changed: i64 = pipeline.query(changed).await?.first().ok_or("no refund")?.parse()?;
    for (status, at) in answers {
        assert_eq!(status == 304, at < changed, "{status} at {at}, changed at {changed}");
    }
    // The same of a level.
    let level = until("the pens have left", || async {
        let level = api.get("/v1/stock/pen").await?.of(200)?;
        if level.body["shipped"] == 4 { Ok(level) } else { Err(format!("{level:?}").into()) }
    })
    .await?;
    let same = api.with("if-none-match", level.header("etag")).get("/v1/stock/pen").await?;
    assert_eq!(same.of(304)?.header("order-position"), level.header("order-position"));
    let more = api.once("more").post("/v1/stock/receipts", json!({ "sku": "pen", "quantity": 1 })).await?.of(202)?;
    let behind = api.with("if-none-match", level.header("etag")).get(more.location()).await?.of(200)?;
    assert_eq!(behind.body["received"], 11, "what is known is old");
    stop(door)
}
