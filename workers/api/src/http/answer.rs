//! Answers with what callers need to ask again well: a tag of what was said, and the position at which it stands.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemas::{CommandId, OrderId};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use super::problem::{Kind, Problem};
use crate::keys::hex;
use crate::position::{self, Position};

/// A command is on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Accepted {
    /// The order that it is about, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) order_id: Option<String>,
    /// The command's id: the `Idempotency-Key`. An order is known by its own id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) command_id: Option<String>,
    /// Where the command lies; a read with `?after=` waits for its answer.
    #[schema(example = "order.commands.v1/3/17/0193f3a0-0000-7000-8000-000000000000")]
    pub(super) position: String,
}

impl Accepted {
    pub(super) fn order(id: &OrderId, position: &Position) -> Self {
        Accepted { order_id: Some(id.to_string()), command_id: None, position: position.to_string() }
    }

    pub(super) fn command(order: Option<&OrderId>, command: &CommandId, position: &Position) -> Self {
        Accepted {
            order_id: order.map(ToString::to_string),
            command_id: Some(command.to_string()),
            position: position.to_string(),
        }
    }

    /// With where to look for what becomes of it.
    pub(super) fn answer(&self, path: &str) -> Response {
        let mut response = (StatusCode::ACCEPTED, axum::Json(self)).into_response();
        put(&mut response, header::LOCATION, &format!("{path}?after={}", escaped(&self.position)));
        put(&mut response, position::HEADER, &self.position);
        response
    }
}

/// What a read gives; nothing where the caller has it already.
pub(super) fn fresh<T: Serialize>(
    asked: &HeaderMap,
    what: &T,
    position: Option<&Position>,
) -> Result<Response, Problem> {
    let body = serde_json::to_vec(what).map_err(|error| Problem::new(Kind::Unavailable, error.to_string()))?;
    let digest: [u8; 32] = Sha256::digest(&body).into();
    let tag = format!("\"{}\"", hex(&digest[..16]));
    let mut response = match is_known(asked, &tag) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => {
            let mut response = Response::new(Body::from(body));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
    };
    put(&mut response, header::ETAG, &tag);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if let Some(position) = position {
        put(&mut response, position::HEADER, &position.to_string());
    }
    Ok(response)
}

fn is_known(asked: &HeaderMap, tag: &str) -> bool {
    let given = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    given.flat_map(|value| value.split(',')).map(str::trim).any(|one| one == "*" || one.trim_start_matches("W/") == tag)
}

/// An answer that was waited for, as the caller preferred, says so.
pub(super) fn preferred(mut response: Response) -> Response {
    put(&mut response, "preference-applied", "wait");
    response
}

/// Adds a header, of text that can be one.
pub(super) fn put(response: &mut Response, name: impl header::IntoHeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// A text within a path or behind a question mark.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

/// The path of an order.
pub(super) fn order_path(id: &OrderId) -> String {
    format!("/v1/orders/{}", escaped(id.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_already_is_not_sent_again() {
        let answer = fresh(&HeaderMap::new(), &"what", None).unwrap();
        let tag = answer.headers()[header::ETAG].clone();
        let mut asked = HeaderMap::new();
        asked.insert(header::IF_NONE_MATCH, format!("\"other\", W/{}", tag.to_str().unwrap()).parse().unwrap());
        assert_eq!(fresh(&asked, &"what", None).unwrap().status(), StatusCode::NOT_MODIFIED);
        assert_eq!(fresh(&asked, &"else", None).unwrap().status(), StatusCode::OK);
    }

    #[test]
    fn any_id_has_a_path() {
        let id = OrderId::new("a b/ü?").unwrap();
        assert_eq!(order_path(&id), "/v1/orders/a%20b%2F%C3%BC%3F");
    }
}
