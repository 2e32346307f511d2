//! Who looks: whoever has given a key or a token, which the browser then sends as a cookie that no script reads and no other site
//! makes it send; and that a form is one of ours.
//!
//! There is no session to keep, so every instance knows everybody. A form carries a digest of the visitor's key, which no other site
//! can know; and a browser says where a form comes from. Deliberately absent: users and passwords.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Form, FromRequest, FromRequestParts, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::trouble::{Trouble, notice};
use super::{Console, Shared, layout};
use crate::http::{Kind, Problem, gate};
use crate::keys::{Caller, Role, hex};

/// The cookie that holds the key.
const COOKIE: &str = "console_key";

/// The field of a form that shows that it is ours.
const SIGNATURE: &str = "signature";

/// Somebody's visit; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Visit {
    caller: Caller,
    has_key: bool,
    signature: Arc<str>,
}

impl Visit {
    /// Of somebody, for tests of what is drawn for them.
    #[cfg(test)]
    pub(super) fn of(caller: Caller) -> Self {
        Visit { caller, has_key: true, signature: "signed".into() }
    }

    /// Who it is.
    pub(super) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Whether they may do what asks for this role: else a page does not offer it.
    pub(super) fn may(&self, role: Role) -> bool {
        self.caller.may(role)
    }

    /// What they were let in with, for a stream, which outlives its request.
    pub(super) fn pass(&self, console: &Console, headers: &HeaderMap) -> gate::Pass {
        gate::Pass::new(&console.door, &self.caller, cookie(headers))
    }

    /// Whether they came with a key.
    pub(super) fn has_key(&self) -> bool {
        self.has_key
    }

    /// The field that every form has which does something.
    pub(super) fn signature(&self) -> Markup {
        html! { input type="hidden" name=(SIGNATURE) value=(self.signature); }
    }

    /// Fails where they have not the role.
    pub(super) fn needs(&self, role: Role) -> Result<(), Trouble> {
        match self.may(role) {
            true => Ok(()),
            false => {
                let words = format!("{} has not the role {}", self.caller.name(), role.as_str());
                Err(Trouble::of(self, Problem::new(Kind::Forbidden, words)))
            }
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visit {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Trouble> {
        let visit = parts.extensions.get::<Visit>().cloned();
        visit.ok_or_else(|| Trouble::of_nobody(Problem::new(Kind::Unauthorized, "sign in first")))
    }
}

/// Lets in who may read, and takes a form only from a page of ours.
pub(super) async fn admit(State(console): Shared, mut request: Request, next: Next) -> Result<Response, Trouble> {
    let visit = visit(&console, request.headers()).await?;
    visit.needs(Role::OrdersRead)?;
    if request.method() != Method::GET && !is_from_here(request.headers()) {
        let words = "this form was sent by another site; nothing was done";
        return Err(Trouble::of(&visit, Problem::new(Kind::Forbidden, words)));
    }
    visit.caller.take_turn().map_err(|_| {
        Trouble::of(&visit, Problem::new(Kind::TooMany, "this key has no request left for now; try again in a moment"))
    })?;
    request.extensions_mut().insert(visit.clone());
    Ok(gate::asked_by(visit.caller, next.run(request)).await)
}

async fn visit(console: &Console, headers: &HeaderMap) -> Result<Visit, Trouble> {
    let given = cookie(headers);
    let caller = console.door.caller(headers, given).await.map_err(Trouble::of_nobody)?;
    let has_key = !console.door.who.is_anybody();
    Ok(Visit { caller, has_key, signature: signature(given.unwrap_or(&console.salt)) })
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut each = all.flat_map(|value| value.split(';')).filter_map(|one| one.trim().split_once('='));
    each.find(|(name, _)| *name == COOKIE).map(|(_, value)| value).filter(|value| !value.is_empty())
}

fn signature(secret: &str) -> Arc<str> {
    let digest: [u8; 32] =
        Sha256::new().chain_update("order-api console form\n").chain_update(secret).finalize().into();
    hex(&digest).into()
}

/// By what a browser says of where it comes from. One that says nothing has still to know the signature.
fn is_from_here(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or_default());
    let site = text(header::HeaderName::from_static("sec-fetch-site")).is_none_or(|site| site == "same-origin");
    let origin = text(header::ORIGIN).is_none_or(|origin| {
        let host = origin.split_once("://").map(|(_, host)| host);
        host.is_some() && host == text(header::HOST)
    });
    site && origin
}

/// What stands behind the question mark of an address; what cannot be read is told on a page.
pub(super) struct Asked<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Trouble> {
        let visit = Visit::from_request_parts(parts, state).await?;
        let read = Query::from_request_parts(parts, state).await;
        read.map(|Query(asked)| Asked(asked)).map_err(|wrong| Trouble::of(&visit, Problem::bad(wrong.body_text())))
    }
}

/// A form of ours, with what stands in it.
pub(super) struct Signed<T>(pub(super) T);

#[derive(Deserialize)]
struct SignatureField {
    #[serde(default)]
    signature: String,
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Signed<T> {
    type Rejection = Trouble;

    async fn from_request(request: Request, state: &S) -> Result<Self, Trouble> {
        let (mut parts, body) = request.into_parts();
        let visit = Visit::from_request_parts(&mut parts, state).await?;
        let trouble = |words: String| Trouble::of(&visit, Problem::bad(words));
        let bytes = Bytes::from_request(Request::from_parts(parts, body), state).await;
        let bytes =
            bytes.map_err(|rejection| trouble(format!("the form cannot be read: {}", rejection.body_text())))?;
        let read = |error: serde_urlencoded::de::Error| trouble(format!("the form: {error}"));
        let given: SignatureField = serde_urlencoded::from_bytes(&bytes).map_err(read)?;
        let (given, wanted) = (given.signature.as_bytes(), visit.signature.as_bytes());
        if given.len() != wanted.len() || !openssl::memcmp::eq(given, wanted) {
            let words =
                "this form is none of this page's, or too old: go back, load the page again, and send it once more";
            return Err(Trouble::of(&visit, Problem::new(Kind::Forbidden, words)));
        }
        serde_urlencoded::from_bytes(&bytes).map(Signed).map_err(read)
    }
}

/// What is given to get in.
#[derive(Deserialize)]
pub(super) struct KeyForm {
    key: String,
}

/// Asks for a key.
pub(super) async fn login_page(State(console): Shared) -> Response {
    if console.door.who.is_anybody() {
        return Redirect::to("/console").into_response();
    }
    login(None)
}

fn login(problem: Option<&Problem>) -> Response {
    layout::bare_page(
        "Sign in",
        &html! {
            @if let Some(problem) = problem { (notice(problem)) }
            form.card method="post" action="/console/login" {
                label for="key" { "Key or token" }
                input #key name="key" type="password" autocomplete="current-password" required autofocus;
                p.hint { "A key that " code { "order-api key" } " has made, or a token of your identity provider." }
                button type="submit" { "Sign in" }
            }
        },
    )
}

/// Whoever has a key gets it as a cookie. A form of another site signs nobody in.
pub(super) async fn log_in(State(console): Shared, headers: HeaderMap, Form(form): Form<KeyForm>) -> Response {
    let given = form.key.trim();
    let is_cookie =
        !given.is_empty() && given.bytes().all(|byte| byte.is_ascii_graphic() && !b"\",;\\".contains(&byte));
    let caller = match is_cookie && is_from_here(&headers) {
        true => console.door.caller(&headers, Some(given)).await,
        false => Err(Problem::new(Kind::Unauthorized, "that is no key and no token")),
    };
    match caller {
        Ok(_) => with_cookie(Redirect::to("/console").into_response(), given, &headers),
        Err(problem) => {
            let mut response = login(Some(&problem));
            *response.status_mut() = axum::http::StatusCode::from_u16(problem.status).unwrap_or_default();
            response
        }
    }
}

/// The browser forgets the key.
pub(super) async fn log_out(headers: HeaderMap) -> Response {
    let to_login = Redirect::to("/console/login").into_response();
    if is_from_here(&headers) { with_cookie(to_login, "", &headers) } else { to_login }
}

/// Sent back to this console alone, by no script and from no other site; over TLS alone, where a proxy says that there is TLS.
fn with_cookie(mut response: Response, key: &str, headers: &HeaderMap) -> Response {
    let is_secure = headers.get("x-forwarded-proto").is_some_and(|proto| proto == "https");
    let secure = if is_secure { "; Secure" } else { "" };
    let age = if key.is_empty() { "; Max-Age=0" } else { "" };
    let cookie = format!("{COOKIE}={key}; Path=/console; HttpOnly; SameSite=Strict{secure}{age}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(given: &[(&'static str, &'static str)]) -> HeaderMap {
        given
            .iter()
            .map(|(name, value)| (name.parse::<header::HeaderName>().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn a_form_of_another_site_is_not_taken() {
        assert!(is_from_here(&headers(&[("host", "shop:80"), ("origin", "http://shop:80")])));
        assert!(is_from_here(&headers(&[("host", "shop"), ("sec-fetch-site", "same-origin")])));
        assert!(!is_from_here(&headers(&[("host", "shop"), ("origin", "http://evil.example")])));
        assert!(!is_from_here(&headers(&[("host", "shop"), ("origin", "null")])));
        assert!(!is_from_here(&headers(&[("host", "shop"), ("sec-fetch-site", "cross-site")])));
    }

    #[test]
    fn the_key_is_one_cookie_among_others() {
        assert_eq!(cookie(&headers(&[("cookie", "a=b; console_key=k-1; c=d")])), Some("k-1"));
        assert_eq!(cookie(&headers(&[("cookie", "console_key=")])), None);
        assert_eq!(cookie(&headers(&[("cookie", "xconsole_key=k")])), None);
    }

    #[test]
    fn the_signature_tells_one_key_from_another_and_tells_neither() {
        assert_ne!(signature("a"), signature("b"));
        assert!(!signature("secret").contains("secret"));
    }
}
