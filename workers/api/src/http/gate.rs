//! What every request passes: who asks, whether it is its turn; and what every answer carries.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;

use super::answer::escaped;
use super::problem::{Kind, Problem};
use super::{Door, SOURCE};
use crate::keys::{Caller, Role};
use crate::metrics;
use crate::tokens::Refusal;

tokio::task_local! {
    /// Who asks for what is done now.
    static CALLER: Caller;
}

/// What a command that is published now names as its source: this door, and who asks. No route can forget it.
pub(super) fn source() -> String {
    let asked = CALLER.try_with(|caller| format!("{SOURCE}/{}", escaped(caller.name())));
    asked.unwrap_or_else(|_| SOURCE.to_owned())
}

/// Lets through who has the role, with who it is.
pub(super) async fn admit(
    State((door, role)): State<(Arc<Door>, Role)>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let headers = request.headers();
    let caller = door.caller(headers, bearer(headers)).await?;
    if !caller.may(role) {
        let words = format!("{} has not the role {}", caller.name(), role.as_str());
        return Err(Problem::new(Kind::Forbidden, words)
            .challenge(&[("error", "insufficient_scope"), ("scope", role.as_str())]));
    }
    caller.take_turn().map_err(|wait| {
        let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
        Problem::new(Kind::TooMany, "this caller has no request left for now").retry_after(seconds)
    })?;
    request.extensions_mut().insert(caller.clone());
    Ok(asked_by(caller, next.run(request)).await)
}

/// What is done within is asked for by this caller.
pub(crate) async fn asked_by<F: Future>(caller: Caller, doing: F) -> F::Output {
    CALLER.scope(caller, doing).await
}

/// With what somebody was let in: a stream outlives its request, and has to be asked for again.
pub(crate) struct Pass {
    door: Arc<Door>,
    caller: Caller,
    given: Option<String>,
}

impl Pass {
    /// Of whoever has given this.
    pub(crate) fn new(door: &Arc<Door>, caller: &Caller, given: Option<&str>) -> Self {
        Pass { door: Arc::clone(door), caller: caller.clone(), given: given.map(str::to_owned) }
    }

    /// Of whoever asks the API.
    pub(super) fn of(door: &Arc<Door>, caller: &Caller, headers: &HeaderMap) -> Self {
        Pass::new(door, caller, bearer(headers))
    }

    /// Until it is good no more, or not for the same: a key was taken out of the file, a token is too old, a role was given or taken.
    pub(crate) async fn ends(self) {
        let given = self.given.as_deref().filter(|_| !self.door.who.is_anybody());
        let Some(given) = given else { return std::future::pending().await };
        let mut changes = self.door.who.changes(given);
        loop {
            changes.next().await;
            // Boxed: a stream waits nearly always, and has to be small then.
            match Box::pin(self.door.who.caller(given)).await {
                Ok(caller) if caller.is_as(&self.caller) => {}
                Ok(_) | Err(_) => return,
            }
        }
    }
}

impl Door {
    /// Who asks, by the key or token that is given.
    pub(crate) async fn caller(&self, headers: &HeaderMap, given: Option<&str>) -> Result<Caller, Problem> {
        if self.who.is_anybody() {
            // A page of somebody else's, in a browser of this machine, must not get here under a name of its own.
            return match headers.get(header::HOST).and_then(|host| host.to_str().ok()).is_none_or(is_this_machine) {
                true => Ok(Caller::local()),
                false => Err(Problem::new(Kind::Forbidden, "without keys this door answers to localhost alone")),
            };
        }
        let Some(given) = given else {
            let words = "send Authorization: Bearer KEY, with a key or a token that this door knows";
            return Err(Problem::new(Kind::Unauthorized, words).challenge(&[]));
        };
        self.who.caller(given).await.map_err(|refusal| refused(&refusal))
    }
}

fn refused(refusal: &Refusal) -> Problem {
    match refusal {
        Refusal::CannotTell => Problem::new(Kind::Unavailable, refusal.to_string()).retry_after(5),
        Refusal::Unknown
        | Refusal::Malformed
        | Refusal::Algorithm
        | Refusal::KeyNotShown
        | Refusal::Signature
        | Refusal::Expired
        | Refusal::NotYet
        | Refusal::Audience(_)
        | Refusal::Issuer(_)
        | Refusal::Claim(_)
        | Refusal::Name(_)
        | Refusal::NameOfKey => {
            let words = refusal.to_string();
            let challenge = [("error", "invalid_token"), ("error_description", words.as_str())];
            Problem::new(Kind::Unauthorized, &*words).challenge(&challenge)
        }
    }
}

/// What is given as `Authorization: Bearer …`.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, given) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    Some(given.trim()).filter(|given| scheme.eq_ignore_ascii_case("bearer") && !given.is_empty())
}

fn is_this_machine(host: &str) -> bool {
    let is_port = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let name = host.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(host, |(name, _)| name);
    ["localhost", "127.0.0.1", "[::1]"].contains(&name)
}

/// Around every route: counts the request by its route, never by its path, and gives its answer what every answer has. One layer for
/// both, because each costs every request its own.
pub(crate) async fn surround(request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let route = metrics::Route::of(request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str));
    let (method, open) = (name_of(request.method()), metrics::Open::begin(route));
    let mut response = next.run(request).await;
    open.route().answered(method, response.status().as_u16(), begun.elapsed().as_secs_f64());
    secure(&mut response);
    response
}

/// Nothing is kept by who stands between, unless a route says so, nothing is framed, and nothing run but what
/// `/docs` and `/console` say of themselves; nobody is told from which page one comes, unless a page says so.
fn secure(response: &mut Response) {
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    let nothing = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(nothing);
    headers.entry(header::REFERRER_POLICY).or_insert(HeaderValue::from_static("no-referrer"));
    for (name, value) in [(header::X_CONTENT_TYPE_OPTIONS, "nosniff"), (header::X_FRAME_OPTIONS, "DENY")] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// One of few.
fn name_of(method: &Method) -> &'static str {
    let known = [(Method::GET, "GET"), (Method::POST, "POST"), (Method::PUT, "PUT"), (Method::HEAD, "HEAD")];
    known.iter().find(|(one, _)| one == method).map_or("other", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_its_own() {
        for host in ["localhost", "localhost:8080", "127.0.0.1:1", "[::1]:8080", "[::1]"] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example:80", "127.0.0.1.evil", "", "localhost:x"] {
            assert!(!is_this_machine(host), "{host}");
        }
    }
}
