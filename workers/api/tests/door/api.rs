//! A caller over HTTP: one connection a request, so that nothing of one is left for the next.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::pipeline::Outcome;

/// Longer than any answer takes.
const LIMIT: Duration = Duration::from_secs(60);

/// Where the API is, and how it is asked.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    address: SocketAddr,
    headers: Vec<(String, String)>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Where Location says to look.
    pub(crate) fn location(&self) -> &str {
        self.header("location")
    }

    pub(crate) fn text(&self, field: &str) -> &str {
        self.body[field].as_str().unwrap_or_default()
    }

    /// The same answer, of this status.
    pub(crate) fn of(self, status: u16) -> Outcome<Self> {
        if self.status == status { Ok(self) } else { Err(format!("not {status}: {self:?}").into()) }
    }
}

/// A page of the console.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Page {
    /// The same page, of this status.
    pub(crate) fn of(self, status: u16) -> Outcome<Self> {
        if self.status == status { Ok(self) } else { Err(format!("not {status}: {self:?}").into()) }
    }
}

impl Api {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Api { address, headers: Vec::new() }
    }

    /// Where it is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same with a header.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut api = self.clone();
        api.headers.push((name.to_owned(), value.to_owned()));
        api
    }

    /// With a key of idempotency.
    pub(crate) fn once(&self, key: &str) -> Self {
        self.with("idempotency-key", key)
    }

    /// Waiting for the outcome.
    pub(crate) fn waiting(&self) -> Self {
        self.with("prefer", "wait=20")
    }

    pub(crate) async fn get(&self, path: &str) -> Outcome<Answer> {
        self.ask(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Outcome<Answer> {
        self.ask(Method::POST, path, Some(("application/json", body.to_string()))).await
    }

    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<(&str, String)>) -> Outcome<Answer> {
        let response = self.send(method, path, body).await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = tokio::time::timeout(LIMIT, response.into_body().collect()).await??.to_bytes();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes)? };
        Ok(Answer { status, headers, body })
    }

    /// A page, or what comes of a form with these fields.
    pub(crate) async fn page(&self, method: Method, path: &str, form: Option<&[(&str, &str)]>) -> Outcome<Page> {
        let form = form.map(serde_urlencoded::to_string).transpose()?;
        let response = self.send(method, path, form.map(|form| ("application/x-www-form-urlencoded", form))).await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = tokio::time::timeout(LIMIT, response.into_body().collect()).await??.to_bytes();
        Ok(Page { status, headers, text: String::from_utf8(bytes.to_vec())? })
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, String)>,
    ) -> Outcome<Response<Incoming>> {
        let stream = TcpStream::connect(self.address).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path);
        if !self.headers.iter().any(|(name, _)| name == "host") {
            request = request.header("host", self.address().to_string());
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let (kind, text) = body.unzip();
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        let request = request.body(Full::<Bytes>::from(text.unwrap_or_default()))?;
        Ok(tokio::time::timeout(LIMIT, sender.send_request(request)).await??)
    }

    /// All rows of a list.
    pub(crate) async fn lines(&self, path: &str) -> Outcome<Vec<Value>> {
        let body = self.with("accept", "application/x-ndjson").body(path).await?;
        let bytes = tokio::time::timeout(LIMIT, body.collect()).await??.to_bytes();
        std::str::from_utf8(&bytes)?.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// What comes of a request that is answered well.
    pub(crate) async fn body(&self, path: &str) -> Outcome<Incoming> {
        let response = self.send(Method::GET, path, None).await?;
        if response.status().is_success() { Ok(response.into_body()) } else { Err(response.status().as_str().into()) }
    }

    /// Sends a request and waits for nothing: who drops the connection is gone.
    pub(crate) async fn send_alone(&self, head: &str, body: &str) -> Outcome<TcpStream> {
        let mut stream = TcpStream::connect(self.address).await?;
        let length = body.len();
        let kind = "content-type: application/json";
        let text = format!("{head}\r\nhost: localhost\r\n{kind}\r\ncontent-length: {length}\r\n\r\n{body}");
        stream.write_all(text.as_bytes()).await?;
        Ok(stream)
    }

    /// A stream of an order's events.
    pub(crate) async fn follow(&self, order: &str) -> Outcome<Events> {
        let response = self.send(Method::GET, &format!("/v1/orders/{order}/events"), None).await?;
        match response.status().as_u16() {
            200 => Ok(Events { body: response.into_body(), text: String::new() }),
            status => Err(format!("{status}: {:?}", response.into_body().collect().await?.to_bytes()).into()),
        }
    }
}

/// Server-sent events as they come.
pub(crate) struct Events {
    body: Incoming,
    text: String,
}

/// One of them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) data: Value,
}

impl Events {
    /// The next one; none where the stream has ended.
    pub(crate) async fn next(&mut self) -> Outcome<Option<Event>> {
        let coming = tokio::time::timeout(LIMIT, self.come());
        coming.await.map_err(|_| "nothing but signs of life for a minute")?
    }

    async fn come(&mut self) -> Outcome<Option<Event>> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::trim_start);
                let (Some(id), Some(name), Some(data)) = (field("id:"), field("event:"), field("data:")) else {
                    continue;
                };
                return Ok(Some(Event { id: id.parse()?, name: name.to_owned(), data: serde_json::from_str(data)? }));
            }
            match self.body.frame().await {
                Some(frame) => {
                    let frame = frame?;
                    self.text.push_str(std::str::from_utf8(frame.data_ref().map(Bytes::as_ref).unwrap_or_default())?);
                }
                None => return Ok(None),
            }
        }
    }

    /// So many of them, by id and name.
    pub(crate) async fn take(&mut self, count: usize) -> Outcome<Vec<(i64, String)>> {
        let mut taken = Vec::new();
        while taken.len() < count {
            let event = self.next().await?.ok_or("the stream has ended")?;
            taken.push((event.id, event.name));
        }
        Ok(taken)
    }
}
