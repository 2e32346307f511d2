//! Orders, looked at and listed.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use domain::saga::{Order, Stage};
use schemas::{CustomerId, OrderId, Sku, Time};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::answer::fresh;
use super::lists::{self, Pages};
use super::problem::{Kind, Problem};
use super::request::{Asked, OrderOf, time};
use super::shapes::OrderShape;
use super::{Door, Shared};
use crate::keys::hex;
use crate::position::Position;
use crate::view::Filter;

/// How long `?after=` waits for the read model.
const AFTER_LIMIT: Duration = Duration::from_secs(5);

const PAGE: i64 = 50;
/// The most that one page has.
pub(super) const LONGEST_PAGE: i64 = 200;

/// What a read waits for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AfterQuery {
    /// A position of an earlier answer (`Order-Position`): what is read is no older. At most 5 seconds.
    pub(super) after: Option<String>,
}

impl Door {
    /// Waits until the read model is as far as the caller has seen already.
    pub(super) async fn be_after(&self, asked: &AfterQuery, key: &str) -> Result<(), Problem> {
        let Some(text) = &asked.after else { return Ok(()) };
        let position: Position = text.parse().map_err(|error| Problem::bad(format!("after: {error}")))?;
        if self.reads.reaches(&position, key, AFTER_LIMIT).await? {
            return Ok(());
        }
        let behind = self.lag.view().map_or(String::new(), |events| format!("; it is {events} events behind"));
        let words = format!("the read model has not come to {text} within 5 s{behind}. Ask again, or without after");
        Err(Problem::new(Kind::Unavailable, words).retry_after(1))
    }
}

/// An order as it stands.
#[utoipa::path(get, path = "/v1/orders/{id}", tag = "orders",
    params(("id" = String, Path), AfterQuery, ("If-None-Match" = Option<String>, Header)),
    responses(
        (status = 200, description = "The order", body = OrderShape),
    ))]
pub(super) async fn one(
    State(door): Shared,
    headers: HeaderMap,
    OrderOf(id): OrderOf,
    Asked(after): Asked<AfterQuery>,
) -> Result<Response, Problem> {
    door.be_after(&after, id.as_str()).await?;
    match door.reads.order(&id).await? {
        Some(found) => fresh(&headers, &OrderShape::of(&found.what), found.position.as_ref()),
        None => Err(no_order(&door, &id).await?),
    }
}

/// Why there is no such order: it was refused, or nobody knows of it.
pub(super) async fn no_order(door: &Door, id: &OrderId) -> Result<Problem, Problem> {
    Ok(match door.reads.last_refusal(id).await? {
        Some(said) => {
            let refused = Problem::refused(&serde_json::from_str(&said.body).unwrap_or_default());
            let words = format!("there is no order {id}: {}", refused.detail);
            Problem { reasons: refused.reasons, ..Problem::new(Kind::NotFound, words) }
        }
        None => Problem::new(
            Kind::NotFound,
            format!("there is no order {id}; give ?after= with the position that POST gave"),
        ),
    })
}

/// Which orders, and how many.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Of this customer.
    customer: Option<String>,
    /// In this state.
    state: Option<String>,
    /// With this SKU.
    sku: Option<String>,
    /// Accepted at this time (RFC 3339) or later.
    from: Option<String>,
    /// Accepted before this time (RFC 3339).
    before: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// At most so many, 1 to 200; 50 without it.
    limit: Option<i64>,
}

/// A page of orders, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OrderPage {
    /// The orders.
    orders: Vec<OrderShape>,
    /// The cursor of the next page; none on the last one.
    next: Option<String>,
}

/// Orders, the newest first: a page at a time, or, as `application/x-ndjson`, all of them, a line each.
#[utoipa::path(get, path = "/v1/orders", tag = "orders",
    params(ListQuery, ("If-None-Match" = Option<String>, Header), ("Accept" = Option<String>, Header)),
    responses(
        (status = 200, description = "A page; or every order as a line",
            content((OrderPage = "application/json"), (String = "application/x-ndjson"))),
    ))]
pub(super) async fn list(
    State(door): Shared,
    headers: HeaderMap,
    Asked(asked): Asked<ListQuery>,
) -> Result<Response, Problem> {
    if let Some(state) = asked.state.as_deref().filter(|state| !Stage::names().any(|stage| stage == *state)) {
        let known: Vec<&str> = Stage::names().collect();
        return Err(Problem::bad(format!("state: {state} is none; there are {}", known.join(", "))));
    }
    let filter = Filter {
        customer: asked.customer.map(CustomerId::new).transpose()?.map(String::from),
        stage: asked.state,
        sku: asked.sku.map(Sku::new).transpose()?.map(String::from),
        from: asked.from.as_deref().map(|text| time("from", text)).transpose()?,
        before: asked.before.as_deref().map(|text| time("before", text)).transpose()?,
        behind: asked.cursor.as_deref().map(behind).transpose()?,
    };
    if lists::are_asked_for(&headers) {
        all_or_none(asked.limit)?;
        return lists::answer(&door.clone(), OrderPages { door, filter }).await;
    }
    let limit = page(asked.limit)?;
    let mut found = door.reads.orders(&filter, limit + 1).await?;
    let next = last_before_next(&mut found, limit).map(|last| cursor(&last.what));
    let orders = found.iter().map(|found| OrderShape::of(&found.what)).collect();
    fresh(&headers, &OrderPage { orders, next }, None)
}

/// Orders that are read to the last one.
struct OrderPages {
    door: Arc<Door>,
    filter: Filter,
}

impl Pages for OrderPages {
    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        let found = self.door.reads.orders(&self.filter, lists::PAGE).await?;
        if let Some(last) = found.last() {
            self.filter.behind = Some((last.what.accepted_at, last.what.order_id.to_string()));
        }
        lists::lines(found.iter().map(|found| OrderShape::of(&found.what)))
    }
}

/// A list that is read to its end has no limit.
pub(super) fn all_or_none(limit: Option<i64>) -> Result<(), Problem> {
    match limit {
        None => Ok(()),
        Some(_) => Err(Problem::bad("limit: application/x-ndjson gives all rows; leave when you have enough")),
    }
}

/// How many, where so many are asked for.
pub(super) fn page(asked: Option<i64>) -> Result<i64, Problem> {
    let limit = asked.unwrap_or(PAGE);
    match (1..=LONGEST_PAGE).contains(&limit) {
        true => Ok(limit),
        false => Err(Problem::bad(format!("limit: 1 to {LONGEST_PAGE}"))),
    }
}

/// Of so many and one more: that one is taken off, and the page's last is given, behind which the next page begins.
pub(crate) fn last_before_next<T>(found: &mut Vec<T>, limit: i64) -> Option<&T> {
    let has_more = i64::try_from(found.len()).unwrap_or(i64::MAX) > limit;
    if has_more {
        found.pop();
    }
    found.last().filter(|_| has_more)
}

/// Where a list goes on behind this order.
pub(crate) fn cursor(order: &Order) -> String {
    hex(format!("{} {}", order.accepted_at.as_micros(), order.order_id).as_bytes())
}

/// The place that a cursor says.
pub(crate) fn behind(cursor: &str) -> Result<(Time, String), Problem> {
    let read = || {
        let bytes: Option<Vec<u8>> =
            (0..cursor.len()).step_by(2).map(|at| u8::from_str_radix(cursor.get(at..at + 2)?, 16).ok()).collect();
        let text = String::from_utf8(bytes?).ok()?;
        let (micros, id) = text.split_once(' ')?;
        Some((Time::try_from(micros.parse::<i64>().ok()?).ok()?, OrderId::new(id).ok()?.to_string()))
    };
    read().ok_or_else(|| Problem::bad("cursor: give the next of the page before, unchanged"))
}
