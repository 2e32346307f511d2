//! What the pages are made with: a style sheet that is ours, and htmx as its package has it.

use axum::Router;
use axum::http::{HeaderName, header};
use axum::response::IntoResponse;
use axum::routing::get;

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// The style sheet's path.
pub(super) const STYLE_PATH: &str = "/console/assets/style.css";
/// The scripts' paths, in the order in which they run.
pub(super) const SCRIPT_PATHS: [&str; 2] = ["/console/assets/htmx.min.js", "/console/assets/hx-sse.min.js"];

/// The files. Whoever has no key yet gets them too.
pub(super) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let [htmx, sse] = SCRIPT_PATHS;
    Router::new()
        .route(STYLE_PATH, get(async || file(STYLE, None, include_bytes!("../../console/style.css"))))
        .route(htmx, get(async || file(SCRIPT, Some("gzip"), include_bytes!("../../console/htmx.min.js.gz"))))
        .route(sse, get(async || file(SCRIPT, Some("gzip"), include_bytes!("../../console/hx-sse.min.js.gz"))))
}

/// A release may bring others, under the same path.
fn file(kind: &'static str, encoding: Option<&'static str>, bytes: &'static [u8]) -> impl IntoResponse {
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "public, max-age=600")];
    let encoded: Vec<(HeaderName, &str)> =
        encoding.map(|encoding| (header::CONTENT_ENCODING, encoding)).into_iter().collect();
    let mut response = (headers, bytes).into_response();
    for (name, value) in encoded {
        response.headers_mut().insert(name, axum::http::HeaderValue::from_static(value));
    }
    response
}
