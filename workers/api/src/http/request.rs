//! What a request says, taken out of it with a problem where it is not as it has to be.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use schemas::{CommandId, OrderId, Sku, Time};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use tokio::time::Instant;

use super::problem::{Kind, Problem};

/// The longest that anybody is kept waiting.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// A body of JSON; one that may be left out is an empty object.
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let kind =
            request.headers().get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default().to_owned());
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Problem::new(Kind::TooLarge, "send less at once"),
            _ => Problem::bad(format!("the body cannot be read: {}", rejection.body_text())),
        })?;
        let is_json =
            kind.as_deref().is_some_and(|kind| kind.split(';').next().unwrap_or_default().trim() == "application/json");
        match (bytes.is_empty(), is_json) {
            (true, _) => read(b"{}"),
            (false, true) => read(&bytes),
            (false, false) => {
                Err(Problem::new(Kind::UnsupportedMediaType, "send the body with Content-Type: application/json"))
            }
        }
    }
}

/// An object: a list of a struct's fields without their names would be taken for it as well, and mean other things in the next version.
struct Named<T>(T);

impl<'de, T: DeserializeOwned> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);
        impl<'de, T: DeserializeOwned> Visitor<'de> for Fields<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(fields))
            }
        }
        deserializer.deserialize_map(Fields(PhantomData)).map(Named)
    }
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<Body<T>, Problem> {
    serde_json::from_slice(bytes).map(|Named(body)| Body(body)).or_else(|_| read_slowly(bytes))
}

/// The same, for the words that say where it is wrong.
fn read_slowly<T: DeserializeOwned>(bytes: &[u8]) -> Result<Body<T>, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let Named(value) = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let (path, words) = (error.path().to_string(), error.inner().to_string());
        Problem::bad(if path == "." { format!("the body: {words}") } else { format!("the body, at {path}: {words}") })
    })?;
    deserializer.end().map_err(|error| Problem::bad(format!("the body: {error}")))?;
    Ok(Body(value))
}

/// The parameters behind the question mark.
pub(super) struct Asked<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = Query::from_request_parts(parts, state).await;
        read.map(|Query(asked)| Asked(asked)).map_err(|rejection| Problem::bad(rejection.body_text()))
    }
}

/// The order that the path names.
pub(super) struct OrderOf(pub(super) OrderId);

impl<S: Send + Sync> FromRequestParts<S> for OrderOf {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Ok(OrderOf(OrderId::new(path::<String, S>(parts, state).await?)?))
    }
}

/// The return that the path names, and its order.
pub(super) struct ReturnOf(pub(super) OrderId, pub(super) CommandId);

impl<S: Send + Sync> FromRequestParts<S> for ReturnOf {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let (order, id): (String, String) = path(parts, state).await?;
        let order = OrderId::new(order)?;
        let id = CommandId::new(id).map_err(|error| Problem::bad(format!("the return: {error}")))?;
        Ok(ReturnOf(order, id))
    }
}

/// The SKU that the path names.
pub(super) struct SkuOf(pub(super) Sku);

impl<S: Send + Sync> FromRequestParts<S> for SkuOf {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Ok(SkuOf(Sku::new(path::<String, S>(parts, state).await?)?))
    }
}

async fn path<T: DeserializeOwned + Send, S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<T, Problem> {
    let read = Path::<T>::from_request_parts(parts, state).await;
    read.map(|Path(named)| named).map_err(|rejection| Problem::bad(rejection.body_text()))
}

/// The `Idempotency-Key`; with or without the quotation marks that the draft of its standard asks for.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<CommandId>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let text = value.to_str().map_err(|_| Problem::bad("Idempotency-Key: printable ASCII only"))?;
    let bare = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    CommandId::new(bare).map(Some).map_err(|error| Problem::bad(format!("Idempotency-Key: {error}")))
}

/// The same where nothing goes without.
pub(super) fn command_id(headers: &HeaderMap) -> Result<CommandId, Problem> {
    idempotency_key(headers)?.ok_or_else(|| {
        Problem::bad(
            "give an Idempotency-Key of your own, new for each thing to do: with it a repeated request does it once",
        )
    })
}

/// Until when an answer may take, by `Prefer: wait=SECONDS`; none: it is not waited for.
pub(super) fn deadline(headers: &HeaderMap) -> Option<Instant> {
    let preferences = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let seconds = preferences
        .flat_map(|value| value.split([',', ';']))
        .find_map(|preference| preference.trim().strip_prefix("wait=")?.trim().parse().ok());
    seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds).min(LONGEST_WAIT))
}

/// The trace that the request belongs to; a new one where it names none.
pub(super) fn trace_parent(headers: &HeaderMap) -> String {
    let given = headers.get("traceparent").and_then(|value| value.to_str().ok());
    given.filter(|text| is_trace_parent(text)).map_or_else(client::new_trace_parent, str::to_owned)
}

fn is_trace_parent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let is_lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    lengths == [2, 32, 16, 2] && parts.iter().all(|part| part.bytes().all(is_lower_hex))
}

/// A time as callers write it.
pub(super) fn time(name: &str, text: &str) -> Result<Time, Problem> {
    text.parse().map_err(|error| Problem::bad(format!("{name}: {error}; for instance 2026-11-30T12:00:00Z")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        headers
    }

    #[test]
    fn a_key_is_taken_with_quotation_marks_or_without() {
        for value in ["k-1", "\"k-1\""] {
            assert_eq!(command_id(&headers("idempotency-key", value)).unwrap().as_str(), "k-1");
        }
        assert!(command_id(&HeaderMap::new()).unwrap_err().detail.contains("Idempotency-Key"));
        assert!(command_id(&headers("idempotency-key", &"k".repeat(65))).is_err());
    }

    #[test]
    fn a_body_is_an_object_and_says_where_it_is_wrong() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Given {
            sku: String,
        }
        let read =
            |text: &str| read::<Given>(text.as_bytes()).map(|Body(given)| given.sku).map_err(|problem| problem.detail);
        assert_eq!(read("{\"sku\":\"pen\"}"), Ok("pen".to_owned()));
        for (text, words) in [
            ("[\"pen\"]", "an object"),
            ("null", "an object"),
            ("{\"sku\":7}", "at sku"),
            ("{\"sku\":\"pen\",\"x\":1}", "unknown field"),
            ("{\"sku\":\"pen\"} {}", "trailing"),
        ] {
            assert!(read(text).is_err_and(|said| said.contains(words)), "{text}: {:?}", read(text));
        }
    }

    #[test]
    fn a_wait_is_found_among_preferences_and_bounded() {
        let wait = |value: &str| deadline(&headers("prefer", value)).map(|until| until - Instant::now());
        assert!(wait("respond-async, wait=5").is_some_and(|wait| wait > Duration::from_secs(4)));
        assert!(wait("wait=100000").is_some_and(|wait| wait <= LONGEST_WAIT));
        assert_eq!((wait("wait=soon"), wait("return=minimal")), (None, None));
    }

    #[test]
    fn a_trace_goes_on_and_what_is_none_begins_one() {
        let given = format!("00-{}-{}-01", "a".repeat(32), "0".repeat(16));
        assert_eq!(trace_parent(&headers("traceparent", &given)), given);
        for wrong in ["00-1-2-01", "x", &given.to_uppercase()] {
            assert!(is_trace_parent(&trace_parent(&headers("traceparent", wrong))), "{wrong}");
        }
    }
}
