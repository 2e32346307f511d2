//! Dead letters in the console: what nobody could take is seen, corrected, published again and becomes an order; or is settled.

use std::time::Duration;

use hyper::Method;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use schemas::ServiceName;
use serde_json::json;

use crate::api::{Api, Page};
use crate::pipeline::{Outcome, PATIENCE, Pipeline, stop, until, until_state};

const LIST: &str = "/console/dead-letters";
const ON_REQUEST: &str = "Read from the topics for this page.";
const ORDER: &str = r#"{ "order_id": "o-1", "customer_id": "ada", "placed_at": "2026-11-30T12:00:00Z", "currency": "EUR",
    "lines": [{ "sku": "pen", "quantity": 1, "unit_price_minor": 250 }] }"#;

/// Sends what no service can take.
async fn send_garbage(pipeline: &Pipeline, key: &str) -> Outcome {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", pipeline.brokers());
    let producer: FutureProducer = config.create()?;
    let headers = OwnedHeaders::new()
        .insert(Header { key: "<script>alert(1)</script>", value: Some("<img src=x>") })
        .insert(Header { key: "bytes", value: Some(&[0xff_u8, 0xfe][..]) });
    let topic = format!("{}order.commands.v1", pipeline.prefix);
    let record = FutureRecord::to(&topic).key(key).payload(&b"<script>\xff\x00 no avro"[..]).headers(headers);
    let sent = producer.send(record, Duration::from_secs(30)).await;
    sent.map(drop).map_err(|(error, _)| error.into())
}

/// How many records the commands and their dead letters have.
fn records(pipeline: &Pipeline) -> Outcome<[i64; 2]> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", pipeline.brokers()).set("group.id", "nobody");
    let consumer: BaseConsumer = config.create()?;
    let mut counts = [0; 2];
    for (count, name) in counts.iter_mut().zip(["order.commands.v1", "order.commands.v1-dlt"]) {
        for partition in 0..3 {
            let (low, high) = consumer.fetch_watermarks(&format!("{}{name}", pipeline.prefix), partition, PATIENCE)?;
            *count += high - low;
        }
    }
    Ok(counts)
}

/// The value of a page's hidden field.
fn field<'p>(page: &'p Page, name: &str) -> Outcome<&'p str> {
    let (_, rest) = page.text.split_once(&format!("name=\"{name}\" value=\"")).ok_or_else(|| page.text.clone())?;
    rest.split('"').next().ok_or_else(|| name.into())
}

/// Looks until so many letters are unsettled; where they lie.
async fn until_unsettled(api: &Api, count: usize) -> Outcome<Vec<String>> {
    until("letters are unsettled", || async {
        let page = api.page(Method::GET, &format!("{LIST}?open=yes"), None).await?.of(200)?;
        let link = format!("href=\"{LIST}/");
        let links = page.text.split(&link).skip(1);
        let paths: Vec<String> = links.filter_map(|rest| Some(format!("{LIST}/{}", rest.split('"').next()?))).collect();
        if paths.len() == count { Ok(paths) } else { Err(page.text.into()) }
    })
    .await
}

/// Looks until the list comes out of memory.
async fn until_kept(api: &Api) -> Outcome {
    until("the letters are kept", || async {
        let page = api.page(Method::GET, LIST, None).await?.of(200)?;
        if page.text.contains(ON_REQUEST) { Err(page.text.into()) } else { Ok(()) }
    })
    .await
}

/// Sends a letter's form.
async fn send(api: &Api, path: &str, seen: &Page, act: &str, further: &[(&str, &str)]) -> Outcome<Page> {
    let mut form = vec![("signature", field(seen, "signature")?), ("seen", field(seen, "seen")?), ("act", act)];
    form.extend_from_slice(further);
    api.page(Method::POST, path, Some(&form)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_becomes_a_letter_is_corrected_in_the_console_and_becomes_an_order() -> Outcome {
    let pipeline = Pipeline::start("letters").await?;
    let (door, [operator, reader]) =
        pipeline.start_door_for([("kim", &["ops:act", "orders:read"]), ("eve", &["orders:read"])])?;
    let visitor = |key: &str| door.api.with("cookie", &format!("console_key={key}"));
    let (kim, eve) = (visitor(&operator), visitor(&reader));
    pipeline.receive("pen", 10).await?;
    until_kept(&kim).await?;
    let none = kim.page(Method::GET, LIST, None).await?.of(200)?;
    assert!(none.text.contains("No record was ever set aside."), "{}", none.text);
    send_garbage(&pipeline, "o-1").await?;
    let path = until_unsettled(&kim, 1).await?.remove(0);

    // Whoever may read sees it harmlessly, and can do nothing.
    let seen = eve.page(Method::GET, &path, None).await?.of(200)?;
    for words in
        ["undecodable", "&lt;script&gt;alert(1)&lt;/script&gt;", "0xfffe", "3c 73 63 72 69 70 74 3e ff 00", "ops:act"]
    {
        assert!(seen.text.contains(words), "{words}: {}", seen.text);
    }
    assert!(!seen.text.contains("<script>alert") && !seen.text.contains("<img"), "{}", seen.text);
    let form = [("signature", field(&seen, "signature")?), ("seen", "0"), ("act", "discard"), ("note", "n")];
    eve.page(Method::POST, &path, Some(&form)).await?.of(403)?;
    kim.page(Method::POST, &path, Some(&form)).await?.of(403)?;

    // What is wrong is told, and a dry run tells what would be; neither changes anything.
    let page = kim.page(Method::GET, &path, None).await?.of(200)?;
    let before = records(&pipeline)?;
    let corrected = [("type", "PlaceOrder"), ("body", ORDER), ("note", "the shop's bug 12")];
    let wrong = ORDER.replace("\"quantity\": 1", "\"quantity\": \"1\"");
    let wrong = [("type", "PlaceOrder"), ("body", wrong.as_str()), ("note", "n")];
    let said = send(&kim, &path, &page, "redrive", &wrong).await?.of(400)?;
    assert!(said.text.contains("lines[0].quantity") && said.text.contains("&quot;ada&quot;"), "{}", said.text);
    let said = send(&kim, &path, &page, "redrive", &[("note", "as it is")]).await?.of(422)?;
    assert!(said.text.contains("it would be set aside again"), "{}", said.text);
    send(&kim, &path, &page, "redrive", &[("note", " ")]).await?.of(400)?;
    let said = send(&kim, &path, &page, "rehearse", &corrected).await?.of(200)?;
    assert!(said.text.contains("Dry run: nothing was changed"), "{}", said.text);
    assert!(said.text.contains("order.commands.v1 as PlaceOrder under the key &quot;o-1&quot;"), "{}", said.text);
    assert_eq!(records(&pipeline)?, before);

    // Redriven once, however often the form is sent; and the order is made.
    let sent = send(&kim, &path, &page, "redrive", &corrected).await?.of(303)?;
    assert_eq!(sent.headers.get("location").and_then(|to| to.to_str().ok()), Some(path.as_str()));
    let again = send(&kim, &path, &page, "redrive", &corrected).await?.of(422)?;
    assert!(again.text.contains("since the page was made"), "{}", again.text);
    assert_eq!(records(&pipeline)?, [before[0] + 1, before[1] + 2], "a command, and two notes");
    let done = eve.page(Method::GET, &path, None).await?.of(200)?;
    for words in ["Redriven", "redrive-begun", "by kim, edited, to partition", "the shop&#39;s bug 12"] {
        assert!(
            done.text.contains(words) || done.text.contains(&words.replace("&#39;", "'")),
            "{words}: {}",
            done.text
        );
    }
    let bearer = door.api.with("authorization", &format!("Bearer {operator}"));
    until("the order is known", || async { bearer.get("/v1/orders/o-1").await?.of(200).map(drop) }).await?;
    until_state(&bearer, "/v1/orders/o-1", "completed").await?;

    // Another one is settled without being sent.
    send_garbage(&pipeline, "o-2").await?;
    let path = until_unsettled(&kim, 1).await?.remove(0);
    let page = kim.page(Method::GET, &path, None).await?.of(200)?;
    let before = records(&pipeline)?;
    send(&kim, &path, &page, "discard", &[("note", "a test of ours")]).await?.of(303)?;
    send(&kim, &path, &page, "discard", &[("note", "a test of ours")]).await?.of(422)?;
    assert_eq!(records(&pipeline)?, [before[0], before[1] + 1]);
    until_unsettled(&kim, 0).await?;
    for asked in ["", "?fresh=yes"] {
        let page = kim.page(Method::GET, &format!("{path}{asked}"), None).await?.of(200)?;
        assert!(page.text.contains("by kim: a test of ours"), "{}", page.text);
        let list = kim.page(Method::GET, &format!("{LIST}{asked}"), None).await?.of(200)?;
        assert_eq!(list.text.contains(ON_REQUEST), !asked.is_empty(), "{}", list.text);
        assert!(list.text.contains("2 letters") && !list.text.contains("Unsettled</span>"), "{}", list.text);
    }
    kim.page(Method::GET, &format!("{LIST}/order.commands.v1/0/99999"), None).await?.of(404)?;
    kim.page(Method::GET, &format!("{LIST}/nothing/0/0"), None).await?.of(404)?;
    let report = pipeline.check().await?;
    assert!(report.is_clean(), "{report}");
    stop(door)
}

/// Inventory parks the order's request, and an operator gives it up; then inventory would take it.
async fn give_up_the_reservation(pipeline: &Pipeline, order: &str) -> Outcome {
    let forbid = "alter table inventory.reservations add constraint a_bug check (order_id <> ";
    pipeline.script(&format!("{forbid}'{order}') not valid")).await?;
    pipeline.place(order, "ada", &[("pen", 1)]).await?;
    let words = ["parked", "drop", order, "--by", "ada", "--note", "by mistake"];
    until("it is parked and given up", || async { pipeline.operate(ServiceName::Inventory, &words) }).await?;
    pipeline.script("alter table inventory.reservations drop constraint a_bug").await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_up_by_mistake_is_asked_for_again_and_a_strangers_letter_is_not() -> Outcome {
    let pipeline = Pipeline::start("asked").await?;
    let door = pipeline.start_door("door")?;
    let kim = &door.api;
    pipeline.receive("pen", 10).await?;
    give_up_the_reservation(&pipeline, "o-1").await?;
    let path = until_unsettled(kim, 1).await?.remove(0);
    until("the order is known", || async { kim.get("/v1/orders/o-1").await?.of(200).map(drop) }).await?;
    let page = kim.page(Method::GET, &path, None).await?.of(200)?;
    assert!(page.text.contains("Have it said again") && page.text.contains("dropped"), "{}", page.text);
    assert!(!page.text.contains("value=\"redrive\""), "{}", page.text);

    // A dry run says what would be said; asked once, however often; the order goes on to its end.
    let said = send(kim, &path, &page, "rehearse-asking", &[("note", "n")]).await?.of(200)?;
    assert!(said.text.contains("OrderAskedAgain, ReserveStock"), "{}", said.text);
    let long = "n".repeat(257);
    send(kim, &path, &page, "ask", &[("note", &long)]).await?.of(400)?;
    send(kim, &path, &page, "ask", &[("note", "a mistake")]).await?.of(303)?;
    send(kim, &path, &page, "ask", &[("note", "a mistake")]).await?.of(422)?;
    until_state(kim, "/v1/orders/o-1", "completed").await?;
    let asked = "select (body::json->'origin'->>'note') || ' ' || (body::json->>'request') from view.heard \
        where name = 'OrderAskedAgain'";
    assert_eq!(pipeline.query(asked).await?, ["a mistake ReserveStock"]);
    let page = kim.page(Method::GET, &path, None).await?.of(200)?;
    assert!(page.text.contains("a mistake (order o-1 asks again: "), "{}", page.text);
    until_unsettled(kim, 0).await?;

    // What no order waits for any more is refused, and stays where it is.
    give_up_the_reservation(&pipeline, "o-2").await?;
    let path = until_unsettled(kim, 1).await?.remove(0);
    let cancel = json!({ "reason_code": "customer" });
    let once = kim.with("idempotency-key", "c-1");
    until("it is known", || async { kim.get("/v1/orders/o-2").await?.of(200).map(drop) }).await?;
    once.post("/v1/orders/o-2/cancel", cancel).await?.of(202)?;
    until_state(kim, "/v1/orders/o-2", "cancelled").await?;
    let page = kim.page(Method::GET, &path, None).await?.of(200)?;
    let refused = send(kim, &path, &page, "ask", &[("note", "n")]).await?.of(422)?;
    assert!(refused.text.contains("waits for"), "{}", refused.text);
    until_unsettled(kim, 1).await?;
    let report = pipeline.check().await?;
    assert!(report.is_clean(), "{report}");
    stop(door)
}
