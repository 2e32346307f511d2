//! Where the customer of an order goes who has to act before anything is held. Asked of the payment service, and kept nowhere.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use schemas::OrderId;
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use super::problem::{Kind, Problem};
use super::request::OrderOf;
use crate::payment_actions::Refusal;

/// Where the customer goes, and for how long.
#[derive(Serialize, ToSchema)]
pub(super) struct ActionShape {
    /// For the customer alone: who has it can act for the customer.
    #[schema(example = "https://hooks.example.com/3d_secure/authenticate/a")]
    url: String,
    /// Until then the customer acts.
    until: String,
}

/// Where the customer goes who has to confirm the payment (3-D Secure). 409: there is nothing to do; 410: the time is over.
#[utoipa::path(get, path = "/v1/orders/{id}/payment/action", tag = "orders",
    params(("id" = String, Path)),
    responses(
        (status = 200, description = "The address, for the customer alone; ask again for a fresh one", body = ActionShape),
    ))]
pub(super) async fn one(State(door): Shared, OrderOf(id): OrderOf) -> Result<Response, Problem> {
    let actions = door.actions.as_ref().ok_or_else(|| {
        let words = "this door does not know the payment service: whoever runs it gives --payment-actions";
        Problem::new(Kind::NotConfigured, words)
    })?;
    let directions = actions.of_order(&id).await.map_err(|refusal| problem(&id, refusal))?;
    let shape = ActionShape { url: directions.url.expose().to_owned(), until: directions.until };
    let mut response = Json(shape).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn problem(id: &OrderId, refusal: Refusal) -> Problem {
    match refusal {
        Refusal::NoPayment => Problem::new(Kind::NotFound, format!("there is no payment of order {id}, or not yet")),
        Refusal::Nothing(why) => Problem::new(Kind::NothingToDo, why),
        Refusal::Late(why) => Problem::new(Kind::TooLate, why),
        Refusal::Unavailable(seconds) => {
            let words = "the payment service or its provider does not say where the customer goes; ask again";
            Problem::new(Kind::Unavailable, words).retry_after(seconds)
        }
    }
}
