//! Goods that come back: they are expected, and received.
//!
//! Who receives a return gives money back with it, so it is for those who may refund (`orders:write`), not for everybody who may
//! count stock: what gets on the shelf is bounded by what the order had shipped.

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use schemas::{OrderCommand, ReceiveReturn, RequestReturn, ReturnedLine};
use serde::Deserialize;
use utoipa::ToSchema;

use super::Shared;
use super::acts::{act, carry_out, pieces};
use super::answer::Accepted;
use super::problem::Problem;
use super::request::{Body, OrderOf, ReturnOf, command_id};
use super::shapes::{OrderShape, PiecesShape};
use crate::keys::Caller;

/// What is to come back.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReturnBody {
    /// Which lines; everything that is still out, where it is left out.
    #[serde(default)]
    lines: Vec<PiecesShape>,
    /// Why, as a code of yours.
    reason_code: Option<String>,
    /// In words.
    note: Option<String>,
}

/// What has come, and what becomes of it.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReturnReceiptBody {
    /// Pieces of lines; those of one line may be divided.
    lines: Vec<ReturnedBody>,
    /// How much is given back, in minor units; what the lines cost, where it is left out.
    #[schema(example = 250)]
    refund_minor: Option<i64>,
    /// In words.
    note: Option<String>,
}

/// Pieces of a line that have come.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReturnedBody {
    /// Which line of the order, from 1.
    #[schema(example = 1)]
    line: i32,
    /// How many pieces.
    #[schema(example = 1)]
    quantity: i64,
    /// What becomes of them.
    disposition: Disposition,
}

/// What becomes of goods that have come back.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Disposition {
    /// They are sold again.
    Restock,
    /// They are not.
    WriteOff,
}

impl Disposition {
    const fn as_str(self) -> &'static str {
        match self {
            Disposition::Restock => "restock",
            Disposition::WriteOff => "write_off",
        }
    }
}

act!(
    /// Expect goods of a completed order back.
    request at "/v1/orders/{id}/returns" takes ReturnBody as body
    makes |order_id, command_id, by| {
        let ReturnBody { lines, reason_code, note } = body;
        let lines = pieces(lines);
        RequestReturn { order_id: order_id.clone(), command_id: command_id.clone(), lines, reason_code, by, note }
    }
);

/// Goods of a return have come: the stock is corrected, then the money given back.
#[utoipa::path(post, path = "/v1/orders/{id}/returns/{return_id}/receipt", tag = "orders", request_body = ReturnReceiptBody,
    params(
        ("id" = String, Path),
        ("return_id" = String, Path, description = "The Idempotency-Key with which the return was asked for"),
        ("Idempotency-Key" = String, Header, description = "Yours, new for each receipt: the command's id"),
        ("Prefer" = Option<String>, Header, description = "wait=SECONDS, at most 30: answer with what came of it"),
    ),
    responses(
        (status = 200, description = "It was taken: the order as it stands", body = OrderShape),
        (status = 202, description = "It is on its way; Location says where to look", body = Accepted),
    ))]
pub(super) async fn receive(
    State(door): Shared,
    Extension(caller): Extension<Caller>,
    ReturnOf(order_id, return_id): ReturnOf,
    headers: HeaderMap,
    Body(body): Body<ReturnReceiptBody>,
) -> Result<Response, Problem> {
    let ReturnReceiptBody { lines, refund_minor, note } = body;
    let line = |line: ReturnedBody| {
        let ReturnedBody { line, quantity, disposition } = line;
        ReturnedLine { line, quantity, disposition: disposition.as_str().to_owned() }
    };
    let (lines, by) = (lines.into_iter().map(line).collect(), Some(caller.name().to_owned()));
    let (id, command_id) = (order_id.clone(), command_id(&headers)?);
    let command = ReceiveReturn { order_id, command_id: command_id.clone(), return_id, lines, refund_minor, by, note };
    carry_out(&door, &headers, id, command_id, command.into()).await
}
