//! A read model that is behind: a lock keeps it from taking anything. What is asked for with a position cannot be had then, whoever
//! is asked, and nobody is shown something older instead.

use serde_json::json;

use crate::api::Api;
use crate::pipeline::{Outcome, PATIENCE, Pipeline, stop, until, until_state};

/// The position behind this one.
fn next(position: &str) -> Outcome<String> {
    let (partition, offset) = position.rsplit_once('/').ok_or("no position")?;
    Ok(format!("{partition}/{}", offset.parse::<i64>()? + 1))
}

async fn until_behind(api: &Api, is_wanted: fn(i64) -> bool) -> Outcome {
    until("the status says how far behind it is", || async {
        let behind = api.get("/v1/status").await?.of(200)?.body["view_behind"].as_i64();
        if behind.is_some_and(is_wanted) { Ok(()) } else { Err(format!("{behind:?}").into()) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_is_behind_says_so_shows_nothing_older_and_catches_up() -> Outcome {
    let pipeline = Pipeline::start("behind").await?;
    let door = pipeline.start_door("door")?;
    pipeline.receive("pen", 100).await?;
    let order = json!({ "order_id": "o-1", "customer_id": "ada", "currency": "EUR", "fulfilment": "on_command",
        "lines": [{ "sku": "pen", "quantity": 1, "unit_price_minor": 100 }] });
    let placed = door.api.post("/v1/orders", order).await?.of(202)?;
    let found = until_state(&door.api, placed.location(), "ready_to_ship").await?;
    let version = found.body["version"].as_i64().ok_or("no version")?;

    let held = pipeline.hold_view().await?;
    let shipping = door.api.once("s").post("/v1/orders/o-1/ship", json!({ "carrier": "DHL" })).await?.of(202)?;
    until("the service has shipped it", || async {
        let stage = pipeline.query("select stage from orders.orders").await?;
        if stage == ["completed"] { Ok(()) } else { Err(format!("{stage:?}").into()) }
    })
    .await?;
    let after = format!("/v1/orders/o-1?after={}", next(found.header("order-position"))?);
    let other = pipeline.open_door("other", |_| {})?;
    for api in [&door.api, &other.api] {
        let old = api.get("/v1/orders/o-1").await?.of(200)?;
        assert_eq!(old.body["version"].as_i64(), Some(version), "without a position it is what the view has");
        for path in [after.as_str(), shipping.location()] {
            let told = api.get(path).await?.of(503)?;
            assert_eq!((told.header("retry-after"), told.text("type")), ("1", "urn:order-api:unavailable"));
        }
        until_behind(api, |behind| behind > 0).await?;
    }
    // It came when all had been said, and does not know what the view lacks by listening.
    let told = other.api.with("last-event-id", &version.to_string()).follow("o-1").await.err();
    let told = told.map(|error| error.to_string()).unwrap_or_default();
    assert!(told.contains("503") && told.contains("too far behind"), "{told}");

    drop(held);
    for api in [&door.api, &other.api] {
        let shipped = until("it is shown", || async { api.get(shipping.location()).await?.of(200) }).await?;
        assert!(shipped.body["version"].as_i64() > Some(version), "{shipped:?}");
        until_behind(api, |behind| behind == 0).await?;
    }
    let following = other.api.with("last-event-id", &version.to_string());
    let mut events = until("it tells the events", || following.follow("o-1")).await?;
    assert_eq!(events.next().await?.map(|event| event.id), Some(version + 1));
    for one in [&door, &other] {
        one.daemon.wait_ready(PATIENCE)?;
    }
    stop(door)?;
    stop(other)
}
