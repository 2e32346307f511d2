//! Streams of an order's events: from its first to its last, resumed behind any, whoever dies meanwhile.

use serde_json::json;

use crate::pipeline::{Outcome, Pipeline, stop, until};

const EVENTS: [&str; 5] =
    ["OrderPlaced", "OrderStockReserved", "OrderConfirmed", "OrderPaymentCaptured", "OrderCompleted"];

fn expected(behind: usize) -> Vec<(i64, String)> {
    let numbered = EVENTS.iter().zip(1_i64..).map(|(name, version)| (version, (*name).to_owned()));
    numbered.skip(behind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_gives_every_event_once_and_goes_on_behind_the_last_one_seen() -> Outcome {
    let pipeline = Pipeline::start("stream").await?;
    let (door, other) = (pipeline.start_door("door")?, pipeline.start_door("other")?);
    pipeline.receive("pen", 1_000).await?;
    // Followed before there is anything to see.
    let mut ids = Vec::new();
    for number in 0..20 {
        let body = json!({ "order_id": format!("o-{number}"), "customer_id": "ada", "currency": "EUR",
            "payment_token": "tok_hush", "lines": [{ "sku": "pen", "quantity": 1, "unit_price_minor": 100 }] });
        let api = if number % 2 == 0 { &door.api } else { &other.api };
        api.post("/v1/orders", body).await?.of(202)?;
        ids.push(format!("o-{number}"));
    }
    for id in &ids {
        // A machine with much to do may take longer than a stream waits for its order.
        let mut events = until("the order is known", || door.api.follow(id)).await?;
        let first = events.next().await?.ok_or("nothing")?;
        assert!(first.id == 1 && first.data["payment_token"].is_null(), "{first:?}");
        assert_eq!(events.take(4).await?, expected(1), "{id}");
    }
    for behind in 0..5 {
        let api = other.api.with("last-event-id", &behind.to_string());
        assert_eq!(api.follow("o-7").await?.take(5 - behind).await?, expected(behind));
    }
    // What happens later comes by itself, and a refusal is no event of the order.
    let mut events = door.api.with("last-event-id", "5").follow("o-3").await?;
    let refused =
        door.api.waiting().once("too-much").post("/v1/orders/o-3/refunds", json!({ "amount_minor": 999 })).await?;
    assert_eq!(refused.status, 422, "{refused:?}");
    door.api.once("r-1").post("/v1/orders/o-3/refunds", json!({ "amount_minor": 30 })).await?.of(202)?;
    let refunds = [(6, "OrderRefundRequested"), (7, "OrderRefunded")].map(|(id, name)| (id, name.to_owned()));
    assert_eq!(events.take(2).await?, refunds);

    // The one that it follows dies: it goes on at the other one.
    let mut events = door.api.follow("o-4").await?;
    events.take(2).await?;
    door.daemon.kill9()?;
    assert_eq!(other.api.with("last-event-id", "2").follow("o-4").await?.take(3).await?, expected(2));
    // One that ends in good order ends its streams.
    let mut events = other.api.with("last-event-id", "7").follow("o-3").await?;
    let wrong = other.api.with("last-event-id", "soon").follow("o-3").await;
    assert!(wrong.is_err_and(|error| error.to_string().contains("400")));
    let unknown = other.api.follow("unknown").await.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(unknown.contains("404"), "{unknown}");
    until("the stream is open", || async {
        let open = other.api.get("/v1/status").await?.of(200)?.body["streams"].as_u64();
        if open == Some(1) { Ok(()) } else { Err(format!("{open:?}").into()) }
    })
    .await?;
    stop(other)?;
    assert_eq!(events.next().await.unwrap_or_default(), None);
    Ok(())
}
