//! `orders publish`: what it says of good files, of files of another kind, and of an order that the broker refuses.

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
        let ran = run(&pipeline, &["publish", name]).await?.expect(1)?;
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
    let said = run(&pipeline, &arguments).await?.expect(1)?.json()?;
    assert_eq!((&said["delivered"], &said["failed"]), (&json!(2), &json!(1)), "{said}");
    let failure = said["failures"][0].as_str().unwrap_or_default();
    assert!(failure.starts_with("PlaceOrder too-large is refused by Kafka: "), "{said}");
    pipeline.accept();
    Ok(())
}
