//! Look-ups share connections: where those are cut, the next ones have new ones. And what needs no look-up is right all the same.

use serde_json::json;

use crate::pipeline::{Outcome, PATIENCE, Pipeline, stop, until};

#[tokio::test(flavor = "multi_thread")]
async fn look_ups_and_placings_go_on_once_their_connections_are_cut() -> Outcome {
    let pipeline = Pipeline::start("look_ups").await?;
    let door = pipeline.start_door("door")?;
    let order = |id: &str| {
        json!({ "order_id": id, "customer_id": "ada", "currency": "EUR",
        "lines": [{ "sku": "pen", "quantity": 1, "unit_price_minor": 100 }] })
    };
    for round in 0..3 {
        until("orders are placed", || async {
            let id = format!("o-{round}");
            door.api.post("/v1/orders", order(&id)).await?.of(202).map(drop)
        })
        .await?;
        until("what is not there is not there", || async {
            // As often as there are connections to share, and once more.
            for _ in 0..3 {
                door.api.get("/v1/orders/unknown").await?.of(404)?;
            }
            Ok(())
        })
        .await?;
        let cut = "select pg_terminate_backend(pid)::text from pg_stat_activity \
            where application_name = 'order-api reads view' and datname = current_database()";
        let cut = pipeline.query(cut).await?;
        assert!(cut.len() >= 2 && cut.iter().all(|cut| cut == "true"), "{cut:?}");
    }
    stop(door)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_looks_no_new_order_up_knows_those_that_were_placed_before_it() -> Outcome {
    let pipeline = Pipeline::start("placed").await?;
    let order = |id: &str, pieces: i64| {
        json!({ "order_id": id, "customer_id": "ada", "currency": "EUR",
        "lines": [{ "sku": "pen", "quantity": pieces, "unit_price_minor": 100 }] })
    };
    pipeline.receive("pen", 100).await?;
    let first = pipeline.start_door("first")?;
    for id in ["before", "other"] {
        first.api.waiting().post("/v1/orders", order(id, 1)).await?.of(201)?;
    }
    let second = pipeline.start_door_with("second", |command| {
        command.env("LOG", "info,order_api=debug");
    })?;
    second.daemon.wait_for_line("which orders are there is known", PATIENCE)?.ok_or("it does not know them")?;
    second.api.post("/v1/orders", order("before", 1)).await?.of(200)?;
    second.api.post("/v1/orders", order("other", 2)).await?.of(422)?;
    second.api.post("/v1/orders", order("new", 1)).await?.of(202)?;
    until("the new one is there", || async { second.api.get("/v1/orders/new").await?.of(200).map(drop) }).await?;
    second.api.post("/v1/orders", order("new", 1)).await?.of(200)?;
    second.api.post("/v1/orders", order("new", 2)).await?.of(422)?;
    stop(first)?;
    stop(second)
}
