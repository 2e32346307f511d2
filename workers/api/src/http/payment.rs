//! An order's money.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::Shared;
use super::answer::fresh;
use super::orders::AfterQuery;
use super::problem::{Kind, Problem};
use super::request::{Asked, OrderOf};
use super::shapes::PaymentShape;

/// What was authorized, taken and given back.
#[utoipa::path(get, path = "/v1/orders/{id}/payment", tag = "orders",
    params(("id" = String, Path), AfterQuery, ("If-None-Match" = Option<String>, Header)),
    responses(
        (status = 200, description = "The payment", body = PaymentShape),
    ))]
pub(super) async fn one(
    State(door): Shared,
    headers: HeaderMap,
    OrderOf(id): OrderOf,
    Asked(after): Asked<AfterQuery>,
) -> Result<Response, Problem> {
    door.be_after(&after, id.as_str()).await?;
    match door.reads.payment(&id).await? {
        Some(payment) => fresh(&headers, &PaymentShape::of(&payment), None),
        None => Err(Problem::new(Kind::NotFound, format!("there is no payment of order {id}, or not yet"))),
    }
}
