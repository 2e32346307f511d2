//! One thing done to all orders that a search finds: to those that were shown, once, while nobody looks, with those that failed as files.

use futures_util::StreamExt as _;
use futures_util::stream;
use hyper::Method;
use serde_json::json;

use crate::api::{Api, Page};
use crate::console_orders::{count, form, order, page, send};
use crate::pipeline::{Outcome, Pipeline, stop, until, until_state};

/// More than two pages of the list.
const ORDERS: usize = 120;

async fn until_said(api: &Api, path: &str, words: &str) -> Outcome<Page> {
    until(words, || async {
        let page = page(api, path).await?;
        if page.text.contains(words) { Ok(page) } else { Err(page.text.into()) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn all_orders_of_a_search_are_shown_and_then_shipped_once_while_nobody_looks() -> Outcome {
    let pipeline = Pipeline::start("console_sweep").await?;
    let (door, [clerk, reader]) =
        pipeline.start_door_for([("clerk", &["orders:read", "orders:write"]), ("reader", &["orders:read"])])?;
    let api =
        door.api.with("authorization", &format!("Bearer {clerk}")).with("cookie", &format!("console_key={clerk}"));
    pipeline.receive("pen", 1_000).await?;
    let ids: Vec<String> = (0..ORDERS).map(|number| format!("o-{number}")).collect();
    let placing = ids.iter().map(|id| async { api.waiting().post("/v1/orders", order(id)).await?.of(201).map(drop) });
    let placed: Vec<Outcome> = stream::iter(placing.collect::<Vec<_>>()).buffer_unordered(16).collect().await;
    placed.into_iter().collect::<Outcome>()?;
    for id in &ids {
        until_state(&api, &format!("/v1/orders/{id}"), "ready_to_ship").await?;
    }

    let list = page(&api, "/console/orders?find=ada&state=ready_to_ship").await?;
    let choice = form(&list, "/console/sweeps")?;
    assert_eq!((choice["find"].as_str(), choice["state"].as_str()), ("ada", "ready_to_ship"));
    let held = send(&api, "/console/sweeps", &choice, &[("act", "refund"), ("note", "n")]).await?.of(303)?;
    let refunds = held.headers["location"].to_str()?.to_owned();
    until_said(&api, &refunds, "would be done to <strong>120 orders</strong>").await?;
    let sent = send(&api, "/console/sweeps", &choice, &[("act", "ship"), ("note", "the van")]).await?.of(303)?;
    let path = sent.headers["location"].to_str()?.to_owned();
    let looked = until_said(&api, &path, "would be done to <strong>120 orders</strong>").await?;
    assert!(looked.text.contains("And 70 more.") && looked.text.len() < 100 * 1024, "{looked:?}");
    assert_eq!(count(&pipeline, "OrderShipped").await?, "0", "nothing was done yet");

    // One comes after it was shown, and one is called off.
    api.waiting().post("/v1/orders", order("late")).await?.of(201)?;
    until_state(&api, "/v1/orders/late", "ready_to_ship").await?;
    api.waiting().once("off").post("/v1/orders/o-5/cancel", json!({})).await?.of(200)?;
    let live = api.body(&format!("{path}/live")).await?;
    let (run, doing) = (format!("{path}/run"), form(&looked, &format!("{path}/run"))?);
    let (one, other) = tokio::join!(send(&api, &run, &doing, &[]), send(&api, &run, &doing, &[]));
    one?.of(303)?;
    other?.of(303)?;
    // Nobody looks any more.
    drop(live);
    let over = until_said(&api, &path, "Over. ").await?;
    assert!(over.text.contains("119 orders done, 0 on their way, 1 failed."), "{over:?}");
    assert!(over.text.contains("Asked for by clerk") && over.text.contains("failed.csv"), "{over:?}");
    send(&api, &run, &doing, &[]).await?.of(303)?;
    assert_eq!(count(&pipeline, "OrderShipped").await?, "119", "sent again, it is done once");
    until_state(&api, "/v1/orders/late", "ready_to_ship").await?;
    let csv = page(&api, &format!("{path}/failed.csv")).await?;
    assert!(csv.text.starts_with("order_id,why\r\n\"o-5\",") && csv.text.lines().count() == 2, "{csv:?}");
    assert!(csv.headers["content-disposition"].to_str()?.starts_with("attachment"));
    let lines = page(&api, &format!("{path}/failed.jsonl")).await?;
    let line: serde_json::Value = serde_json::from_str(&lines.text)?;
    assert_eq!(line["order_id"], "o-5");
    let by = "select distinct body::json->'origin'->>'by' from view.heard where name = 'OrderShipped'";
    assert_eq!(pipeline.query(by).await?, ["clerk"]);

    // A role too few, an act that needs a code, and an id of nobody's.
    let looking = door.api.with("cookie", &format!("console_key={reader}"));
    let shown = page(&looking, &refunds).await?;
    assert!(!shown.text.contains("/run\""), "{shown:?}");
    let signed = form(&shown, "/console/logout")?;
    for action in ["/console/sweeps", &format!("{refunds}/run"), &format!("{refunds}/stop")] {
        send(&looking, action, &signed, &[("act", "ship")]).await?.of(403)?;
    }
    assert_eq!(count(&pipeline, "OrderRefundRequested").await?, "0");
    send(&api, "/console/sweeps", &choice, &[]).await?.of(400)?;
    api.page(Method::GET, "/console/sweeps/s-1", None).await?.of(404)?;
    // From every page, an order by its id.
    let gone = api.page(Method::GET, "/console/orders?find=o-5&go=1", None).await?.of(303)?;
    assert_eq!(gone.headers["location"], "/console/orders/o-5");
    stop(door)
}
