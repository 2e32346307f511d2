//! One HTTP request, and what came of it: whether it was sent at all is told apart from whether an answer came.
//!
//! No redirects, which would carry the key elsewhere; no trying again; bodies are bounded.

use std::time::Duration;

use grammar::{Secret, SettingError};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, Url};

use crate::answers::Came;
use crate::objects::ErrorBody;
use crate::requests::Post;

/// The version of the API that the requests and objects are written for.
const API_VERSION: &str = "2024-06-20";

/// How long a connection may take: until then nothing was sent.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);

/// No object that is asked for is larger.
const LARGEST_BODY: usize = 4 << 20;

/// The way to one API.
#[derive(Debug)]
pub(crate) struct Transport {
    http: Client,
    base: Url,
}

/// What came of a request.
#[derive(Debug)]
pub(crate) enum Reply {
    NotSent(String),
    Lost(String),
    Answered(Answered),
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    /// It is the answer to an earlier request with the same key.
    pub(crate) is_replayed: bool,
    pub(crate) retry_after_ms: Option<i64>,
    pub(crate) body: Vec<u8>,
    pub(crate) error: ErrorBody,
}

impl Transport {
    pub(crate) fn new(base: Url, answer_limit: Duration) -> Result<Self, reqwest::Error> {
        let http = Client::builder()
            .redirect(Policy::none())
            .connect_timeout(CONNECT_LIMIT)
            .timeout(answer_limit)
            .pool_max_idle_per_host(usize::MAX)
            .user_agent(concat!("order-pipeline/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Transport { http, base })
    }

    pub(crate) async fn post(&self, key: &Secret, post: &Post<'_>) -> Reply {
        let Some(url) = self.url(&post.path) else { return Reply::NotSent("the path is no path".into()) };
        let request = self.http.post(url).header("Idempotency-Key", post.key.as_str());
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        self.send(key, request.header(CONTENT_TYPE, form).body(post.form.clone())).await
    }

    pub(crate) async fn get(&self, key: &Secret, path: &str) -> Reply {
        let Some(url) = self.url(path) else { return Reply::NotSent("the path is no path".into()) };
        self.send(key, self.http.get(url)).await
    }

    fn url(&self, path: &str) -> Option<Url> {
        self.base.join(&format!("v1/{path}")).ok()
    }

    async fn send(&self, key: &Secret, request: RequestBuilder) -> Reply {
        let Ok(mut bearer) = HeaderValue::from_str(&format!("Bearer {}", key.expose())) else {
            return Reply::NotSent("the account's key is no key".into());
        };
        bearer.set_sensitive(true);
        let request = request.header(AUTHORIZATION, bearer).header("Stripe-Version", API_VERSION);
        let sent = match request.send().await {
            Ok(response) => Answered::of(response).await,
            Err(error) => Err(error),
        };
        match sent {
            Ok(Some(answered)) => Reply::Answered(answered),
            Ok(None) => Reply::Lost("the provider's answer is too long".into()),
            Err(error) if error.is_connect() || error.is_builder() => Reply::NotSent(in_words(error)),
            Err(error) => Reply::Lost(in_words(error)),
        }
    }
}

impl Reply {
    pub(crate) fn came(&self) -> Came<'_> {
        match self {
            Reply::NotSent(_) => Came::NotSent,
            Reply::Lost(_) => Came::Lost,
            Reply::Answered(answered) => {
                let Answered { status, is_replayed, error, .. } = answered;
                Came::Status { status: *status, is_replayed: *is_replayed, error: error.names() }
            }
        }
    }

    /// For people.
    pub(crate) fn words(&self) -> String {
        match self {
            Reply::NotSent(words) => format!("not sent: {words}"),
            Reply::Lost(words) => format!("no answer: {words}"),
            Reply::Answered(Answered { status, error, .. }) => {
                format!("the provider answered {status}: {}", error.words())
            }
        }
    }
}

impl Answered {
    /// None where its body is too long.
    async fn of(mut response: Response) -> Result<Option<Self>, reqwest::Error> {
        let status = response.status().as_u16();
        let is_replayed = text_of(response.headers(), "Idempotent-Replayed") == Some("true");
        let retry_after = text_of(response.headers(), RETRY_AFTER.as_str());
        // Seconds; a date, which the header may hold too, is taken for none.
        let retry_after_ms = retry_after.and_then(|text| text.trim().parse::<u32>().ok()).map(|s| i64::from(s) * 1_000);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > LARGEST_BODY {
                return Ok(None);
            }
        }
        let error = if status < 400 { ErrorBody::default() } else { ErrorBody::of(&body) };
        Ok(Some(Answered { status, is_replayed, retry_after_ms, body, error }))
    }
}

/// An API's address: its keys go over TLS, or do not leave this machine.
///
/// # Errors
/// It is no such address.
pub(crate) fn base_of(text: &str) -> Result<Url, SettingError> {
    let wrong = |reason: &str| SettingError::Setting(format!("--stripe-url or STRIPE_URL: {text}: {reason}"));
    let with_end = format!("{}/", text.trim_end_matches('/'));
    let url = Url::parse(&with_end).map_err(|error| wrong(&error.to_string()))?;
    let is_here = url.host_str().is_some_and(|host| ["localhost", "127.0.0.1", "[::1]"].contains(&host));
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_here => Ok(url),
        "http" => Err(wrong("keys are not sent without TLS to another machine")),
        _ => Err(wrong("expected https://…")),
    }
}

fn text_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The error with its causes, without the address: the path says what was paid.
fn in_words(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        words.push_str(": ");
        words.push_str(&inner.to_string());
        cause = inner.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_over_tls_or_stay_on_this_machine() {
        for fine in ["https://api.stripe.com", "http://127.0.0.1:12111", "http://localhost:1/", "http://[::1]:1"] {
            assert!(base_of(fine).is_ok(), "{fine}");
        }
        for wrong in ["http://api.stripe.com", "ftp://x", "api.stripe.com", "", "http://127.0.0.1.example.org"] {
            assert!(base_of(wrong).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_refused_connection_is_not_sent_and_a_broken_one_is_lost() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let transport = Transport::new(base_of(&format!("http://{address}")).unwrap(), Duration::from_secs(5)).unwrap();
        let key = Secret::from("sk_test_planted".to_owned());
        let (reply, ()) = tokio::join!(transport.get(&key, "refunds"), async {
            drop(listener.accept().await.unwrap());
            drop(listener);
        });
        assert!(matches!(reply, Reply::Lost(_)), "{reply:?}");
        let reply = transport.get(&key, "refunds").await;
        assert!(matches!(reply, Reply::NotSent(_)) && !format!("{reply:?}").contains("planted"), "{reply:?}");
    }
}
