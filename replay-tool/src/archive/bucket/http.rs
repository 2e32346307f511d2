//! HTTP/1.1 over TCP or OpenSSL's TLS: as little of it as `object_store` asks its client for.
//!
//! A request and all of its answer have one time limit, and connections are kept for the next ones. No task runs beside:
//! whoever waits for an answer drives its connection. Deliberately absent: redirects, proxies, HTTP/2; and trying again,
//! which the caller does by the kind of the error.

use std::error::Error as StdError;
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, Either, select};
use http_body_util::BodyExt as _;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use object_store::client::{
    ClientConfigKey, HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse,
    HttpService,
};
use object_store::{ClientOptions, HeaderValue};
use openssl::ssl::SslConnector;
use openssl::x509::X509VerifyResult;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_openssl::SslStream;
use url::{Position, Url};

/// How long a connection may take until it can be used.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How many connections are kept while nobody uses them.
const MOST_KEPT: usize = 8;

/// Why there is no answer; at the end of the chain of causes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error("the endpoint is http://")]
    Unencrypted,
    #[error("{0}")]
    Unreachable(String),
    #[error("{0}")]
    Untrusted(String),
    #[error("{0}")]
    Broken(String),
}

impl NoAnswer {
    /// `Timeout` and `Interrupted`: it may have been done all the same.
    fn of_kind(self, kind: HttpErrorKind) -> HttpError {
        HttpError::new(kind, self)
    }
}

/// Makes clients.
#[derive(Debug)]
pub(super) struct Connector {
    pub(super) tls: SslConnector,
    /// Of a request and its answer.
    pub(super) answer_within: Duration,
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let allow_http = options.get_config_value(&ClientConfigKey::AllowHttp).unwrap_or_default();
        Ok(HttpClient::new(Client {
            tls: self.tls.clone(),
            answer_within: self.answer_within,
            may_be_plain: matches!(allow_http.to_ascii_lowercase().as_str(), "1" | "true" | "on" | "yes" | "y"),
            kept: Mutex::default(),
        }))
    }
}

/// Asks servers.
struct Client {
    tls: SslConnector,
    answer_within: Duration,
    may_be_plain: bool,
    /// Connections that nobody uses, each with its server.
    kept: Mutex<Vec<(String, Connection)>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Client").finish_non_exhaustive()
    }
}

impl HttpService for Client {
    fn call<'s, 'f>(&'s self, request: HttpRequest) -> BoxFuture<'f, Result<HttpResponse, HttpError>>
    where
        's: 'f,
        Self: 'f,
    {
        Box::pin(async move {
            let answered = timeout(self.answer_within, self.ask(request)).await;
            answered.unwrap_or_else(|_| {
                let said = format!("nothing, or not all of it, came in {} s", self.answer_within.as_secs());
                Err(NoAnswer::Broken(said).of_kind(HttpErrorKind::Timeout))
            })
        })
    }
}

impl Client {
    async fn ask(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let unreadable = |error: &dyn StdError| NoAnswer::Broken(innermost(error)).of_kind(HttpErrorKind::Unknown);
        let url = Url::parse(&request.uri().to_string()).map_err(|error| unreadable(&error))?;
        if url.scheme() != "https" && !self.may_be_plain {
            return Err(NoAnswer::Unencrypted.of_kind(HttpErrorKind::Unknown));
        }
        let host = HeaderValue::from_str(&url[Position::BeforeHost..Position::AfterPort]);
        request.headers_mut().insert("host", host.map_err(|error| unreadable(&error))?);
        if let Some(place) = request.uri().path_and_query().cloned() {
            *request.uri_mut() = place.into();
        }
        let server = url[..Position::AfterPort].to_owned();
        let connection = match self.kept(&server).await {
            Some(connection) => connection,
            None => self.connect(&url).await?,
        };
        let (answer, connection) = connection.ask(request).await.map_err(broken)?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = connection.filter(|_| kept.len() < MOST_KEPT) {
            kept.push((server, connection));
        }
        Ok(answer)
    }

    /// A connection to this server that is still open.
    async fn kept(&self, server: &str) -> Option<Connection> {
        loop {
            let kept = {
                let mut all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
                let found = all.iter().position(|(of, _)| of == server)?;
                all.swap_remove(found)
            };
            let (_, mut connection) = kept;
            if connection.is_open().await {
                return Some(connection);
            }
        }
    }

    async fn connect(&self, url: &Url) -> Result<Connection, HttpError> {
        let made = timeout(CONNECT_WITHIN, self.stream(url)).await;
        let stream = made.unwrap_or_else(|_| {
            let said = format!("no connection in {} s", CONNECT_WITHIN.as_secs());
            Err(NoAnswer::Unreachable(said).of_kind(HttpErrorKind::Connect))
        })?;
        let (requests, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        Ok(Connection { requests, driver: Box::pin(driver) })
    }

    async fn stream(&self, url: &Url) -> Result<Box<dyn Stream>, HttpError> {
        let unreachable =
            |error: &dyn StdError| NoAnswer::Unreachable(innermost(error)).of_kind(HttpErrorKind::Connect);
        // An address of version 6 stands in brackets.
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let port = url.port_or_known_default().unwrap_or_default();
        let stream = TcpStream::connect((host, port)).await.map_err(|error| unreachable(&error))?;
        // Otherwise the last part of a request waits for the server's acknowledgement of the one before.
        stream.set_nodelay(true).map_err(|error| unreachable(&error))?;
        if url.scheme() != "https" {
            return Ok(Box::new(stream));
        }
        let ssl = self.tls.configure().and_then(|tls| tls.into_ssl(host)).map_err(|error| unreachable(&error))?;
        let mut stream = SslStream::new(ssl, stream).map_err(|error| unreachable(&error))?;
        let shaken = Pin::new(&mut stream).connect().await;
        match (shaken, stream.ssl().verify_result()) {
            (Ok(()), _) => Ok(Box::new(stream)),
            (Err(error), X509VerifyResult::OK) => Err(unreachable(&error)),
            // The next handshake would show the same certificate.
            (Err(_), why) => Err(NoAnswer::Untrusted(why.to_string()).of_kind(HttpErrorKind::Unknown)),
        }
    }
}

/// TCP, with or without TLS.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Moves bytes.
type Driver = http1::Connection<TokioIo<Box<dyn Stream>>, HttpRequestBody>;

/// An open connection, which moves only while somebody waits for it.
struct Connection {
    requests: SendRequest<HttpRequestBody>,
    driver: Pin<Box<Driver>>,
}

impl Connection {
    /// Whether it takes a request. The driver looks first, and sees whether the server has closed it meanwhile.
    async fn is_open(&mut self) -> bool {
        match select(&mut self.driver, pin!(self.requests.ready())).await {
            Either::Left(_) => false,
            Either::Right((ready, _)) => ready.is_ok(),
        }
    }

    /// The answer, all of it, and the connection, if it stays open.
    async fn ask(mut self, request: HttpRequest) -> hyper::Result<(HttpResponse, Option<Connection>)> {
        let exchange = async {
            let (parts, body) = self.requests.send_request(request).await?.into_parts();
            Ok(HttpResponse::from_parts(parts, body.collect().await?.to_bytes().into()))
        };
        let (answer, is_open) = match select(pin!(exchange), &mut self.driver).await {
            Either::Left((answer, _)) => (answer, true),
            // What has come until then may be the whole answer.
            Either::Right((_, exchange)) => (exchange.await, false),
        };
        answer.map(|answer| (answer, is_open.then_some(self)))
    }
}

/// The connection broke, and what was asked for may have been done.
fn broken(error: hyper::Error) -> HttpError {
    let kind = if error.is_parse() { HttpErrorKind::Unknown } else { HttpErrorKind::Interrupted };
    NoAnswer::Broken(innermost(&error)).of_kind(kind)
}

/// What the innermost cause says.
fn innermost(error: &dyn StdError) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
