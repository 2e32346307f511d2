//! `/docs`: Swagger UI over the document of the routes, out of the program itself, so that it works where there is no other network.
//!
//! Its files are those of its package, compressed; every browser takes them so. The page asks nobody but this door, and may run
//! nothing but these files. Deliberately absent: a log-in; what is tried out there is sent with the key or token that one gives it.

use axum::Router;
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// What the page may do: run and show the files of this door, and ask it. Swagger UI has its pictures in its style sheet.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// The page and its files.
pub(super) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let page = include_str!("../../swagger-ui/index.html");
    let start = include_str!("../../swagger-ui/start.js");
    let bundle: &[u8] = include_bytes!("../../swagger-ui/swagger-ui-bundle.js.gz");
    let style: &[u8] = include_bytes!("../../swagger-ui/swagger-ui.css.gz");
    Router::new()
        .route("/docs", get(async move || plain(HTML, page)))
        .route("/docs/start.js", get(async move || plain(SCRIPT, start)))
        .route("/docs/swagger-ui-bundle.js", get(async move || packed(SCRIPT, bundle)))
        .route("/docs/swagger-ui.css", get(async move || packed(STYLE, style)))
}

fn plain(kind: &'static str, text: &'static str) -> Response {
    let policy = (header::CONTENT_SECURITY_POLICY, POLICY);
    ([(header::CONTENT_TYPE, kind), policy, (header::CACHE_CONTROL, "no-cache")], text).into_response()
}

fn packed(kind: &'static str, bytes: &'static [u8]) -> Response {
    let headers: [(HeaderName, &str); 3] = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_ENCODING, "gzip"),
        // A release may bring others.
        (header::CACHE_CONTROL, "public, max-age=3600"),
    ];
    (headers, bytes).into_response()
}

#[cfg(test)]
mod tests {
    use axum::middleware::from_fn;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::http::gate;

    /// What stands behind each `name="` of a page.
    fn values<'p>(page: &'p str, name: &str) -> Vec<&'p str> {
        page.split(&format!(" {name}=\"")).skip(1).filter_map(|rest| rest.split('"').next()).collect()
    }

    /// The head of an answer in lower case, and its body.
    async fn get(path: &str) -> (String, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(axum::serve(listener, router().layer(from_fn(gate::surround))).into_future());
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        serving.abort();
        let head = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
        (String::from_utf8_lossy(&answer[..head]).to_lowercase(), answer[head + 4..].to_vec())
    }

    #[tokio::test]
    async fn all_that_the_page_refers_to_is_served_and_nothing_else_may_run() {
        let (head, page) = get("/docs").await;
        let page = String::from_utf8(page).unwrap();
        assert!(head.starts_with("http/1.1 200") && head.contains(HTML), "{head}");
        let policy = head.lines().find_map(|line| line.strip_prefix("content-security-policy: ")).unwrap();
        let allowed = |directive: &str| {
            policy.split("; ").find_map(|part| part.strip_prefix(directive)?.strip_prefix(' ')).unwrap_or("'none'")
        };
        assert_eq!(
            [allowed("default-src"), allowed("script-src"), allowed("connect-src")],
            ["'none'", "'self'", "'self'"]
        );
        assert_eq!([allowed("style-src"), allowed("img-src")], ["'self'", "'self' data:"]);

        let scripts = values(&page, "src");
        assert_eq!(scripts.len(), page.matches("<script").count(), "a script within the page would not run");
        let files: Vec<&str> =
            scripts.into_iter().chain(values(&page, "href")).filter(|file| *file != "data:,").collect();
        assert_eq!(files.len(), 3, "{files:?}");
        for file in files {
            // Of this door, so that 'self' allows it.
            assert!(file.starts_with("/docs/"), "{file}");
            let (head, body) = get(file).await;
            let kind = if file.ends_with(".css") { STYLE } else { SCRIPT };
            assert!(head.starts_with("http/1.1 200") && head.contains(kind), "{file}: {head}");
            assert!(head.contains("x-content-type-options: nosniff"), "{file}: {head}");
            assert_eq!(head.contains("content-encoding: gzip"), body.starts_with(&[0x1f, 0x8b]), "{file}: {head}");
            // A page by itself it is not.
            assert!(head.contains("content-security-policy: default-src 'none'"), "{file}: {head}");
        }
        let start = include_str!("../../swagger-ui/start.js");
        assert!(start.contains("\"/v1/openapi.json\""));
        assert!(!start.contains("://"), "it asks this door alone");
    }
}
