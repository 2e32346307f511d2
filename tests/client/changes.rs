//! The verbs that change an order and the lists that find them, as people run them, on real servers.

use serde_json::Value;
use tests::{Outcome, Pipeline, Servers, Settings};

use crate::DAEMON;
use crate::program::run;

/// Three orders that wait to be shipped.
async fn three_orders(pipeline: &Pipeline) -> Outcome {
    let line = |(id, sku): (&str, &str)| {
        let line = format!(r#"{{"sku":"{sku}","quantity":2,"unit_price_minor":50}}"#);
        let order =
            format!(r#""order_id":"{id}","customer_id":"c-{sku}","placed_at":"2026-01-01T00:00:00Z","currency":"USD""#);
        format!(r#"{{{order},"lines":[{line}],"fulfilment":"on_command","payment_token":"tok_1"}}"#)
    };
    let mut lines: Vec<String> = [("w-1", "a"), ("w-2", "a"), ("w-3", "b")].map(line).into();
    lines.push(line(("w-4", "a")).replace("tok_1", "4111 1111 1111 1111"));
    let file = pipeline.folder().join("orders.jsonl");
    std::fs::write(&file, lines.join("\n"))?;
    for sku in ["a", "b"] {
        let received = run(pipeline, &["stock", "receive", sku, "100"]).await?.expect(0)?;
        assert!(received.stdout.contains("received 100"), "{received:?}");
    }
    let published = run(pipeline, &["publish", "--wait", &file.display().to_string()]).await?.expect(3)?;
    assert!(published.stdout.contains("3 ready to ship") && !published.stderr.contains("4111"), "{published:?}");
    assert!(published.stderr.contains("line 4, payment_token"), "{published:?}");
    Ok(())
}

/// The ids of a list, read by a role that may only read.
async fn ids(pipeline: &Pipeline, reader: &str, filters: &[&str]) -> Outcome<String> {
    let words = [&["list", "--ids", "--database-url", reader], filters].concat();
    Ok(run(pipeline, &words).await?.expect(0)?.stdout)
}

async fn shown(pipeline: &Pipeline, order_id: &str) -> Outcome<Value> {
    run(pipeline, &["show", order_id, "--json"]).await?.expect(0)?.json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_held_shipped_refunded_and_taken_back_by_its_verbs() -> Outcome {
    let servers = Servers::shared().await?;
    let pipeline = Pipeline::start(DAEMON, &servers, Settings::default()).await?;
    three_orders(&pipeline).await?;
    let reader = pipeline.create_reader().await?;

    let held =
        run(&pipeline, &["hold", "w-1", "--reason", "Fraud", "--by", "ann", "--note", "looks odd"]).await?.expect(0)?;
    assert!(
        held.stdout.contains("order w-1 is held (Fraud, until ") && held.stdout.contains("by ann: looks odd"),
        "{held:?}"
    );
    let waits = &shown(&pipeline, "w-1").await?["waits_for"];
    assert_eq!((&waits[0]["for"], &waits[1]["for"]), (&Value::from("shipment"), &Value::from("release")), "{waits}");
    assert_eq!(ids(&pipeline, &reader, &["--held"]).await?, "w-1\n");
    let tried = run(&pipeline, &["ship", "w-1", "--dry-run"]).await?.expect(1)?;
    assert!(tried.stdout.contains("would be refused") && tried.stdout.contains("Held"), "{tried:?}");
    let refused = run(&pipeline, &["ship", "w-1"]).await?.expect(1)?;
    assert!(refused.stdout.contains("order w-1 is not shipped: ShipOrder: Held"), "{refused:?}");
    run(&pipeline, &["release", "w-1", "--by", "ann"]).await?.expect(0)?;

    // What a list finds is what a verb takes; the same id again finds the same answers.
    let customers = ids(&pipeline, &reader, &["--state", "ready_to_ship", "--customer", "c-a", "--sku", "a"]).await?;
    // In the order in which the service took them, which are of different partitions.
    let mut listed: Vec<&str> = customers.lines().collect();
    listed.sort_unstable();
    assert_eq!(listed, ["w-1", "w-2"]);
    let file = pipeline.folder().join("ids");
    std::fs::write(&file, format!("{customers}unknown\n"))?;
    let file = file.display().to_string();
    let ship = ["ship", "--file", &file, "--carrier", "post", "--command-id", "truck-1"];
    for _ in 0..2 {
        let shipped = run(&pipeline, &ship).await?.expect(1)?;
        assert!(shipped.stdout.starts_with("2 of 3 orders shipped\n"), "{shipped:?}");
        assert!(shipped.stdout.contains("unknown  refused  ShipOrder: OrderUnknown"), "{shipped:?}");
    }

    let refund = run(&pipeline, &["refund", "w-1", "--line", "1=1", "--reason", "DAMAGED"]).await?.expect(0)?;
    assert!(
        refund.stdout.contains("w-1 is refunded (refund ") && refund.stdout.contains("of 50 minor units"),
        "{refund:?}"
    );
    let too_much = run(&pipeline, &["refund", "w-1", "--amount", "51"]).await?.expect(1)?;
    assert!(too_much.stdout.contains("AmountTooLarge"), "{too_much:?}");
    run(&pipeline, &["return", "request", "w-2", "--command-id", "back-1"]).await?.expect(0)?;
    let lines = ["--line", "1=1:restock", "--line", "1=1:write_off"];
    let receive = [&["return", "receive", "w-2", "--return", "back-1"], &lines[..]].concat();
    let back = run(&pipeline, &receive).await?.expect(0)?;
    assert!(back.stdout.contains("order w-2 is taken back (refund back-1 of 100 minor units)"), "{back:?}");

    let cancelled = run(&pipeline, &["cancel", "w-3", "--reason", "CHANGED_MIND"]).await?.expect(0)?;
    assert!(cancelled.stdout.contains("order w-3 is cancelled (Requested, CHANGED_MIND)"), "{cancelled:?}");
    let stuck = run(&pipeline, &["stuck", "resolve", "w-3", "--as", "cancelled", "--note", "x"]).await?.expect(1)?;
    assert!(stuck.stdout.contains("NotStuck"), "{stuck:?}");
    assert_eq!(ids(&pipeline, &reader, &[]).await?, "", "nothing is open any more");
    pipeline.check_clean().await?;
    Ok(())
}
