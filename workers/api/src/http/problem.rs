//! What went wrong, as callers get it (RFC 9457), in words that say what to do. Never with a secret.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use client::ClientError;
use consumer::DatabaseError;
use schemas::IdError;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::shortage::ShortShape;

/// What kinds of problems there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The request is not as the document says.
    BadRequest,
    /// There is no key or token, or none that is good.
    Unauthorized,
    /// The caller has not the role.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// The thing is there, and not for this method.
    MethodNotAllowed,
    /// The body is too large.
    TooLarge,
    /// The body is no JSON.
    UnsupportedMediaType,
    /// There is not enough, as far as is known.
    SoldOut,
    /// The customer has nothing to do.
    NothingToDo,
    /// The customer's time is over.
    TooLate,
    /// Whoever runs the door has not set it up for that.
    NotConfigured,
    /// The same key or id was given with other content.
    ContentDiffers,
    /// The service refuses the command.
    Refused,
    /// Too much waits.
    TooMany,
    /// It is not known, or not there, for now.
    Unavailable,
}

impl Kind {
    const fn fixed(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Kind::BadRequest => {
                (StatusCode::BAD_REQUEST, "urn:order-api:bad-request", "The request is not as it has to be")
            }
            Kind::Unauthorized => {
                (StatusCode::UNAUTHORIZED, "urn:order-api:unauthorized", "A key or a token is needed")
            }
            Kind::Forbidden => (StatusCode::FORBIDDEN, "urn:order-api:forbidden", "This caller may not do that"),
            Kind::NotFound => (StatusCode::NOT_FOUND, "urn:order-api:not-found", "There is no such thing"),
            Kind::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "urn:order-api:method-not-allowed", "Not with this method")
            }
            Kind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "urn:order-api:too-large", "The body is too large"),
            Kind::UnsupportedMediaType => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "urn:order-api:unsupported-media-type", "The body has to be JSON")
            }
            Kind::SoldOut => {
                (StatusCode::CONFLICT, "urn:order-api:sold-out", "There is not enough, as far as is known")
            }
            Kind::NothingToDo => {
                (StatusCode::CONFLICT, "urn:order-api:nothing-to-do", "The customer has nothing to do")
            }
            Kind::TooLate => (StatusCode::GONE, "urn:order-api:too-late", "The customer's time is over"),
            Kind::NotConfigured => {
                (StatusCode::NOT_FOUND, "urn:order-api:not-configured", "This door is not set up for that")
            }
            Kind::ContentDiffers => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "urn:order-api:content-differs",
                "The same id was given with other content",
            ),
            Kind::Refused => (StatusCode::UNPROCESSABLE_ENTITY, "urn:order-api:refused", "The command was refused"),
            Kind::TooMany => (StatusCode::TOO_MANY_REQUESTS, "urn:order-api:too-many", "Too much waits already"),
            Kind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "urn:order-api:unavailable", "Not for now"),
        }
    }
}

/// A problem, as RFC 9457 has it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// What kind of problem, as `urn:order-api:refused`.
    #[serde(rename = "type")]
    #[schema(example = "urn:order-api:refused")]
    pub(crate) kind: &'static str,
    /// The same in words.
    pub(crate) title: &'static str,
    /// The status of the answer.
    #[schema(example = 422)]
    pub(crate) status: u16,
    /// What is wrong this time, and what to do.
    pub(crate) detail: String,
    /// Of a refused command: every reason that the service gave.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(value_type = Vec<Reason>)]
    pub(crate) reasons: Box<[Reason]>,
    /// Of an order that was not published: what there is not enough of.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(value_type = Vec<ShortShape>)]
    pub(super) short: Box<[ShortShape]>,
    /// After how many seconds it may be tried again.
    #[serde(skip)]
    pub(crate) retry_after_s: Option<u32>,
    /// What has to be given to get in, as RFC 6750 has it.
    #[serde(skip)]
    pub(super) challenge: Option<Box<str>>,
}

/// Why a service has refused a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Reason {
    /// What kind of mistake.
    pub(crate) code: String,
    /// The same in words, with the offending value.
    pub(crate) detail: String,
}

impl Problem {
    /// Of this kind.
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let (status, kind, title) = kind.fixed();
        Problem {
            kind,
            title,
            status: status.as_u16(),
            detail: detail.into(),
            reasons: Box::default(),
            short: Box::default(),
            retry_after_s: None,
            challenge: None,
        }
    }

    /// The request is not as the document says.
    pub(crate) fn bad(detail: impl Into<String>) -> Self {
        Problem::new(Kind::BadRequest, detail)
    }

    /// It may be tried again after so many seconds.
    #[must_use]
    pub(super) fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Who asks has to be known, or known as somebody else, and why.
    #[must_use]
    pub(super) fn challenge(mut self, why: &[(&str, &str)]) -> Self {
        // All that may stand between quotation marks there.
        let is_plain = |c: &char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\');
        let plain = |text: &str| -> String { text.chars().filter(is_plain).collect() };
        let parts = why.iter().map(|(name, words)| format!("{name}=\"{}\"", plain(words)));
        self.challenge = Some(format!("Bearer {}", parts.collect::<Vec<_>>().join(", ")).trim_end().into());
        self
    }

    /// Of the body of a refusal's event.
    pub(crate) fn refused(body: &Value) -> Self {
        let listed = body.get("reasons").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let alone = [body.clone()];
        let reasons: Box<[Reason]> = if listed.is_empty() { &alone[..] } else { listed }.iter().map(reason).collect();
        let kind = match reasons.iter().any(|reason| reason.code == "ContentDiffers") {
            true => Kind::ContentDiffers,
            false => Kind::Refused,
        };
        let words: Vec<&str> = reasons.iter().map(|reason| reason.detail.as_str()).collect();
        let detail = format!("{}. Nothing was changed.", words.join("; "));
        Problem { reasons, ..Problem::new(kind, detail) }
    }
}

/// The more precise code, where there is one.
fn reason(refusal: &Value) -> Reason {
    let text = |name| refusal.get(name).and_then(Value::as_str).map(str::to_owned);
    Reason {
        code: text("reason_code").or_else(|| text("code")).unwrap_or_else(|| "refused".to_owned()),
        detail: text("detail").unwrap_or_default(),
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(&self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(challenge) = self.challenge.as_deref().and_then(|text| HeaderValue::from_str(text).ok()) {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

impl From<DatabaseError> for Problem {
    /// What a database says is for whoever runs it.
    fn from(error: DatabaseError) -> Self {
        tracing::warn!(%error, "the read model cannot be asked");
        Problem::new(Kind::Unavailable, "the read model does not answer; try again").retry_after(1)
    }
}

impl From<IdError> for Problem {
    /// What is no id is named, with what is wrong with it.
    fn from(error: IdError) -> Self {
        Problem::bad(error.to_string())
    }
}

impl From<ClientError> for Problem {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::CardNumber { .. } | ClientError::Encode { .. } | ClientError::TooLarge { .. } => {
                Problem::bad(error.to_string())
            }
            ClientError::Configuration { .. }
            | ClientError::FixedProperty { .. }
            | ClientError::Unreachable(_)
            | ClientError::NotAdmitted { .. }
            | ClientError::NoTopic { .. }
            | ClientError::Refused { .. }
            | ClientError::NotConfirmed { .. }
            | ClientError::FlushTimedOut { .. }
            | ClientError::Read { .. }
            | ClientError::NoProgress { .. }
            | ClientError::File { .. }
            | ClientError::Format { .. }
            | ClientError::Http(_)
            | ClientError::Task { .. } => {
                tracing::warn!(%error, "a command was not published");
                let words = "the command could not be published, or it is not known whether it was: send the same again, with \
                             the same key or id";
                Problem::new(Kind::Unavailable, words).retry_after(1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_refusal_tells_every_reason_by_its_most_precise_code() {
        let body = json!({ "order_id": "o", "reasons": [
            { "code": "NotSupported", "reason_code": "NothingToRefund", "detail": "nothing is left" },
            { "code": "NoLines", "reason_code": null, "detail": "no lines" },
        ] });
        let problem = Problem::refused(&body);
        let codes: Vec<&str> = problem.reasons.iter().map(|reason| reason.code.as_str()).collect();
        assert_eq!((problem.status, codes), (422, vec!["NothingToRefund", "NoLines"]));
        assert_eq!(problem.detail, "nothing is left; no lines. Nothing was changed.");
        let stock = Problem::refused(&json!({ "sku": "s", "code": "BelowReserved", "detail": "3 are reserved" }));
        assert_eq!(stock.reasons[0].code, "BelowReserved");
    }
}
