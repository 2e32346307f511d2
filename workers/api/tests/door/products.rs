//! Products: described, read with their stock, refused with every reason, and who asked.

use hyper::Method;
use serde_json::{Value, json};

use crate::api::{Answer, Api};
use crate::pipeline::{Outcome, Pipeline, stop, until};

fn described(title: &str, price_minor: i64, currency: &str) -> Value {
    json!({ "title": title, "price_minor": price_minor, "currency": currency, "note": "season" })
}

async fn put(api: &Api, sku: &str, body: &Value) -> Outcome<Answer> {
    api.ask(Method::PUT, &format!("/v1/products/{sku}"), Some(("application/json", body.to_string()))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_is_described_read_with_its_stock_and_refused_with_every_reason() -> Outcome {
    let pipeline = Pipeline::start("products").await?;
    let door = pipeline.start_door("door")?;
    let api = &door.api;
    api.get("/v1/products/pen").await?.of(404)?;

    // With a wait it is answered with what it is, without one with where to look.
    let pen = put(&api.waiting().once("say-1"), "pen", &described("Pen", 250, "EUR")).await?.of(200)?;
    assert_eq!((pen.text("title"), &pen.body["available"], &pen.body["version"]), ("Pen", &json!(0), &json!(1)));
    assert_eq!(pen.header("preference-applied"), "wait");
    let receipt = json!({ "sku": "pen", "quantity": 9, "note": "pallet 7" });
    api.waiting().once("in-1").post("/v1/stock/receipts", receipt.clone()).await?.of(200)?;
    api.waiting().once("in-1").post("/v1/stock/receipts", receipt).await?.of(200)?;
    let accepted = put(&api.once("say-2"), "pen", &described("Pen, blue", 275, "EUR")).await?.of(202)?;
    assert!(accepted.location().starts_with("/v1/products/pen?after=stock.commands.v1"), "{accepted:?}");
    let read = api.get(accepted.location()).await?.of(200)?;
    let told = (read.text("title"), &read.body["price_minor"], &read.body["available"], &read.body["version"]);
    assert_eq!(told, ("Pen, blue", &json!(275), &json!(9), &json!(3)));
    api.with("if-none-match", read.header("etag")).get("/v1/products/pen").await?.of(304)?;

    // The first one again says nothing anew, with other words it is refused.
    let again = put(&api.waiting().once("say-1"), "pen", &described("Pen", 250, "EUR")).await?.of(200)?;
    assert_eq!((again.text("title"), &again.body["version"]), ("Pen, blue", &json!(3)));
    let other = put(&api.waiting().once("say-1"), "pen", &described("Pencil", 250, "EUR")).await?.of(422)?;
    assert_eq!(other.text("type"), "urn:order-api:content-differs", "{other:?}");
    let wrong = put(&api.waiting().once("say-3"), "pen", &described("", -1, "DEM")).await?.of(422)?;
    let codes: Vec<&str> =
        wrong.body["reasons"].as_array().into_iter().flatten().filter_map(|reason| reason["code"].as_str()).collect();
    assert_eq!(codes, ["TitleEmpty", "PriceNegative", "CurrencyUnknown"]);
    let unkeyed = put(api, "pen", &described("Pen", 1, "EUR")).await?.of(400)?;
    assert!(unkeyed.text("detail").contains("Idempotency-Key"), "{unkeyed:?}");

    pages(api).await?;
    // Who asked, and why, is in what inventory keeps.
    until("the last one is kept", || async {
        let sql = "select sku || ' ' || kind || ' ' || asked_by || ' ' || note from inventory.stock_receipts \
            where command_id in ('in-1', 'say-2') order by 1";
        let kept = pipeline.query(sql).await?;
        let expected = ["pen described local season", "pen received local pallet 7"];
        if kept == expected { Ok(()) } else { Err(format!("{kept:?}").into()) }
    })
    .await?;
    let report = pipeline.check().await?;
    assert!(report.is_clean(), "{report}");
    pipeline.script("update view.products set price_minor = 1 where sku = 'pen'").await?;
    let report = pipeline.check().await?;
    let found: Vec<&str> = report.violations.iter().map(|found| found.subject.as_str()).collect();
    assert_eq!(found, ["view products pen"], "{report}");
    stop(door)
}

/// A page at a time, ascending; what has stock and is not described is no product.
async fn pages(api: &Api) -> Outcome {
    let receipt = json!({ "sku": "nameless", "quantity": 1 });
    api.waiting().once("in-2").post("/v1/stock/receipts", receipt).await?.of(200)?;
    put(&api.waiting().once("say-4"), "ink", &described("Ink", 1, "EUR")).await?.of(200)?;
    put(&api.waiting().once("say-5"), "a%2Fb", &described("Both", 1, "EUR")).await?.of(200)?;
    let (mut found, mut cursor) = (Vec::new(), String::new());
    for _ in 0..4 {
        let page = api.get(&format!("/v1/products?limit=1{cursor}")).await?.of(200)?.body;
        let products = page["products"].as_array().cloned().unwrap_or_default();
        found.extend(products.iter().map(|product| product["sku"].as_str().unwrap_or_default().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={}", next.replace('/', "%2F"));
    }
    assert_eq!(found, ["a/b", "ink", "pen"]);
    Ok(())
}
