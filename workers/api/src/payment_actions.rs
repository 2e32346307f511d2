//! Where customers go who have to act: the payment service is asked each time, with a secret that it knows.
//!
//! What it answers goes to who asked the door, and stands in no log. The secret is read for every question, so it is exchanged without
//! a restart. Deliberately absent: redirects, proxies, trying again.

use std::path::PathBuf;
use std::time::Duration;

use domain::provider::ActionUrl;
use grammar::SettingError;
use reqwest::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};
use schemas::OrderId;
use serde::Deserialize;

use crate::outgoing::{self, safe};

/// How long the answer may take: the payment service gives its provider ten seconds.
const LIMIT: Duration = Duration::from_secs(12);

/// The longest answer, in bytes.
const LONGEST: usize = 16 * 1024;

/// When to ask again, where nobody says, in seconds.
const RETRY_AFTER_S: u32 = 5;

/// The way to the payment service.
#[derive(Debug, Clone)]
pub(crate) struct PaymentActions {
    base: Url,
    secret: PathBuf,
    client: Client,
}

/// Where a customer goes, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Directions {
    pub(crate) url: ActionUrl,
    pub(crate) until: String,
}

/// Why there is no address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is no such payment, or not yet.
    NoPayment,
    /// The customer has nothing to do: why.
    Nothing(String),
    /// The customer's time is over: since when.
    Late(String),
    /// It is not known now; after how many seconds to ask again.
    Unavailable(u32),
}

/// An address as the payment service says it.
#[derive(Deserialize)]
struct Told {
    url: String,
    until: String,
}

/// Why it says none.
#[derive(Default, Deserialize)]
struct Excuse {
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    detail: String,
}

impl PaymentActions {
    /// At this address, with the secret of this file; none where neither is given.
    ///
    /// # Errors
    /// In words: one of the two is missing, the address is none, or the system's TLS cannot be used.
    pub(crate) fn of(address: Option<&str>, secret: Option<&PathBuf>) -> Result<Option<Self>, SettingError> {
        let (address, secret) = match (address, secret) {
            (None, None) => return Ok(None),
            (Some(address), Some(secret)) => (address, secret.clone()),
            (Some(_), None) | (None, Some(_)) => {
                let words = "give --payment-actions and --payment-actions-secret-file both, or neither";
                return Err(SettingError::Setting(words.to_owned()));
            }
        };
        let base = safe(address).map_err(|words| SettingError::Setting(format!("--payment-actions: {words}")))?;
        let client = outgoing::client(LIMIT).no_proxy().build();
        let client = client.map_err(|error| SettingError::Setting(format!("no TLS: {error}")))?;
        Ok(Some(PaymentActions { base, secret, client }))
    }

    /// Where the customer of this order goes now.
    pub(crate) async fn of_order(&self, id: &OrderId) -> Result<Directions, Refusal> {
        let asked = match (self.at(id), self.bearer().await) {
            (Some(url), Some(bearer)) => self.client.get(url).header(AUTHORIZATION, bearer).send().await,
            (None, _) | (_, None) => return Err(Refusal::Unavailable(RETRY_AFTER_S)),
        };
        let unheard = |error: reqwest::Error| {
            tracing::warn!(error = %error.without_url(), "the payment service does not say where a customer goes");
            Refusal::Unavailable(RETRY_AFTER_S)
        };
        let response = asked.map_err(unheard)?;
        let (status, retry_after_s) = (response.status(), retry_after(&response));
        let body = outgoing::body_within(response, LONGEST).await.map_err(unheard)?.unwrap_or_default();
        read(status, &body).unwrap_or_else(|| {
            if status != StatusCode::SERVICE_UNAVAILABLE {
                let hint = "the address of --payment-actions or its secret is another one's";
                tracing::warn!(
                    status = status.as_u16(),
                    "the payment service does not say where a customer goes: {hint}"
                );
            }
            Err(Refusal::Unavailable(retry_after_s))
        })
    }

    fn at(&self, id: &OrderId) -> Option<Url> {
        let mut url = self.base.clone();
        url.path_segments_mut().ok()?.pop_if_empty().extend(["payments", id.as_str(), "action"]);
        Some(url)
    }

    /// The first secret of the file.
    async fn bearer(&self) -> Option<HeaderValue> {
        let text = tokio::fs::read_to_string(&self.secret).await.unwrap_or_default();
        let secret = text.lines().map(str::trim).find(|line| !line.is_empty());
        let header = secret.and_then(|secret| HeaderValue::from_str(&format!("Bearer {secret}")).ok());
        let Some(mut header) = header else {
            tracing::warn!("there is no secret in the file of --payment-actions-secret-file, or it cannot be read");
            return None;
        };
        header.set_sensitive(true);
        Some(header)
    }
}

fn retry_after(response: &Response) -> u32 {
    let given = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    given.unwrap_or(RETRY_AFTER_S)
}

/// What the payment service has said; none where it is nothing of its own.
fn read(status: StatusCode, body: &[u8]) -> Option<Result<Directions, Refusal>> {
    let excuse = || serde_json::from_slice::<Excuse>(body).unwrap_or_default();
    Some(match status {
        StatusCode::OK => {
            let told: Told = serde_json::from_slice(body).ok()?;
            Ok(Directions { url: ActionUrl::new(&told.url)?, until: told.until })
        }
        StatusCode::NOT_FOUND => Err(Refusal::NoPayment),
        StatusCode::CONFLICT => {
            let Excuse { state, detail } = excuse();
            let state = state.map_or(String::new(), |state| format!("the payment is {state}: "));
            Err(Refusal::Nothing(format!("{state}{detail}")))
        }
        StatusCode::GONE => Err(Refusal::Late(excuse().detail)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_and_the_secret_are_given_both_or_neither() {
        let file = PathBuf::from("secret");
        let of = |address, secret| PaymentActions::of(address, secret).map(|actions| actions.is_some());
        assert!(!of(None, None).unwrap());
        assert!(of(Some("http://127.0.0.1:8085"), Some(&file)).unwrap());
        assert!(of(Some("https://pay.internal/hooks/"), Some(&file)).unwrap());
        assert!(of(Some("http://127.0.0.1:8085"), None).is_err() && of(None, Some(&file)).is_err());
        let said = of(Some("http://pay.internal"), Some(&file)).unwrap_err().to_string();
        assert!(said.contains("https://"), "a secret goes over TLS: {said}");
    }

    #[test]
    fn an_order_s_id_stays_one_segment_of_the_path() {
        let at = |base: &str, id: &str| {
            let actions = PaymentActions::of(Some(base), Some(&PathBuf::from("secret"))).unwrap().unwrap();
            actions.at(&OrderId::new(id).unwrap()).unwrap().to_string()
        };
        assert_eq!(at("http://localhost:1", "o-1"), "http://localhost:1/payments/o-1/action");
        assert_eq!(at("https://pay.internal/hooks/", "a/b?c"), "https://pay.internal/hooks/payments/a%2Fb%3Fc/action");
    }

    #[test]
    fn what_is_told_is_read_and_its_address_is_not_shown() {
        let told = br#"{"url":"https://bank.example/planted","until":"2026-12-01T00:00:00Z"}"#;
        let directions = read(StatusCode::OK, told).unwrap().unwrap();
        assert_eq!(directions.url.expose(), "https://bank.example/planted");
        assert!(!format!("{directions:?}").contains("planted"));
        let nothing = read(StatusCode::CONFLICT, br#"{"state":"voided","detail":"it is over"}"#);
        assert_eq!(nothing, Some(Err(Refusal::Nothing("the payment is voided: it is over".into()))));
        assert_eq!(read(StatusCode::GONE, b"{}"), Some(Err(Refusal::Late(String::new()))));
        for other in [StatusCode::UNAUTHORIZED, StatusCode::FOUND, StatusCode::SERVICE_UNAVAILABLE] {
            assert_eq!(read(other, told), None, "{other}");
        }
        for wrong in [&b""[..], b"{}", br#"{"url":"javascript:x","until":""}"#] {
            assert_eq!(read(StatusCode::OK, wrong), None);
        }
    }
}
