//! Look-ups share connections: where those are cut, the next ones have new ones.

use serde_json::json;

use crate::pipeline::{Outcome, Pipeline, stop, until};

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
