//! The console's pages of orders, through their forms: found, followed, shipped, refunded; by whom they may, once, and not by surprise.

use std::collections::BTreeMap;

use http_body_util::BodyExt as _;
use hyper::Method;
use serde_json::{Value, json};

use crate::api::{Api, Page};
use crate::pipeline::{Outcome, Pipeline, stop, until, until_state};

pub(crate) fn order(id: &str) -> Value {
    json!({ "order_id": id, "customer_id": "ada", "currency": "EUR", "fulfilment": "on_command",
        "lines": [{ "sku": "pen", "quantity": 2, "unit_price_minor": 250 }] })
}

/// Orders that can be shipped.
pub(crate) async fn placed(pipeline: &Pipeline, api: &Api, ids: &[&str]) -> Outcome {
    pipeline.receive("pen", 100).await?;
    for id in ids {
        api.waiting().post("/v1/orders", order(id)).await?.of(201)?;
    }
    for id in ids {
        until_state(api, &format!("/v1/orders/{id}"), "ready_to_ship").await?;
    }
    Ok(())
}

pub(crate) async fn page(api: &Api, path: &str) -> Outcome<Page> {
    api.page(Method::GET, path, None).await?.of(200)
}

pub(crate) type Form = BTreeMap<String, String>;

/// What a form of the page holds before anybody has written anything into it.
pub(crate) fn form(page: &Page, action: &str) -> Outcome<Form> {
    let found = page.text.split("<form ").find(|form| form.contains(&format!("action=\"{action}\"")));
    let found = found.and_then(|form| form.split("</form>").next()).ok_or_else(|| format!("no {action}: {page:?}"))?;
    let hidden = found.split("<input ").filter(|input| input.contains("type=\"hidden\""));
    let field =
        |input: &str, name: &str| Some(input.split_once(&format!("{name}=\""))?.1.split_once('"')?.0.to_owned());
    Ok(hidden.filter_map(|input| Some((field(input, "name")?, field(input, "value")?))).collect())
}

pub(crate) async fn send(api: &Api, action: &str, form: &Form, further: &[(&str, &str)]) -> Outcome<Page> {
    let own = form.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let fields: Vec<(&str, &str)> = own.chain(further.iter().copied()).collect();
    api.page(Method::POST, action, Some(&fields)).await
}

/// What a redirect leads to.
pub(crate) async fn then(api: &Api, sent: Page) -> Outcome<Page> {
    let sent = sent.of(303)?;
    page(api, sent.headers.get("location").ok_or("leads nowhere")?.to_str()?).await
}

/// Until the order's page says this.
async fn until_said(api: &Api, id: &str, words: &str) -> Outcome<Page> {
    until(words, || async {
        let page = page(api, &format!("/console/orders/{id}")).await?;
        if page.text.contains(words) { Ok(page) } else { Err(page.text.into()) }
    })
    .await
}

pub(crate) async fn count(pipeline: &Pipeline, name: &str) -> Outcome<String> {
    let rows = pipeline.query(&format!("select count(*)::text from view.heard where name = '{name}'")).await?;
    rows.into_iter().next().ok_or_else(|| "no count".into())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_found_shipped_and_refunded_through_the_forms() -> Outcome {
    let pipeline = Pipeline::start("console_orders").await?;
    let door = pipeline.start_door("door")?;
    let api = &door.api;
    placed(&pipeline, api, &["o-1"]).await?;
    for search in ["?find=o-1", "?find=ada", "?state=ready_to_ship&sku=pen&from=2020-01-01T00:00", ""] {
        let list = page(api, &format!("/console/orders{search}")).await?;
        assert!(list.text.contains("href=\"/console/orders/o-1\""), "{search}: {list:?}");
    }
    let nothing = page(api, "/console/orders?find=eve").await?;
    assert!(nothing.text.contains("No order is like that"), "{nothing:?}");
    let wrong = page(api, "/console/orders?from=yesterday").await?;
    assert!(wrong.text.contains("for instance"), "{wrong:?}");
    api.page(Method::GET, "/console/orders/o-9", None).await?.of(404)?;

    let shown = until_said(api, "o-1", "Ready to ship").await?;
    for words in
        ["hop inventory", "Stock reserved", "hop payment", "Payment captured", "Ledger", "replay-tool trace o-1"]
    {
        assert!(shown.text.contains(words), "{words}: {shown:?}");
    }
    let ship = form(&shown, "/console/orders/o-1/ship")?;
    let further = [("carrier", "DHL"), ("note", "by hand")];
    let (one, other) = tokio::join!(
        send(api, "/console/orders/o-1/ship", &ship, &further),
        send(api, "/console/orders/o-1/ship", &ship, &further)
    );
    let (done, again) = (then(api, one?).await?, then(api, other?).await?);
    for page in [done, again] {
        assert!(page.text.contains("Done. ") && page.text.contains("by local: by hand"), "{page:?}");
    }
    assert_eq!(count(&pipeline, "OrderShipped").await?, "1", "a double click is one command");
    until_state(api, "/v1/orders/o-1", "completed").await?;

    let shown = until_said(api, "o-1", "/console/orders/o-1/refund").await?;
    let refund = form(&shown, "/console/orders/o-1/refund")?;
    let too_much = send(api, "/console/orders/o-1/refund", &refund, &[("how", "amount"), ("amount", "9.99")]).await?;
    assert!(too_much.of(400)?.text.contains("EUR 9.99 is more than is left: EUR 5.00"));
    let wrong = send(api, "/console/orders/o-1/refund", &refund, &[("how", "amount"), ("amount", "1,5")]).await?;
    assert!(wrong.of(400)?.text.contains("without the currency"));
    let sent = send(api, "/console/orders/o-1/refund", &refund, &[("how", "amount"), ("amount", "1.50")]).await?;
    assert!(then(api, sent).await?.text.contains("Order refund requested"));
    until_said(api, "o-1", "EUR 3.50").await?;

    // Goods come back.
    let shown = page(api, "/console/orders/o-1").await?;
    let back = form(&shown, "/console/orders/o-1/return")?;
    let sent = send(api, "/console/orders/o-1/return", &back, &[("how", "lines"), ("line-1", "1")]).await?;
    let shown = then(api, sent).await?;
    let receive = form(&shown, "/console/orders/o-1/receive")?;
    let sent = send(api, "/console/orders/o-1/receive", &receive, &[("restock-1", "1"), ("amount", "0.50")]).await?;
    then(api, sent).await?;
    until_said(api, "o-1", "Taken back").await?;
    stop(door)
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_second_sees_what_has_happened_and_the_page_goes_on_by_itself() -> Outcome {
    let pipeline = Pipeline::start("console_second").await?;
    let door = pipeline.start_door("door")?;
    let api = &door.api;
    placed(&pipeline, api, &["o-1", "o-2"]).await?;
    let shown = until_said(api, "o-1", "/console/orders/o-1/ship").await?;
    let mut live = api.body("/console/orders/o-1/live").await?;
    let cancel = form(&shown, "/console/orders/o-1/cancel")?;
    let sent = send(api, "/console/orders/o-1/cancel", &cancel, &[("note", "the customer <b>called</b>")]).await?;
    then(api, sent).await?;
    let ship = form(&shown, "/console/orders/o-1/ship")?;
    let late = send(api, "/console/orders/o-1/ship", &ship, &[]).await?.of(409)?;
    assert!(late.text.contains("Somebody else was here first"), "{late:?}");
    assert!(late.text.contains("the customer &lt;b&gt;called&lt;/b&gt;") && !late.text.contains("<b>"), "{late:?}");
    assert_eq!(count(&pipeline, "OrderCommandRefused").await?, "0", "nothing was asked of the order service");
    let mut came = String::new();
    while !came.contains("Order cancelled") {
        let frame = tokio::time::timeout(crate::pipeline::PATIENCE, live.frame()).await?.ok_or("it has ended")??;
        came.push_str(std::str::from_utf8(frame.data_ref().map(AsRef::as_ref).unwrap_or_default())?);
    }

    // What is no form of ours does nothing.
    let shown = until_said(api, "o-2", "/console/orders/o-2/ship").await?;
    let ship = form(&shown, "/console/orders/o-2/ship")?;
    let unsigned = Form::from([("command_id".to_owned(), "x".to_owned())]);
    send(api, "/console/orders/o-2/ship", &unsigned, &[]).await?.of(403)?;
    let elsewhere = api.with("origin", "http://evil.example");
    send(&elsewhere, "/console/orders/o-2/ship", &ship, &[]).await?.of(403)?;
    assert_eq!(count(&pipeline, "OrderShipped").await?, "0");
    stop(door)
}

#[tokio::test(flavor = "multi_thread")]
async fn many_orders_are_acted_on_once_and_those_that_failed_are_told() -> Outcome {
    let pipeline = Pipeline::start("console_bulk").await?;
    let (door, [clerk, reader]) =
        pipeline.start_door_for([("clerk", &["orders:read", "orders:write"]), ("reader", &["orders:read"])])?;
    let api =
        door.api.with("authorization", &format!("Bearer {clerk}")).with("cookie", &format!("console_key={clerk}"));
    placed(&pipeline, &api, &["o-1", "o-2", "o-3", "o-4"]).await?;
    api.waiting().once("early").post("/v1/orders/o-4/cancel", json!({})).await?.of(200)?;

    let list = page(&api, "/console/orders").await?;
    let choice = form(&list, "/console/bulk")?;
    let all = [("act", "ship"), ("order", "o-1"), ("order", "o-2"), ("order", "o-3"), ("order", "o-4"), ("note", "n")];
    let trial = send(&api, "/console/bulk", &choice, &all).await?.of(200)?;
    assert!(trial.text.contains("would be done to <strong>3 orders</strong>, and not to 1"), "{trial:?}");
    assert_eq!(count(&pipeline, "OrderShipped").await?, "0", "nothing was done yet");
    let doing = form(&trial, "/console/bulk/run")?;
    // Somebody is faster.
    api.waiting().once("faster").post("/v1/orders/o-3/cancel", json!({})).await?.of(200)?;
    let orders = [("order", "o-1"), ("order", "o-2"), ("order", "o-3")];
    let without =
        |form: &Form| form.iter().filter(|(name, _)| *name != "order").map(|(n, v)| (n.clone(), v.clone())).collect();
    let doing: Form = without(&doing);
    for _ in 0..2 {
        let done = send(&api, "/console/bulk/run", &doing, &orders).await?.of(200)?;
        assert!(done.text.contains("2 orders done, 0 on their way, 1 failed."), "{done:?}");
    }
    assert_eq!(count(&pipeline, "OrderShipped").await?, "2", "sent twice, it is done once");

    // A role too few.
    let looking = door.api.with("cookie", &format!("console_key={reader}"));
    let list = page(&looking, "/console/orders").await?;
    assert!(list.text.contains("href=\"/console/orders/o-1\"") && !list.text.contains("/console/bulk"), "{list:?}");
    let shown = page(&looking, "/console/orders/o-1").await?;
    assert!(!shown.text.contains("/console/orders/o-1/refund"), "{shown:?}");
    let signed = form(&shown, "/console/logout")?;
    for (action, further) in [("/console/orders/o-1/refund", ("how", "all")), ("/console/bulk", ("act", "refund"))] {
        let further = [further, ("command_id", "r"), ("order", "o-1")];
        let refused = send(&looking, action, &signed, &further).await?.of(403)?;
        assert!(refused.text.contains("orders:write"), "{refused:?}");
    }
    stop(door)
}
