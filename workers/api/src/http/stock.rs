//! Stock: what there is, and what comes in or is corrected.
//!
//! Each is one command, with who asks, and inventory decides. What is said of a SKU (`products`) goes the same way.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use schemas::{AdjustStock, ReceiveStock, Sku, StockCommand, TopicName};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};

use super::answer::{Accepted, escaped, fresh, preferred};
use super::awaited::Awaited;
use super::lists::{self, Pages};
use super::orders::{AfterQuery, all_or_none, last_before_next, page};
use super::problem::{Kind, Problem};
use super::request::{Asked, Body, SkuOf, command_id, deadline};
use super::shapes::StockShape;
use super::{Door, Shared};
use crate::keys::Caller;
use crate::position::Position;

/// Goods that have arrived.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReceiptBody {
    /// Of what.
    #[schema(example = "pen")]
    sku: String,
    /// How many pieces.
    #[schema(example = 100)]
    quantity: i64,
    /// Why, in words.
    note: Option<String>,
}

/// A correction of what the books say.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = StockAdjustmentBody)]
pub(super) struct AdjustmentBody {
    /// Of what.
    #[schema(example = "pen")]
    sku: String,
    /// Pieces more, or fewer.
    #[schema(example = -1)]
    delta: i64,
    /// Why, in words.
    note: Option<String>,
}

/// Which SKUs, and how many.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct StockQuery {
    /// `next` of the page before.
    cursor: Option<String>,
    /// At most so many, 1 to 200; 50 without it.
    limit: Option<i64>,
}

/// A page of levels, ascending by SKU.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StockPage {
    /// The levels.
    stock: Vec<StockShape>,
    /// The cursor of the next page; none on the last one.
    next: Option<String>,
}

/// All levels: a page at a time, or, as `application/x-ndjson`, a line each.
#[utoipa::path(get, path = "/v1/stock", tag = "stock",
    params(StockQuery, ("If-None-Match" = Option<String>, Header), ("Accept" = Option<String>, Header)),
    responses(
        (status = 200, description = "A page; or every level as a line",
            content((StockPage = "application/json"), (String = "application/x-ndjson"))),
    ))]
pub(super) async fn list(
    State(door): Shared,
    headers: HeaderMap,
    Asked(asked): Asked<StockQuery>,
) -> Result<Response, Problem> {
    let behind = asked.cursor.map(Sku::new).transpose()?;
    if lists::are_asked_for(&headers) {
        all_or_none(asked.limit)?;
        return lists::answer(&door.clone(), StockPages { door, behind: behind.map(String::from).unwrap_or_default() })
            .await;
    }
    let limit = page(asked.limit)?;
    let mut found = door.reads.levels(behind.as_ref().map(Sku::as_str).unwrap_or_default(), limit + 1).await?;
    let next = last_before_next(&mut found, limit).map(|last| last.what.0.to_string());
    let stock = found.iter().map(|found| StockShape::of(&found.what.0, &found.what.1)).collect();
    fresh(&headers, &StockPage { stock, next }, None)
}

/// Levels that are read to the last one.
struct StockPages {
    door: Arc<Door>,
    behind: String,
}

impl Pages for StockPages {
    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        let found = self.door.reads.levels(&self.behind, lists::PAGE).await?;
        if let Some(last) = found.last() {
            self.behind = last.what.0.to_string();
        }
        lists::lines(found.iter().map(|found| StockShape::of(&found.what.0, &found.what.1)))
    }
}

/// The level of a SKU.
#[utoipa::path(get, path = "/v1/stock/{sku}", tag = "stock",
    params(("sku" = String, Path), AfterQuery, ("If-None-Match" = Option<String>, Header)),
    responses(
        (status = 200, description = "The level", body = StockShape),
    ))]
pub(super) async fn one(
    State(door): Shared,
    headers: HeaderMap,
    SkuOf(sku): SkuOf,
    Asked(after): Asked<AfterQuery>,
) -> Result<Response, Problem> {
    door.be_after(&after, sku.as_str()).await?;
    match door.reads.level(&sku).await? {
        Some(found) => fresh(&headers, &StockShape::of(&found.what.0, &found.what.1), found.position.as_ref()),
        None => Err(Problem::new(Kind::NotFound, format!("nothing of {sku} was ever received"))),
    }
}

/// Goods have arrived.
#[utoipa::path(post, path = "/v1/stock/receipts", tag = "stock", request_body = ReceiptBody,
    params(
        ("Idempotency-Key" = String, Header, description = "Yours, new for each receipt: the command's id"),
        ("Prefer" = Option<String>, Header, description = "wait=SECONDS, at most 30: answer with what came of it"),
    ),
    responses(
        (status = 200, description = "It was booked: the level", body = StockShape),
        (status = 202, description = "It is on its way; Location says where to look", body = Accepted),
    ))]
pub(super) async fn receive(
    State(door): Shared,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Body(body): Body<ReceiptBody>,
) -> Result<Response, Problem> {
    let ReceiptBody { sku, quantity, note } = body;
    let (sku, command_id, by) = (Sku::new(sku)?, command_id(&headers)?, Some(caller.name().to_owned()));
    book(&door, &headers, ReceiveStock { sku, command_id, quantity, by, note }.into()).await
}

/// The books are corrected.
#[utoipa::path(post, path = "/v1/stock/adjustments", tag = "stock", request_body = AdjustmentBody,
    params(
        ("Idempotency-Key" = String, Header, description = "Yours, new for each adjustment: the command's id"),
        ("Prefer" = Option<String>, Header, description = "wait=SECONDS, at most 30: answer with what came of it"),
    ),
    responses(
        (status = 200, description = "It was booked: the level", body = StockShape),
        (status = 202, description = "It is on its way; Location says where to look", body = Accepted),
    ))]
pub(super) async fn adjust(
    State(door): Shared,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Body(body): Body<AdjustmentBody>,
) -> Result<Response, Problem> {
    let AdjustmentBody { sku, delta, note } = body;
    let (sku, command_id, by) = (Sku::new(sku)?, command_id(&headers)?, Some(caller.name().to_owned()));
    book(&door, &headers, AdjustStock { sku, command_id, delta, by, note }.into()).await
}

/// The level that comes of a command, or where it will be.
async fn book(door: &Door, headers: &HeaderMap, command: StockCommand) -> Result<Response, Problem> {
    let (sku, command_id) = (command.key().clone(), command.command_id().clone());
    let supplied = door.supply(command, deadline(headers), headers).await?;
    if supplied.is_booked
        && let Some(found) = door.reads.level(&sku).await?
    {
        let level = StockShape::of(&found.what.0, &found.what.1);
        return fresh(&HeaderMap::new(), &level, found.position.as_ref()).map(preferred);
    }
    let path = format!("/v1/stock/{}", escaped(sku.as_str()));
    Ok(Accepted::command(None, &command_id, &supplied.position).answer(&path))
}

/// What a stock command has come to.
pub(crate) struct Supplied {
    /// Where the command lies.
    pub(crate) position: Position,
    /// It was carried out, and the read model has it.
    pub(crate) is_booked: bool,
}

impl Door {
    /// Publishes it, and waits for its answer until then. A repeated one gets its first answer again; a refusal is the problem.
    pub(crate) async fn supply(
        &self,
        command: StockCommand,
        until: Option<Instant>,
        headers: &HeaderMap,
    ) -> Result<Supplied, Problem> {
        let awaited = Awaited::until(until, self, TopicName::StockEvents, command.key().as_str());
        let position = self.publish(command.into(), headers).await?;
        let is_booked = match awaited {
            Some(awaited) => awaited.carried_out(self, &position).await?,
            None => false,
        };
        Ok(Supplied { position, is_booked })
    }
}
