//! Webhooks of a provider whose signatures look like Stripe's: `POST /webhooks/stripe` on an address of its own.
//!
//! What comes in is looked at for two things: whether it is signed by somebody who knows one of the secrets, lately; and which
//! order it is about. Then a row and a notification say that this order's payment is to be looked at (`looks`). Loss, repetition and
//! order of webhooks do not matter, and neither does which instance is called. The secrets are read for every request, so they are
//! exchanged without a restart. Who knows another secret is told on the same address where customers go (`actions`).
//!
//! Deliberately absent: types of events. Whatever it says has happened, the provider is asked.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use consumer::Database;
use domain::provider::Provider;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::memcmp;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use schemas::{OrderId, Time};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::actions::{self, Actions};
use super::options::ProviderOptions;
use super::{believed, store};
use crate::signals::stopped;
use crate::{metrics, probes};

/// A body above this is refused.
const MAX_BODY_BYTES: usize = 256 * 1024;

/// How long a body may take to come.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// How far the time of a signature may be from the present.
const TOLERANCE_S: i64 = 300;

/// The most signatures of one request: one for each secret that is being exchanged, and some more.
const MAX_SIGNATURES: usize = 8;

/// What the route needs.
struct Webhooks {
    /// The payment service's.
    database: Database,
    /// A secret a line.
    secrets: PathBuf,
}

/// The routes, where they are wanted; they answer until asked to stop.
///
/// # Errors
/// In words, why it cannot listen.
pub(crate) async fn open(
    options: &ProviderOptions,
    database: Database,
    provider: Arc<dyn Provider>,
    stopping: watch::Receiver<bool>,
) -> Result<Option<JoinHandle<std::io::Result<()>>>, String> {
    let (Some(listen), Some(secrets)) = (options.webhook_listen, options.webhook_secrets_file.clone()) else {
        return Ok(None);
    };
    let bound = probes::bind(listen.0).await;
    let (listener, address) = bound
        .map_err(|error| format!("cannot listen on {}: {error}; set WEBHOOK_LISTEN or --webhook-listen", listen.0))?;
    let secret = options.action_secret_file.clone();
    let actions = secret.map(|secrets| actions::router(Actions { database: database.clone(), provider, secrets }));
    let router = router(Webhooks { database, secrets }).merge(actions.unwrap_or_default());
    tracing::info!(%address, "listening for webhooks");
    Ok(Some(tokio::spawn(serve(listener, router, stopped(stopping)))))
}

fn router(webhooks: Webhooks) -> Router {
    Router::new().route("/webhooks/stripe", post(receive)).with_state(Arc::new(webhooks))
}

/// Answer until asked to stop.
async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, router).with_graceful_shutdown(shutdown).await
}

/// Why a webhook is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Refusal {
    #[error("the body is larger than {MAX_BODY_BYTES} bytes, or did not come in time")]
    Body,
    #[error("the header Stripe-Signature is missing or has no time and no v1")]
    NoSignature,
    #[error("the signature's time is more than {TOLERANCE_S} s from now")]
    Stale,
    #[error("no secret makes this signature")]
    WrongSignature,
    #[error("the body is no JSON")]
    NoJson,
    #[error("it cannot be taken now: {0}")]
    NotNow(String),
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Refusal::Body => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::NoSignature | Refusal::Stale | Refusal::WrongSignature | Refusal::NoJson => {
                StatusCode::BAD_REQUEST
            }
            Refusal::NotNow(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

async fn receive(State(webhooks): State<Arc<Webhooks>>, headers: HeaderMap, body: Body) -> (StatusCode, String) {
    match take(&webhooks, &headers, body).await {
        Ok(outcome) => {
            metrics::webhook(outcome);
            (StatusCode::OK, format!("{outcome}\n"))
        }
        Err(refusal) => {
            let is_ours = matches!(refusal, Refusal::NotNow(_));
            metrics::webhook(if is_ours { "failed" } else { "refused" });
            tracing::warn!(reason = %refusal, "a webhook is not taken");
            (refusal.status(), format!("{refusal}\n"))
        }
    }
}

async fn take(webhooks: &Webhooks, headers: &HeaderMap, body: Body) -> Result<&'static str, Refusal> {
    let body = tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, MAX_BODY_BYTES)).await;
    let body = body.ok().and_then(Result::ok).ok_or(Refusal::Body)?;
    let not_now = |reason: &dyn std::fmt::Display| Refusal::NotNow(reason.to_string());
    let path = webhooks.secrets.clone();
    let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(path)).await;
    let secrets = read.map_err(|error| not_now(&error))?.map_err(|error| not_now(&error))?;
    let secrets = secrets.lines().map(str::trim).filter(|line| !line.is_empty());
    let header = headers.get("stripe-signature").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let now = Time::from(crate::clock::now());
    verify(header, &body, secrets, now.as_micros() / 1_000_000)?;
    let event: Value = serde_json::from_slice(&body).map_err(|_| Refusal::NoJson)?;
    let order_id = match subject(&event) {
        Some(Subject::Order(order_id)) => Some(order_id),
        Some(Subject::Payment(reference)) => {
            store::order_of(&webhooks.database, &reference).await.map_err(|failure| not_now(&failure))?
        }
        None => None,
    };
    // Of something else on the same account, or of a payment that is not recorded yet: then its call is under way.
    let Some(order_id) = order_id else { return Ok("unknown") };
    believed::hear(&order_id, &event);
    store::want_look(&webhooks.database, &order_id, now).await.map_err(|failure| not_now(&failure))?;
    Ok("taken")
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Subject {
    /// The order, as our own metadata say.
    Order(OrderId),
    /// The provider's name for the authorization.
    Payment(String),
}

/// By the object that the event carries: our metadata where it has them, or the payment that it belongs to.
fn subject(event: &Value) -> Option<Subject> {
    let object = event.get("data")?.get("object")?;
    let order_id = object.get("metadata").and_then(|metadata| metadata.get("order_id")).and_then(Value::as_str);
    if let Some(order_id) = order_id.and_then(|text| OrderId::new(text).ok()) {
        return Some(Subject::Order(order_id));
    }
    let is_payment = object.get("object").and_then(Value::as_str) == Some("payment_intent");
    let reference = object.get(if is_payment { "id" } else { "payment_intent" })?.as_str()?;
    Some(Subject::Payment(reference.to_owned()))
}

/// Whether one of the secrets has signed this body, lately: HMAC-SHA256 of the time, a dot and the body.
fn verify<'s>(header: &str, body: &[u8], secrets: impl Iterator<Item = &'s str>, now_s: i64) -> Result<(), Refusal> {
    let parts = || header.split(',').filter_map(|part| part.trim().split_once('='));
    let time = parts().find(|(name, _)| *name == "t").map(|(_, time)| time).ok_or(Refusal::NoSignature)?;
    let signed_s: i64 = time.parse().map_err(|_| Refusal::NoSignature)?;
    let given: Vec<Vec<u8>> =
        parts().filter(|(name, _)| *name == "v1").take(MAX_SIGNATURES).filter_map(|(_, hex)| bytes(hex)).collect();
    if given.is_empty() {
        return Err(Refusal::NoSignature);
    }
    if now_s.saturating_sub(signed_s).saturating_abs() > TOLERANCE_S {
        return Err(Refusal::Stale);
    }
    for secret in secrets {
        let made = sign(secret, time, body).map_err(|error| Refusal::NotNow(error.to_string()))?;
        // In a time that does not depend on where they differ.
        if given.iter().any(|given| given.len() == made.len() && memcmp::eq(given, &made)) {
            return Ok(());
        }
    }
    Err(Refusal::WrongSignature)
}

fn sign(secret: &str, time: &str, body: &[u8]) -> Result<Vec<u8>, ErrorStack> {
    let key = PKey::hmac(secret.as_bytes())?;
    let mut signer = Signer::new(MessageDigest::sha256(), &key)?;
    signer.update(time.as_bytes())?;
    signer.update(b".")?;
    signer.update(body)?;
    signer.sign_to_vec()
}

/// The bytes of a text of hexadecimal digits; none where it is something else.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    let pairs = hex.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok().filter(|_| pair.len() == 2)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"id": "evt_1"}"#;

    fn header(secret: &str, time: i64) -> String {
        let hex: String =
            sign(secret, &time.to_string(), BODY).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("t={time},v1={hex},v0=ignored")
    }

    fn verified(header: &str, body: &[u8], now_s: i64) -> Result<(), Refusal> {
        verify(header, body, ["whsec_old", "whsec_new"].into_iter(), now_s)
    }

    #[test]
    fn a_signature_is_that_of_the_documentation_of_hmac() {
        // Made by `printf '1700000000.{"id": "evt_1"}' | openssl dgst -sha256 -hmac whsec_new`.
        let made = "e8852b8fc73dd537655dffca7885106cd7ddc96a7a1a5ebdf65e3e447f4ed6a4";
        assert_eq!(header("whsec_new", 1_700_000_000), format!("t=1700000000,v1={made},v0=ignored"));
    }

    #[test]
    fn either_of_two_secrets_may_have_signed_within_the_tolerance() {
        for secret in ["whsec_old", "whsec_new"] {
            for now in [1_000_000 - 300, 1_000_000, 1_000_000 + 300] {
                assert_eq!(verified(&header(secret, 1_000_000), BODY, now), Ok(()));
            }
        }
        for now in [1_000_000 - 301, 1_000_000 + 301, i64::MIN, i64::MAX] {
            assert_eq!(verified(&header("whsec_new", 1_000_000), BODY, now), Err(Refusal::Stale));
        }
    }

    #[test]
    fn what_is_not_signed_is_refused() {
        let good = header("whsec_new", 50);
        assert_eq!(verified(&header("whsec_other", 50), BODY, 50), Err(Refusal::WrongSignature));
        assert_eq!(verified(&good, br#"{"id": "evt_2"}"#, 50), Err(Refusal::WrongSignature));
        assert_eq!(verified(&good.replace("t=50", "t=51"), BODY, 50), Err(Refusal::WrongSignature));
        for wrong in ["", "t=50", "v1=00", "t=x,v1=00", "t=50,v1=", "t=50,v1=0", "t=50,v1=zz", "nonsense"] {
            assert!(verified(wrong, BODY, 50).is_err(), "{wrong}");
        }
        // Beside signatures of schemes that are not known, and of other secrets.
        let both = format!("{},{}", header("whsec_other", 50), good.replace("t=50,", ""));
        assert_eq!(verified(&both, BODY, 50), Ok(()));
    }

    #[test]
    fn an_event_is_about_the_order_of_its_metadata_or_about_a_payment() {
        let subject =
            |object: &str| subject(&serde_json::from_str(&format!(r#"{{"data":{{"object":{object}}}}}"#)).unwrap());
        let order = Some(Subject::Order(OrderId::new("o-1").unwrap()));
        let payment = Some(Subject::Payment("pi_1".into()));
        assert_eq!(subject(r#"{"object":"payment_intent","id":"pi_1","metadata":{"order_id":"o-1"}}"#), order);
        assert_eq!(subject(r#"{"object":"payment_intent","id":"pi_1","metadata":{}}"#), payment);
        assert_eq!(subject(r#"{"object":"dispute","id":"dp_1","payment_intent":"pi_1"}"#), payment);
        assert_eq!(
            subject(r#"{"object":"refund","id":"re_1","metadata":{"order_id":""},"payment_intent":"pi_1"}"#),
            payment
        );
        assert_eq!(subject(r#"{"object":"payout","id":"po_1"}"#), None);
    }
}
