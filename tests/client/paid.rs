//! With what an order is paid goes from whoever places it to the provider, whichever way it is placed.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stripe_server::Behaviour;
use tests::{Outcome, Pipeline, Servers, Settings, trouble};

use crate::DAEMON;
use crate::over_http::Door;
use crate::program::run;

/// A line of a file of orders.
fn line(id: &str, token: &str) -> String {
    let lines = json!([{ "sku": "a", "quantity": 1, "unit_price_minor": 50 }]);
    let order = json!({ "order_id": id, "customer_id": "c", "placed_at": "2026-01-01T00:00:00Z", "currency": "USD",
        "lines": lines, "payment_token": token });
    order.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_paid_with_its_own_token_by_kafka_and_by_http() -> Outcome {
    let servers = Servers::shared().await?;
    let (pipeline, server) =
        Pipeline::start_at_provider(DAEMON, &servers, Settings::default(), Behaviour::default()).await?;
    let door = Door::open(&pipeline, None).await?;
    run(&pipeline, &["stock", "receive", "a", "100", "--id", "first"]).await?.expect(0)?;
    let file = |id: &str, token: &str| -> Outcome<String> {
        let path = pipeline.folder().join(format!("{id}.jsonl"));
        std::fs::write(&path, line(id, token))?;
        Ok(path.display().to_string())
    };
    let (kafka, http) = (file("by-kafka", "pm_card_of_kafka")?, file("by-http", "pm_card_of_http")?);
    for ran in [
        run(&pipeline, &["publish", "--wait", &kafka]).await?.expect(0)?,
        door.run(&pipeline, &["publish", "--wait", &http]).await?.expect(0)?,
    ] {
        assert!(ran.stdout.contains("1 completed"), "{ran:?}");
    }
    let address = server.address();
    let (status, said) = tokio::task::spawn_blocking(move || dev_stack::get(address, "/test/payments")).await??;
    if status != 200 {
        return Err(trouble(said));
    }
    let payments: Vec<Value> = serde_json::from_str(&said)?;
    let text = |payment: &Value, name: &str| payment[name].as_str().unwrap_or_default().to_owned();
    let tokens: BTreeMap<String, String> =
        payments.iter().map(|payment| (text(payment, "order_id"), text(payment, "token"))).collect();
    let expected = [("by-http", "pm_card_of_http"), ("by-kafka", "pm_card_of_kafka")];
    assert_eq!(tokens, expected.map(|(order, token)| (order.to_owned(), token.to_owned())).into());
    pipeline.check_clean().await?;
    server.stop().await;
    Ok(())
}
