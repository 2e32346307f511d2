//! Stuck orders in the console: seen with what may be done, and freed through the page's forms.

use hyper::Method;
use serde_json::json;

use crate::api::{Api, Page};
use crate::pipeline::{Outcome, Pipeline, Setting, stop, until};

const PAGE: &str = "/console/stuck";

/// No capture succeeds, and what is held cannot be let go of.
const PROVIDER: &str = "capture_failure_per_million = 1000000\nvoid_failure_per_million = 1000000\n";

/// What an order's form has, as it stands on the page.
fn form<'p>(page: &'p Page, order: &str) -> Outcome<Vec<(&'p str, &'p str)>> {
    let forms = page.text.split("<form ").find(|form| form.contains(&format!("name=\"order_id\" value=\"{order}\"")));
    let form = forms.and_then(|form| form.split("</form>").next()).ok_or_else(|| page.text.clone())?;
    let hidden = form.split("type=\"hidden\" name=\"").skip(1).filter_map(|rest| {
        let (name, rest) = rest.split_once("\" value=\"")?;
        Some((name, rest.split('"').next()?))
    });
    Ok(hidden.collect())
}

async fn send(api: &Api, form: &[(&str, &str)], act: &str, note: &str) -> Outcome<Page> {
    let form = [form, &[("act", act), ("note", note)]].concat();
    api.page(Method::POST, PAGE, Some(&form)).await
}

/// Looks until the page shows a form for each of these orders, and no other.
async fn until_stuck(api: &Api, orders: &[&str]) -> Outcome<Page> {
    until("these are stuck", || async {
        let page = api.page(Method::GET, PAGE, None).await?.of(200)?;
        let all = orders.iter().all(|order| form(&page, order).is_ok());
        let count = page.text.matches("name=\"order_id\"").count();
        if all && count == orders.len() { Ok(page) } else { Err(page.text.into()) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn stuck_orders_are_retried_and_freed_through_the_forms() -> Outcome {
    let pipeline = Pipeline::start_as("forms", Setting { provider: PROVIDER, ..Setting::default() }).await?;
    let (door, [operator, shop]) =
        pipeline.start_door_for([("kim", &["ops:act", "orders:read"]), ("shop", &["orders:read", "orders:write"])])?;
    let bearer = |key: &str| door.api.with("authorization", &format!("Bearer {key}"));
    let visitor = |key: &str| door.api.with("cookie", &format!("console_key={key}"));
    let (kim, eve) = (visitor(&operator), visitor(&shop));
    let none = kim.page(Method::GET, PAGE, None).await?.of(200)?;
    assert!(none.text.contains("No order is stuck.") && none.text.contains("--daemons"), "{}", none.text);
    pipeline.receive("pen", 10).await?;
    for id in ["s-1", "s-2"] {
        let order = json!({ "order_id": id, "customer_id": "ada", "currency": "EUR",
            "lines": [{ "sku": "pen", "quantity": 1, "unit_price_minor": 50 }] });
        bearer(&shop).post("/v1/orders", order).await?.of(202)?;
    }
    let page = until_stuck(&kim, &["s-1", "s-2"]).await?;
    assert!(page.text.contains("stuck (CaptureFailed)") && page.text.contains("EUR 0.50"), "{}", page.text);
    let seen = eve.page(Method::GET, PAGE, None).await?.of(200)?;
    assert!(seen.text.contains("s-1") && !seen.text.contains("name=\"order_id\""), "{}", seen.text);

    // Who may not, and without saying why.
    let of_first = form(&page, "s-1")?;
    send(&eve, &of_first, "skip", "n").await?.of(403)?;
    let said = send(&kim, &of_first, "skip", " ").await?.of(400)?;
    assert!(said.text.contains("who has seen to it"), "{}", said.text);

    // Tried again, in vain; then skipped. A form that is sent twice is one command.
    let retried = send(&kim, &of_first, "retry", "the issuer is back").await?.of(303)?;
    let to = retried.headers.get("location").and_then(|to| to.to_str().ok()).unwrap_or_default();
    let told = kim.page(Method::GET, to, None).await?.of(200)?;
    assert!(told.text.contains("Sent. Order") && told.text.contains("stands so:"), "{}", told.text);
    let said = "select coalesce(max(body::json->'origin'->>'note'), '') || ' ' || count(*) from view.heard where name = 'OrderRetried'";
    until("it was retried", || async {
        let found = pipeline.query(said).await?;
        if found == ["the issuer is back 1"] { Ok(()) } else { Err(format!("{found:?}").into()) }
    })
    .await?;
    let page = until_stuck(&kim, &["s-1", "s-2"]).await?;
    let (of_first, of_second) = (form(&page, "s-1")?, form(&page, "s-2")?);
    for _ in 0..2 {
        send(&kim, &of_first, "skip", "voided by hand").await?.of(303)?;
        send(&kim, &of_second, "resolve-cancelled", "settled with the customer").await?.of(303)?;
    }
    let late = send(&kim, &of_second, "retry", "too late").await?.of(422)?;
    assert!(late.text.contains("s-2"), "{}", late.text);
    until_stuck(&kim, &[]).await?;
    let said = "select (body::json->'origin'->>'by') || ': ' || (body::json->'origin'->>'note') from view.heard \
        where name = 'OrderResolved'";
    assert_eq!(pipeline.query(said).await?, ["kim: settled with the customer"]);
    let report = pipeline.check().await?;
    assert!(report.is_clean(), "{report}");
    stop(door)
}
