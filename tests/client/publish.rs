//! `orders publish`: what it says of good files, of files of another kind, and of an order that the broker refuses.

use std::collections::BTreeMap;

use schemas::{ServiceName, Sku};
use serde_json::json;
use tests::{Outcome, Pipeline, Servers, Settings};

use crate::DAEMON;
use crate::program::run;

fn line(order_id: &str, sku: &str, lines: usize) -> String {
    let line = json!({ "sku": sku, "quantity": 1, "unit_price_minor": 50 });
    let order = json!({
        "order_id": order_id, "customer_id": "c", "placed_at": "2017-01-01T11:53:26Z", "currency": "USD",
        "lines": vec![line; lines],
    });
    order.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_written_or_told_in_one_error_what_it_is() -> Outcome {
    let servers = Servers::shared().await?;
    let pipeline = Pipeline::prepare(DAEMON, &servers, Settings::default()).await?;
    let file = |name: &str, content: &[u8]| std::fs::write(pipeline.folder().join(name), content);
    let (one, two) = (line("1", "s", 1), line("2", "s", 1));
    let lines = format!("{one}\n{two}\n");
    file("one.jsonl", one.as_bytes())?;
    file("cr.jsonl", lines.replace('\n', "\r").as_bytes())?;
    file("crlf.jsonl", format!("\u{feff}{}", lines.replace('\n', "\r\n")).as_bytes())?;
    for (name, words) in [
        ("one.jsonl", "1 order written to Kafka"),
        ("cr.jsonl", "2 orders written"),
        ("crlf.jsonl", "2 orders written"),
    ] {
        let ran = run(&pipeline, &["publish", name]).await?.expect(0)?;
        assert!(ran.stdout.starts_with(words) && ran.stderr.is_empty(), "{ran:?}");
    }
    let utf16: Vec<u8> = lines.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let pretty = serde_json::to_string_pretty(&serde_json::from_str::<serde_json::Value>(&one)?)?;
    file("utf16.jsonl", &utf16)?;
    file("array.json", format!("[{one},{two}]").as_bytes())?;
    file("pretty.json", pretty.as_bytes())?;
    file("orders.csv", b"order_id,customer_id\n1,c\n")?;
    for (name, words) in [
        ("utf16.jsonl", "utf16.jsonl is UTF-16, "),
        ("array.json", "array.json is a JSON array, "),
        ("pretty.json", "pretty.json is JSON over several lines, "),
        ("orders.csv", "orders.csv is CSV, "),
    ] {
        let ran = run(&pipeline, &["publish", name]).await?.expect(2)?;
        assert!(ran.stderr.starts_with(&format!("orders: {words}")) && ran.stderr.lines().count() == 1, "{ran:?}");
    }
    pipeline.accept();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_the_broker_refuses_is_named_and_the_others_are_written() -> Outcome {
    let servers = Servers::shared().await?;
    let pipeline = Pipeline::prepare(DAEMON, &servers, Settings::default()).await?;
    // The payload fits into its limit, and the record with its headers no longer into the topic's.
    let mut large: serde_json::Value = serde_json::from_str(&line("too-large", "s", 15_419))?;
    for index in 0..15_419 {
        large["lines"][index]["sku"] = json!(format!("{index:064}"));
    }
    let file = [line("before", "s", 1), large.to_string(), line("after", "s", 1)].join("\n");
    std::fs::write(pipeline.folder().join("orders.jsonl"), file)?;
    let arguments = ["publish", "orders.jsonl", "--json", "-X", "compression.type=none"];
    let said = run(&pipeline, &arguments).await?.expect(2)?.json()?;
    assert_eq!((&said["delivered"], &said["failed"]), (&json!(2), &json!(1)), "{said}");
    let failure = said["failures"][0].as_str().unwrap_or_default();
    assert!(failure.starts_with("PlaceOrder too-large is refused by Kafka: "), "{said}");
    pipeline.accept();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wait_tells_what_became_of_each_order_and_the_exit_code_too() -> Outcome {
    let servers = Servers::shared().await?;
    let mut pipeline = Pipeline::prepare(DAEMON, &servers, Settings { instances: 1, ..Settings::default() }).await?;
    let folder = pipeline.folder().to_path_buf();
    let file = |name: &str, content: &str| std::fs::write(folder.join(name), content);
    let bad = line("bad", "s", 1).replace("\"quantity\":1", "\"quantity\":0");
    file("one.jsonl", &line("one", "there", 1))?;
    file("other-content.jsonl", &line("one", "there", 2))?;
    file("two.jsonl", &format!("{}\n{}\n{bad}\n", line("two", "there", 1), line("three", "nowhere", 1)))?;
    // Nobody is there: the order is written, and has not ended.
    let ran = run(&pipeline, &["publish", "one.jsonl", "--wait", "--timeout", "2"]).await?.expect(5)?;
    assert!(ran.stdout.starts_with("1 order written") && ran.stdout.contains("1 not ended in time"), "{ran:?}");

    pipeline.start_services(&ServiceName::ALL).await?;
    pipeline.receive(&BTreeMap::from([(Sku::new("there")?, 10)])).await?;
    let ran = run(&pipeline, &["publish", "two.jsonl", "--wait", "--json"]).await?.expect(4)?.json()?;
    let outcomes = &ran["outcomes"];
    for (fate, count) in [("completed", 1), ("cancelled", 1), ("rejected", 1), ("stuck", 0), ("not_ended", 0)] {
        assert_eq!(outcomes[fate], json!(count), "{fate}: {ran}");
    }
    file("good.jsonl", &line("four", "there", 1))?;
    for _ in 0..2 {
        let ran = run(&pipeline, &["publish", "good.jsonl", "--wait"]).await?.expect(0)?;
        assert!(ran.stdout.contains("1 completed\n  four  completed"), "{ran:?}");
    }
    // What an order of the same id and other content went through is not what becomes of this one.
    let ran = run(&pipeline, &["publish", "other-content.jsonl", "--wait"]).await?.expect(4)?;
    assert!(ran.stdout.contains("1 rejected") && ran.stdout.contains("ContentDiffers"), "{ran:?}");
    pipeline.accept();
    Ok(())
}
