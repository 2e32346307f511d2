//! A SKU: how much there is, what it is called, how that came to be, which orders wait with it; and what can be done to it.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use domain::stock::{Level, Product};
use grammar::money;
use jiff::Timestamp;
use maud::{Markup, html};
use schemas::{Sku, Time};
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

use super::charts::{self, Line, Lines};
use super::layout::{self, Place};
use super::stock::{available, path};
use super::supply::{Given, Supply, forms};
use super::trouble::{Trouble, notice};
use super::visit::{Asked, Signed, Visit};
use super::words::{number, since, spoken, utc};
use super::{Console, Shared};
use crate::http::{Problem, Supplied, escaped};
use crate::keys::Role;
use crate::view::{SaidAt, Waiting};

/// So many of its last changes are shown.
const CHANGES: i64 = 50;

/// So many of its newest orders are looked at, and so many that wait are shown.
const LOOKED_AT: i64 = 500;
const WAITING: i64 = 50;

/// How long a form waits for its answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a page says first.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Said {
    /// What was done.
    #[serde(default)]
    done: String,
    /// What is on its way.
    #[serde(default)]
    sent: String,
}

/// All that is known of a SKU.
struct Found {
    sku: Sku,
    level: Option<Level>,
    product: Option<Product>,
    waiting: Vec<Waiting>,
    /// The newest first.
    changes: Vec<SaidAt>,
    now: Time,
}

/// Its page.
pub(super) async fn page(
    State(console): Shared,
    visit: Visit,
    Path(sku): Path<String>,
    Asked(said): Asked<Said>,
) -> Result<Response, Trouble> {
    let found = find(&console, &visit, &sku).await?;
    let (done, sent) = (Supply::parse(&said.done), Supply::parse(&said.sent));
    let first = html! {
        @if let Some(done) = done { div.notice.good role="status" { p { (done.done()) } } }
        @if sent.is_some() { div.notice.warn role="status" { p { "It is on its way; load the page again in a moment." } } }
    };
    Ok(shown(&visit, &found, &first, None))
}

/// Does something to it, and shows what came of it.
pub(super) async fn act(
    State(console): Shared,
    visit: Visit,
    Path((sku, act)): Path<(String, String)>,
    headers: HeaderMap,
    Signed(given): Signed<Given>,
) -> Result<Response, Trouble> {
    visit.needs(Role::StockWrite)?;
    let supply =
        Supply::parse(&act).ok_or_else(|| super::trouble::nothing(&visit, format!("nobody can {act:?} a SKU")))?;
    let named = name(&visit, &sku)?;
    let done = async {
        let command = given.command(supply, named.clone(), visit.caller().name())?;
        console.door.supply(command, Some(Instant::now() + PATIENCE), &headers).await
    };
    match done.await {
        Ok(Supplied { is_booked, .. }) => {
            let what = if is_booked { "done" } else { "sent" };
            Ok(Redirect::to(&format!("{}?{what}={}", path(&named), supply.as_str())).into_response())
        }
        Err(problem) => {
            let found = find(&console, &visit, &sku).await?;
            let mut response = shown(&visit, &found, &notice(&problem), Some((supply, &given)));
            *response.status_mut() = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
            Ok(response)
        }
    }
}

fn name(visit: &Visit, sku: &str) -> Result<Sku, Trouble> {
    Sku::new(sku).map_err(|error| Trouble::of(visit, Problem::bad(format!("SKU: {error}"))))
}

async fn find(console: &Console, visit: &Visit, sku: &str) -> Result<Found, Trouble> {
    let (sku, reads) = (name(visit, sku)?, &console.door.reads);
    let found = tokio::try_join!(
        reads.level(&sku),
        reads.product(&sku),
        reads.waiting_with(&sku, LOOKED_AT, WAITING),
        reads.said_last(&sku, CHANGES),
    );
    let (level, product, waiting, changes) = found.map_err(|error| Trouble::of(visit, error))?;
    let (level, product) = (level.map(|found| found.what.1), product.map(|found| found.what.0));
    Ok(Found { sku, level, product, waiting, changes, now: Time::from(Timestamp::now()) })
}

fn shown(visit: &Visit, found: &Found, first: &Markup, refused: Option<(Supply, &Given)>) -> Response {
    let described = found.product.as_ref().map(|product| &product.description);
    let given =
        described.map_or_else(Given::default, |said| Given::described(&said.title, said.price_minor, &said.currency));
    let body = html! {
        (first)
        (levels(found))
        h2 { "How it came to be" }
        (history(found))
        h2 { "Orders that wait" }
        (waiting(found))
        @if visit.may(Role::StockWrite) {
            h2 { "What can be done" }
            (forms(visit, &found.sku, &given, refused))
        }
    };
    layout::page(visit, Some(Place::Stock), &format!("SKU {}", found.sku), &body)
}

fn levels(found: &Found) -> Markup {
    html! {
        @match &found.product {
            Some(product) => {
                p.said { strong { (product.description.title) } " · " (money(product.description.price_minor, &product.description.currency))
                    ", as described on " (utc(product.changed_at)) }
            }
            None => p.hint { "Nobody has described it." },
        }
        @match found.level {
            Some(level) => {
                dl.figures {
                    div { dt { "Available" } dd { (available(level)) } }
                    div { dt { "Reserved for orders" } dd { (number(level.reserved)) } }
                    div { dt { "Shipped" } dd { (number(level.shipped)) } }
                    div { dt { "Came back" } dd { (number(level.returned)) } }
                    div { dt { "Written off" } dd { (number(level.written_off)) } }
                    div { dt { "Received in all" } dd { (number(level.received)) } }
                }
            }
            None => p.empty { "Nothing of it was ever received." },
        }
    }
}

/// What a change has added to what was received.
fn added(change: &SaidAt) -> i64 {
    let body: Value = serde_json::from_str(&change.said.body).unwrap_or_default();
    ["quantity", "delta"].iter().find_map(|field| body.get(field)?.as_i64()).unwrap_or_default()
}

fn history(found: &Found) -> Markup {
    let (Some(first), Some(level)) = (found.changes.last(), found.level) else {
        return html! { p.empty { "There is no history yet." } };
    };
    let mut received = level.received;
    let mut points = vec![(found.now.as_micros(), Some(received))];
    for change in &found.changes {
        points.push((change.at.as_micros(), Some(received)));
        received = received.saturating_sub(added(change));
    }
    points.reverse();
    let begun = first.at.to_string();
    let chart = Lines {
        title: "Received in all, with corrections",
        ends: (begun.get(..10).unwrap_or(&begun), "now"),
        span: (first.at.as_micros(), found.now.as_micros()),
        lines: vec![Line { name: "received", points }],
        words: number,
        is_stepped: true,
    };
    html! {
        (charts::lines(&chart))
        p.hint { "Its last changes, at most " (CHANGES) "." }
        div.table tabindex="0" { table {
            thead { tr {
                th scope="col" { "When" } th scope="col" { "What" } th.number scope="col" { "Pieces" }
                th scope="col" { "Who" } th scope="col" { "Why" }
            } }
            tbody { @for change in &found.changes { (changed(change)) } }
        } }
    }
}

fn changed(change: &SaidAt) -> Markup {
    let body: Value = serde_json::from_str(&change.said.body).unwrap_or_default();
    let origin = |field: &str| body.get("origin").and_then(|origin| origin.get(field)?.as_str());
    let text = |field: &str| body.get(field).and_then(Value::as_str);
    let price = body.get("price_minor").and_then(Value::as_i64).zip(text("currency"));
    html! {
        tr {
            td { (utc(change.at)) }
            td.said {
                (spoken(&change.said.name))
                @if let Some(title) = text("title") { ": " (title) }
                @if let Some((price, currency)) = price { ", " (money(price, currency)) }
            }
            td.number { @match added(change) { 0 => "", some => (number(some)) } }
            td.said { (origin("by").unwrap_or_default()) }
            td.said { (origin("note").unwrap_or_default()) }
        }
    }
}

fn waiting(found: &Found) -> Markup {
    html! {
        p.hint { "Of its " (LOOKED_AT) " newest orders those that are not finished, at most " (WAITING) "." }
        @if found.waiting.is_empty() {
            p.empty { "No order waits with it." }
        } @else {
            div.table { table {
                thead { tr {
                    th scope="col" { "Order" } th scope="col" { "State" } th scope="col" { "Customer" } th.number scope="col" { "Age" }
                } }
                tbody {
                    @for one in &found.waiting {
                        tr {
                            th scope="row" { a href={ "/console/orders/" (escaped(&one.order_id)) } { (one.order_id) } }
                            td { (spoken(&one.stage)) }
                            td.said { (one.customer_id) }
                            td.number { (since(one.accepted_at, found.now)) }
                        }
                    }
                }
            } }
        }
        p { a href={ "/console/orders?sku=" (escaped(found.sku.as_str())) } { "All orders with it" } }
    }
}

#[cfg(test)]
mod tests {
    use schemas::TopicName;

    use super::*;
    use crate::position::Position;

    fn change(at: i64, name: &str, body: &str) -> SaidAt {
        let position = Position::of_event(TopicName::StockEvents, 0, at);
        let said = crate::view::Said { version: Some(at), name: name.to_owned(), body: body.to_owned(), position };
        SaidAt { at: Time::from_micros(at), said }
    }

    fn found(changes: Vec<SaidAt>) -> Found {
        let level = changes.first().map(|_| Level { received: 8, reserved: 2, ..Level::default() });
        let (sku, now) = (Sku::new("<b>pen").unwrap(), Time::from_micros(100));
        Found { sku, level, product: None, waiting: Vec::new(), changes, now }
    }

    #[test]
    fn a_history_is_counted_back_from_what_there_is() {
        let given = found(vec![
            change(50, "StockAdjusted", r#"{"delta":-2,"origin":{"by":"<i>ada","note":"broken"}}"#),
            change(20, "ProductDescribed", r#"{"title":"<script>","price_minor":250,"currency":"EUR"}"#),
            change(0, "StockReceived", r#"{"quantity":10}"#),
        ]);
        let shown = history(&given).into_string();
        assert!(shown.contains("from 8 to 10, now 8"), "{shown}");
        assert!(shown.contains("M0 0h0H120V0H300V24H600V24"), "{shown}");
        assert!(shown.contains("product described: &lt;script&gt;, EUR 2.50"), "{shown}");
        assert!(shown.contains("&lt;i&gt;ada") && shown.contains("broken") && !shown.contains("<i>"), "{shown}");
    }

    #[test]
    fn what_nobody_knows_is_said_so() {
        let given = found(Vec::new());
        let shown = [levels(&given), history(&given), waiting(&given)].map(Markup::into_string).concat();
        for words in ["Nobody has described it", "Nothing of it was ever received", "no history", "No order waits"] {
            assert!(shown.contains(words), "{words}: {shown}");
        }
        assert!(!shown.contains("<b>") && shown.contains("sku=%3Cb%3Epen"), "{shown}");
    }

    #[test]
    fn orders_that_wait_lead_to_their_pages() {
        let order = Waiting {
            order_id: "a/<b>".to_owned(),
            stage: "ready_to_ship".to_owned(),
            customer_id: "c".to_owned(),
            accepted_at: Time::from_micros(0),
        };
        let shown = waiting(&Found { waiting: vec![order], ..found(Vec::new()) }).into_string();
        assert!(shown.contains("href=\"/console/orders/a%2F%3Cb%3E\">a/&lt;b&gt;</a>"), "{shown}");
        assert!(shown.contains("ready to ship"));
    }
}
