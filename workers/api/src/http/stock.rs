//! Stock: what there is, and what comes in or is corrected.
//!
//! Stock commands have no room for who asks; it is logged here.

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use client::body_json;
use schemas::{AdjustStock, CommandId, Message, ReceiveStock, Sku, StockCommand, StockEvent, TopicName};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};

use super::answer::{Accepted, escaped, fresh, put};
use super::orders::{AfterQuery, last_before_next, page};
use super::problem::{Kind, Problem};
use super::request::{Asked, Body, SkuOf, command_id, deadline};
use super::shapes::StockShape;
use super::{Door, Shared};
use crate::keys::Caller;
use crate::position::Position;
use crate::tail::Listening;

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

/// All levels, a page at a time.
#[utoipa::path(get, path = "/v1/stock", tag = "stock", params(StockQuery, ("If-None-Match" = Option<String>, Header)),
    responses(
        (status = 200, description = "A page", body = StockPage),
        (status = 304, description = "As the ETag says"),
        (status = "4XX", description = "A problem", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Ask again", body = Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn list(
    State(door): Shared,
    headers: HeaderMap,
    Asked(asked): Asked<StockQuery>,
) -> Result<Response, Problem> {
    let limit = page(asked.limit)?;
    let behind = asked.cursor.map(sku_of).transpose()?;
    let mut found = door.reads.levels(behind.as_ref().map(Sku::as_str).unwrap_or_default(), limit + 1).await?;
    let next = last_before_next(&mut found, limit).map(|last| last.what.0.to_string());
    let stock = found.iter().map(|found| StockShape::of(&found.what.0, &found.what.1)).collect();
    fresh(&headers, &StockPage { stock, next }, None)
}

/// The level of a SKU.
#[utoipa::path(get, path = "/v1/stock/{sku}", tag = "stock",
    params(("sku" = String, Path), AfterQuery, ("If-None-Match" = Option<String>, Header)),
    responses(
        (status = 200, description = "The level", body = StockShape),
        (status = 304, description = "As the ETag says"),
        (status = "4XX", description = "A problem", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Ask again", body = Problem, content_type = "application/problem+json"),
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
        (status = "4XX", description = "A problem", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Send the same again", body = Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn receive(
    State(door): Shared,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Body(body): Body<ReceiptBody>,
) -> Result<Response, Problem> {
    let (sku, command_id) = (sku_of(body.sku)?, command_id(&headers)?);
    let command = ReceiveStock { sku: sku.clone(), command_id: command_id.clone(), quantity: body.quantity };
    supply(&door, &caller, &headers, (sku, command_id), command.into()).await
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
        (status = "4XX", description = "A problem", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Send the same again", body = Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn adjust(
    State(door): Shared,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Body(body): Body<AdjustmentBody>,
) -> Result<Response, Problem> {
    let (sku, command_id) = (sku_of(body.sku)?, command_id(&headers)?);
    let command = AdjustStock { sku: sku.clone(), command_id: command_id.clone(), delta: body.delta };
    supply(&door, &caller, &headers, (sku, command_id), command.into()).await
}

fn sku_of(text: String) -> Result<Sku, Problem> {
    Sku::new(text).map_err(|error| Problem::bad(error.to_string()))
}

/// Publishes it, and waits for its answer where that is preferred. A repeated one gets its first answer again.
async fn supply(
    door: &Door,
    caller: &Caller,
    headers: &HeaderMap,
    (sku, command_id): (Sku, CommandId),
    command: StockCommand,
) -> Result<Response, Problem> {
    let until = deadline(headers);
    let listening = until.map(|_| door.tail.listen(TopicName::StockEvents, sku.as_str()));
    let position = door.publish(command.into(), headers).await?;
    tracing::info!(by = caller.name(), %sku, %command_id, position = %position, "stock command published");
    if let (Some(until), Some(listening)) = (until, listening)
        && is_booked(door, &sku, &position, listening, until).await?
        && let Some(found) = door.reads.level(&sku).await?
    {
        let level = StockShape::of(&found.what.0, &found.what.1);
        let mut response = fresh(&HeaderMap::new(), &level, found.position.as_ref())?;
        put(&mut response, "preference-applied", "wait");
        return Ok(response);
    }
    let path = format!("/v1/stock/{}", escaped(sku.as_str()));
    Ok(Accepted::command(None, &command_id, &position).answer(&path))
}

/// Whether the command was carried out, and the read model has it; not, where the time is up.
async fn is_booked(
    door: &Door,
    sku: &Sku,
    command: &Position,
    mut listening: Listening,
    until: Instant,
) -> Result<bool, Problem> {
    loop {
        let Ok(came) = tokio::time::timeout_at(until, listening.next()).await else { return Ok(false) };
        match came {
            Some(record) if record.cause != command.command => continue,
            Some(record) => {
                if matches!(record.message, Message::StockEvent(StockEvent::StockCommandRejected(_))) {
                    return Err(Problem::refused(&body_json(&record.message)));
                }
            }
            // Something may have been missed: the read model has it, now or soon.
            None => {}
        }
        let left = until.saturating_duration_since(Instant::now());
        return Ok(door.reads.reaches(command, sku.as_str(), left).await?);
    }
}
