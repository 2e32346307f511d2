//! Where a customer goes to act: `GET /payments/{order_id}/action`, on the address of the webhooks, for who knows a secret.
//!
//! The provider is asked each time, and its address goes to who asks and nowhere else: into no table, topic or log. Any instance
//! answers, whoever owns the order. The secrets are read for every request, so they are exchanged without a restart.
//!
//! Deliberately absent: roles. Who asks is the API, which knows who may.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use consumer::Database;
use domain::charge::Payment;
use domain::provider::{ActionUrl, Directions, Operation, Provider, ProviderRequest};
use openssl::memcmp;
use schemas::{OrderId, Time};
use serde_json::{Value, json};

use super::{OpenCall, store};

/// After this the provider has given no answer.
const PROVIDER_LIMIT: Duration = Duration::from_secs(10);

/// When to ask again, where the provider does not say, in seconds.
const RETRY_AFTER_S: u32 = 5;

/// What the route needs.
pub(super) struct Actions {
    /// The payment service's.
    pub(super) database: Database,
    /// Who knows where customers go.
    pub(super) provider: Arc<dyn Provider>,
    /// A secret a line.
    pub(super) secrets: PathBuf,
}

/// The route.
pub(super) fn router(actions: Actions) -> Router {
    Router::new().route("/payments/{order_id}/action", get(tell)).with_state(Arc::new(actions))
}

/// Why there is no address.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Refusal {
    /// Whoever asks knows no secret.
    Stranger,
    /// There is no such payment, or not yet.
    NoPayment,
    /// The customer has nothing to do: the payment's state, and why.
    Nothing(&'static str, String),
    /// The customer's time is over.
    Late(Time),
    /// It is not known now: why, and after how many seconds to ask again.
    Unavailable(String, u32),
}

async fn tell(State(actions): State<Arc<Actions>>, Path(order_id): Path<String>, headers: HeaderMap) -> Response {
    let mut response = match find(&actions, &order_id, &headers).await {
        Ok((url, until)) => Json(json!({ "url": url.expose(), "until": until.to_string() })).into_response(),
        Err(refusal) => refusal.into_response(),
    };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn find(actions: &Actions, order_id: &str, headers: &HeaderMap) -> Result<(ActionUrl, Time), Refusal> {
    admit(actions, headers).await?;
    let order_id = OrderId::new(order_id).map_err(|_| Refusal::NoPayment)?;
    let (payment, open) = store::load_one(&actions.database, &order_id).await.map_err(|failure| {
        tracing::warn!(%order_id, %failure, "a payment cannot be read");
        unavailable("the payment cannot be read now")
    })?;
    let (request, until) = wanted(payment.as_ref(), open.as_ref(), Time::from(crate::clock::now()))?;
    let asked = tokio::time::timeout(PROVIDER_LIMIT, actions.provider.directions(&request)).await;
    let directions = asked.map_err(|_| unavailable("the provider gives no answer"))?;
    Ok((there(&order_id, directions)?, until))
}

/// What the provider is asked, and until when the customer has time.
fn wanted(payment: Option<&Payment>, open: Option<&OpenCall>, now: Time) -> Result<(ProviderRequest, Time), Refusal> {
    let payment = payment.ok_or(Refusal::NoPayment)?;
    let state = payment.status().as_str();
    let nothing = |why: &str| Refusal::Nothing(state, why.to_owned());
    let (Some(action), Some(request)) = (payment.awaited_action(), payment.action_request()) else {
        return Err(nothing("the payment does not wait for its customer"));
    };
    if now >= action.until {
        return Err(Refusal::Late(action.until));
    }
    let is_being_undone =
        |open: &OpenCall| open.call.operation == Operation::Void || open.call.queued == Some(Operation::Void);
    match open.is_some_and(is_being_undone) {
        true => Err(nothing("the payment is being undone")),
        false => Ok((request, action.until)),
    }
}

fn there(order_id: &OrderId, directions: Directions) -> Result<ActionUrl, Refusal> {
    let state = domain::charge::PaymentStatus::ActionRequired.as_str();
    match directions {
        Directions::Url(url) => Ok(url),
        Directions::NoActionNeeded => {
            Err(Refusal::Nothing(state, "the provider does not wait for the customer any more".into()))
        }
        Directions::Refused { detail } => Err(Refusal::Nothing(state, detail)),
        Directions::Unavailable { detail, after_ms } => {
            tracing::warn!(%order_id, reason = detail, "the provider does not say where a customer goes");
            let seconds = after_ms.and_then(|ms| u32::try_from(ms.saturating_add(999) / 1_000).ok());
            Err(Refusal::Unavailable("the provider gives no answer".into(), seconds.unwrap_or(RETRY_AFTER_S).max(1)))
        }
    }
}

/// Lets in who gives one of the secrets as a bearer.
async fn admit(actions: &Actions, headers: &HeaderMap) -> Result<(), Refusal> {
    let path = actions.secrets.clone();
    let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(path)).await;
    let secrets = read.ok().and_then(Result::ok).ok_or_else(|| {
        tracing::warn!("the file of --action-secret-file cannot be read: nobody is told where customers go");
        unavailable("the secret cannot be read now")
    })?;
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    if knows(given, &secrets) { Ok(()) } else { Err(Refusal::Stranger) }
}

/// Whether it is one of the secrets, in a time that does not depend on where they differ.
fn knows(given: &str, secrets: &str) -> bool {
    let mut secrets = secrets.lines().map(str::trim).filter(|line| !line.is_empty());
    secrets.any(|secret| secret.len() == given.len() && memcmp::eq(secret.as_bytes(), given.as_bytes()))
}

fn unavailable(why: &str) -> Refusal {
    Refusal::Unavailable(why.to_owned(), RETRY_AFTER_S)
}

impl Refusal {
    fn said(&self) -> (StatusCode, Value) {
        match self {
            Refusal::Stranger => (StatusCode::UNAUTHORIZED, json!({ "detail": "this is not the secret" })),
            Refusal::NoPayment => (StatusCode::NOT_FOUND, json!({ "detail": "there is no such payment, or not yet" })),
            Refusal::Nothing(state, why) => (StatusCode::CONFLICT, json!({ "state": state, "detail": why })),
            Refusal::Late(until) => {
                (StatusCode::GONE, json!({ "detail": format!("the customer had time until {until}") }))
            }
            Refusal::Unavailable(why, _) => (StatusCode::SERVICE_UNAVAILABLE, json!({ "detail": why })),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, body) = self.said();
        let mut response = (status, Json(body)).into_response();
        match self {
            Refusal::Stranger => {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Refusal::Unavailable(_, seconds) => {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            Refusal::NoPayment | Refusal::Nothing(..) | Refusal::Late(_) => {}
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use consumer::Cause;
    use domain::charge::{self, Call, CallChange, Input};
    use schemas::{CustomerId, PaymentActionRequired, PaymentCommand, VoidPayment};

    use super::*;

    #[test]
    fn whoever_knows_one_of_the_secrets_is_let_in() {
        let secrets = "new-secret\n\n old-secret \n";
        assert!(knows("new-secret", secrets) && knows("old-secret", secrets));
        for wrong in ["", "new-secre", "new-secret2", "new-secrex", "new-secret\n", " old-secret "] {
            assert!(!knows(wrong, secrets), "{wrong:?}");
        }
        assert!(!knows("", "\n \n"), "an empty file lets nobody in");
    }

    fn waiting(until: Time) -> Payment {
        let event = PaymentActionRequired {
            order_id: OrderId::new("o").unwrap(),
            version: 1,
            at: Time::from_micros(0),
            customer_id: CustomerId::new("c").unwrap(),
            currency: "EUR".into(),
            amount_minor: 250,
            provider_reference: "pi_1".into(),
            payment_provider: None,
            until,
        };
        charge::evolve(None, &event.into()).unwrap().payment.unwrap()
    }

    /// The call that undoes what waits.
    fn undoing(payment: &Payment) -> Call {
        let void = PaymentCommand::from(VoidPayment { order_id: payment.order_id.clone() });
        let (input, policy) = (Input::Command(&void), charge::Policy::default());
        let decided = charge::decide(Some(payment), None, input, Time::from_micros(0), &policy);
        let CallChange::Set(call) = decided.call else { panic!("{:?}", decided.call) };
        *call
    }

    #[test]
    fn a_customer_has_time_until_it_is_over_or_the_payment_is_undone() {
        let until = Time::from_micros(5_000_000);
        let payment = waiting(until);
        let request = payment.action_request().unwrap();
        assert_eq!(request.authorization.as_deref(), Some("pi_1"));
        let before = Time::from_micros(4_999_999);
        assert_eq!(wanted(Some(&payment), None, before), Ok((request, until)));
        assert_eq!(wanted(Some(&payment), None, until), Err(Refusal::Late(until)));
        assert_eq!(wanted(None, None, before), Err(Refusal::NoPayment));
        let void = undoing(&payment);
        let look = Call { operation: Operation::Authorize, queued: None, ..void.clone() };
        let open = |call: Call| OpenCall { call, cause: Cause::default() };
        assert!(wanted(Some(&payment), Some(&open(look.clone())), before).is_ok(), "it is looked at");
        let undone = [void, Call { queued: Some(Operation::Void), ..look }];
        for call in undone {
            let said = wanted(Some(&payment), Some(&open(call)), before);
            assert!(matches!(said, Err(Refusal::Nothing("action_required", _))), "{said:?}");
        }
    }

    #[test]
    fn a_provider_that_asks_to_wait_is_asked_again_then() {
        let order_id = OrderId::new("o").unwrap();
        let after = |after_ms| match there(&order_id, Directions::Unavailable { detail: "busy".into(), after_ms }) {
            Err(Refusal::Unavailable(_, seconds)) => seconds,
            other => panic!("{other:?}"),
        };
        assert_eq!([after(None), after(Some(0)), after(Some(1_001))], [RETRY_AFTER_S, 1, 2]);
    }
}
