//! Lists that are read to their end, and what ends with a caller that goes away.

use http_body_util::BodyExt as _;
use schemas::ServiceName;
use serde_json::json;

use crate::pipeline::{Outcome, Pipeline, stop};

const ORDERS: usize = 20_000;
const LEVELS: usize = 1_000;

/// Rows that nobody has said: some 40 MB as JSON, more than the system keeps for a caller that reads nothing.
const FILL: &str = "insert into view.orders (order_id, partition, version, stage, customer_id, placed_at, currency, total_minor, \
        content, confirm_by, accepted_at, changed_at) \
    select 'o-' || n, 0, 1, 'completed', 'c-' || n % 500, at, 'EUR', 1, decode (repeat ('00', 32), 'hex'), at, at, at \
    from generate_series (1, 20000) as n, lateral (select timestamptz '2026-01-01' + n / 2 * interval '1 s' as at) as t; \
    insert into view.order_contents select order_id, array_fill ('sku-' || order_id, array[25]), \
        array_fill (1::bigint, array[25]), array_fill (1::bigint, array[25]) from view.orders; \
    insert into view.stock select 's-' || n, 1, 9, 0, 0, 0, 0 from generate_series (1, 1000) as n";

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_read_to_its_end_and_no_further_than_its_caller() -> Outcome {
    let pipeline = Pipeline::start("streamed").await?;
    let door = pipeline.start_door("door")?;
    pipeline.script(FILL).await?;
    let rows = door.api.lines("/v1/orders").await?;
    let ids: Vec<&str> = rows.iter().filter_map(|row| row["order_id"].as_str()).collect();
    let distinct: std::collections::BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!((ids.len(), distinct.len()), (ORDERS, ORDERS));
    let times: Vec<&str> = rows.iter().filter_map(|row| row["accepted_at"].as_str()).collect();
    assert!(times.windows(2).all(|pair| pair[0] >= pair[1]), "the newest first");
    assert_eq!(rows[0]["lines"].as_array().map(Vec::len), Some(25));
    // The same rows as the pages have, by the same filters.
    let of_one = door.api.lines("/v1/orders?customer=c-7&before=2026-01-01T02:00:00Z").await?;
    let page = door.api.get("/v1/orders?customer=c-7&before=2026-01-01T02:00:00Z&limit=200").await?.of(200)?.body;
    assert_eq!((json!(of_one), of_one.len() > 20), (page["orders"].clone(), true));
    let levels = door.api.lines("/v1/stock").await?;
    let skus: Vec<&str> = levels.iter().filter_map(|row| row["sku"].as_str()).collect();
    assert!(skus.len() == LEVELS && skus.is_sorted(), "{} levels", skus.len());
    assert!(door.api.lines("/v1/orders?customer=nobody").await?.is_empty());
    let wrong = door.api.with("accept", "application/x-ndjson").get("/v1/orders?limit=5").await?.of(400)?;
    assert!(wrong.text("detail").starts_with("limit"), "{wrong:?}");

    // A caller that takes the beginning and goes away ends the reading long before the end.
    door.until_metric("api_lists", 0.0).await?;
    let before = door.metric("api_list_pages_total")?.unwrap_or_default();
    let mut body = door.api.with("accept", "application/x-ndjson").body("/v1/orders").await?;
    body.frame().await.ok_or("nothing")??;
    door.until_metric("api_lists", 1.0).await?;
    drop(body);
    door.until_metric("api_lists", 0.0).await?;
    let read = door.metric("api_list_pages_total")?.unwrap_or_default() - before;
    assert!((1.0..80.0).contains(&read), "{read} of 100 pages");
    stop(door)
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_and_goes_away_is_waited_for_no_longer() -> Outcome {
    let pipeline = Pipeline::start("gone").await?;
    let door = pipeline.start_door("door")?;
    let order = json!({ "order_id": "o-1", "customer_id": "ada", "currency": "EUR",
        "lines": [{ "sku": "pen", "quantity": 1, "unit_price_minor": 50 }] });
    // Nothing is decided while inventory stands still.
    let inventory = pipeline.daemon(ServiceName::Inventory)?;
    inventory.stop()?;
    for (head, body, route, answered) in [
        ("POST /v1/orders HTTP/1.1\r\nprefer: wait=30", order.to_string(), "/v1/orders", "POST\",status=\"202"),
        (
            "GET /v1/orders/x?after=order.events.v1/0/999999 HTTP/1.1",
            String::new(),
            "/v1/orders/{id}",
            "GET\",status=\"503",
        ),
    ] {
        let open = format!("api_requests_open{{route=\"{route}\"}}");
        let caller = door.api.send_alone(head, &body).await?;
        door.until_metric(&open, 1.0).await?;
        drop(caller);
        door.until_metric(&open, 0.0).await?;
        // Had it been waited for, it would have been told that the time is up.
        let told = format!("api_requests_total{{route=\"{route}\",method=\"{answered}\"}}");
        assert_eq!(door.metric(&told)?, None, "{route}");
    }
    inventory.cont()?;
    stop(door)
}
