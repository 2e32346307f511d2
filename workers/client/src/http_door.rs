//! The pipeline's API as a client sees it: for people outside Kafka's network. `order-api` publishes what is asked for here.
//!
//! Every request names the order or the command that it is about, so that it may be sent again: after 429, 503 and a lost
//! connection it is, after the pause that the answer asks for, for as long as the caller is patient.
//!
//! Deliberately absent: any rule about orders. A no is a service's, and is passed on with its reasons.

mod listed;
mod order_events;
mod outlet;
mod pauses;
mod problem;
mod request;
mod server_events;

use std::time::Duration;

use grammar::Secret;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use schemas::OrderId;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

pub use listed::{ListedCancellation, ListedHold, ListedOrder};
pub use order_events::OrderEvents;
pub use outlet::{HttpOutlet, HttpRefusal, Refusals};
pub use problem::{Problem, Reason};
pub use request::Request;

use self::pauses::Pauses;

/// How long a connection may take to come about.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// How long an answer may take beyond what it was asked to wait.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// The longest that an API is asked to wait with its answer.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Why the API could not be asked, or said neither yes nor no.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HttpError {
    /// It is no address.
    #[error("{url} is no address of an API: {reason}; give one such as https://orders.example/v1")]
    Address {
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The client cannot be set up.
    #[error("the HTTP client cannot be set up: {0}")]
    SetUp(String),
    /// Nothing that answers, or not in time.
    #[error("the API at {url} does not answer: {reason}; sending the same again is safe")]
    Unreachable {
        /// Its address.
        url: String,
        /// What was seen.
        reason: String,
    },
    /// It has said no, for another reason than a service's.
    #[error("the API at {url} says: {problem}")]
    Problem {
        /// Its address.
        url: String,
        /// What it said.
        problem: Problem,
    },
    /// What came is not what an API says.
    #[error("the API at {url} gives a strange answer: {reason}; is it an order-api of this version?")]
    Strange {
        /// Its address.
        url: String,
        /// What is strange.
        reason: String,
    },
    /// Nobody can ask for it over HTTP.
    #[error("over HTTP {what}; it works within Kafka's network, without --api")]
    NotOverHttp {
        /// What is not there.
        what: String,
    },
}

impl HttpError {
    /// Whether the same would be said to whatever else is asked.
    fn is_for_all(&self) -> bool {
        match self {
            HttpError::Problem { problem, .. } => [401, 403].contains(&problem.status),
            HttpError::Address { .. }
            | HttpError::SetUp(_)
            | HttpError::Unreachable { .. }
            | HttpError::Strange { .. }
            | HttpError::NotOverHttp { .. } => true,
        }
    }
}

/// What an API said to a command.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// It is done, or begun: now or by an earlier request.
    Taken,
    /// It is in its topic; what becomes of it was not asked for, or is not known yet.
    OnItsWay,
    /// A service says no.
    Refused(Problem),
}

/// An API at some address. Cheap to clone.
#[derive(Debug, Clone)]
pub struct HttpDoor {
    client: Client,
    base: Url,
    patience: Duration,
}

impl HttpDoor {
    /// The API at this address, with or without `/v1`. Nothing is asked yet; `patience` bounds how long a request is repeated.
    ///
    /// # Errors
    /// It is no address, or the key cannot stand in a header.
    pub fn open(url: &str, key: Option<&Secret>, patience: Duration) -> Result<Self, HttpError> {
        let wrong = |reason: String| HttpError::Address { url: url.to_owned(), reason };
        let mut base = Url::parse(url).map_err(|error| wrong(error.to_string()))?;
        if !["http", "https"].contains(&base.scheme()) || base.host_str().is_none() {
            return Err(wrong("it is neither http:// nor https://".to_owned()));
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(wrong("a key does not stand in it; give it as ORDERS_API_KEY".to_owned()));
        }
        base.set_query(None);
        if base.path() == "/" {
            base.set_path("/v1");
        }
        let mut headers = HeaderMap::new();
        if let Some(key) = key {
            let value = HeaderValue::from_str(&format!("Bearer {}", key.expose()));
            let mut value = value.map_err(|_| HttpError::SetUp("the key has characters that no key has".to_owned()))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let mut builder = Client::builder()
            .default_headers(headers)
            .connect_timeout(CONNECT_LIMIT)
            .redirect(Policy::none())
            .user_agent(concat!("orders/", env!("CARGO_PKG_VERSION")));
        if is_this_machine(&base) {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| HttpError::SetUp(in_words(&error)))?;
        Ok(HttpDoor { client, base, patience })
    }

    /// Its address.
    pub fn url(&self) -> &str {
        self.base.as_str()
    }

    /// Asks for a command. With `wait` the API answers once it knows what came of it, or that time is up.
    ///
    /// # Errors
    /// Neither a yes nor a service's no.
    pub async fn tell(&self, request: &Request, wait: Option<Duration>) -> Result<Told, HttpError> {
        let url = self.at(&request.path);
        let wait = wait.map(|wait| wait.clamp(Duration::from_secs(1), LONGEST_WAIT));
        let answer = self
            .ask(wait.unwrap_or_default(), || {
                let mut asking =
                    self.client.request(request.method.clone(), url.clone()).header("content-type", "application/json");
                if let Some(key) = &request.key {
                    asking = asking.header("idempotency-key", key.as_str());
                }
                if let Some(wait) = wait {
                    asking = asking.header("prefer", format!("wait={}", wait.as_secs()));
                }
                asking.body(request.body.to_string())
            })
            .await?;
        match answer.status() {
            StatusCode::ACCEPTED => return Ok(Told::OnItsWay),
            status if status.is_success() => return Ok(Told::Taken),
            _ => {}
        }
        let problem = self.problem(answer).await?;
        if problem.is_of_a_service() { Ok(Told::Refused(problem)) } else { Err(self.says(problem)) }
    }

    /// Looks something up; where there is no such thing, what is said of that.
    pub(crate) async fn find<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Result<T, Problem>, HttpError> {
        let mut url = self.at(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let answer = self.ask(Duration::ZERO, || self.client.get(url.clone())).await?;
        match answer.status() {
            StatusCode::OK => {
                let bytes = answer.bytes().await.map_err(|error| self.unreachable(in_words(&error)))?;
                serde_json::from_slice(&bytes).map(Ok).map_err(|error| self.strange(error.to_string()))
            }
            StatusCode::NOT_FOUND => Ok(Err(self.problem(answer).await?)),
            _ => {
                let problem = self.problem(answer).await?;
                Err(self.says(problem))
            }
        }
    }

    /// Opens the stream of an order's events behind this version; none while nobody knows of the order.
    async fn stream(self, order_id: OrderId, behind: i64) -> Result<Option<Response>, HttpError> {
        let url = self.at(&["orders", order_id.as_str(), "events"]);
        let asking = || self.client.get(url.clone()).header("last-event-id", behind);
        let answer = self.ask_without_end(asking).await?;
        match answer.status() {
            StatusCode::OK => Ok(Some(answer)),
            StatusCode::NOT_FOUND => Ok(None),
            _ => {
                let problem = self.problem(answer).await?;
                Err(self.says(problem))
            }
        }
    }

    fn at<S: AsRef<str>>(&self, path: &[S]) -> Url {
        let mut url = self.base.clone();
        // An address with a host has a path.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    /// One request whose answer has an end.
    async fn ask(&self, wait: Duration, asking: impl Fn() -> RequestBuilder) -> Result<Response, HttpError> {
        self.ask_without_end(|| asking().timeout(wait + ANSWER_LIMIT)).await
    }

    /// Asks until there is an answer other than that it is to be asked again, or the caller's patience ends.
    async fn ask_without_end(&self, asking: impl Fn() -> RequestBuilder) -> Result<Response, HttpError> {
        let deadline = Instant::now() + self.patience;
        let mut pauses = Pauses::default();
        loop {
            let (pause, error) = match asking().send().await {
                Ok(answer) if is_for_later(answer.status()) => {
                    let asked = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
                    let problem = self.problem(answer).await?;
                    (pauses.next(asked.map(Duration::from_secs)), self.says(problem))
                }
                Ok(answer) => return Ok(answer),
                Err(error) if error.is_builder() => return Err(HttpError::SetUp(in_words(&error))),
                Err(error) => (pauses.next(None), self.unreachable(in_words(&error))),
            };
            if Instant::now() + pause >= deadline {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn problem(&self, answer: Response) -> Result<Problem, HttpError> {
        let status = answer.status();
        let bytes = answer.bytes().await.map_err(|error| self.unreachable(in_words(&error)))?;
        Ok(Problem::read(status.as_u16(), &bytes))
    }

    fn says(&self, problem: Problem) -> HttpError {
        HttpError::Problem { url: self.base.to_string(), problem }
    }

    fn unreachable(&self, reason: String) -> HttpError {
        HttpError::Unreachable { url: self.base.to_string(), reason }
    }

    fn strange(&self, reason: String) -> HttpError {
        HttpError::Strange { url: self.base.to_string(), reason }
    }
}

/// What says that the same request may be taken later.
fn is_for_later(status: StatusCode) -> bool {
    const LATER: [StatusCode; 4] = [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::BAD_GATEWAY,
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::GATEWAY_TIMEOUT,
    ];
    LATER.contains(&status)
}

/// A proxy of this machine's has no business between it and itself.
fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// An error with its causes: the first one alone says little. Addresses are told once, elsewhere.
fn in_words(error: &reqwest::Error) -> String {
    let mut words = if error.is_timeout() { "it takes too long".to_owned() } else { "no connection".to_owned() };
    if !error.is_timeout() && !error.is_connect() {
        words = "the connection was lost".to_owned();
    }
    let mut cause = std::error::Error::source(error);
    let mut last = None;
    while let Some(error) = cause {
        last = Some(error.to_string());
        cause = error.source();
    }
    last.map_or(words.clone(), |last| format!("{words}: {last}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Result<String, HttpError> {
        HttpDoor::open(text, None, Duration::ZERO).map(|door| door.at(&["orders", "a b/c%"]).to_string())
    }

    #[test]
    fn an_address_is_taken_with_its_version_or_without_and_any_id_has_a_path() {
        for given in ["http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/"] {
            assert_eq!(url(given).unwrap(), "http://h:1/v1/orders/a%20b%2Fc%25", "{given}");
        }
        assert_eq!(url("https://h/shop/v1").unwrap(), "https://h/shop/v1/orders/a%20b%2Fc%25");
        for wrong in ["h:1", "ftp://h", "", "https://key@h/v1"] {
            assert!(url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_key_is_in_no_text() {
        let key = Secret::from("oak_1".to_owned());
        let door = HttpDoor::open("http://h", Some(&key), Duration::ZERO).unwrap();
        assert!(!format!("{door:?}").contains("oak_1"));
        assert!(HttpDoor::open("http://h", Some(&Secret::from("a\nb".to_owned())), Duration::ZERO).is_err());
    }

    #[tokio::test]
    async fn nobody_who_answers_is_told_with_the_address() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let door = HttpDoor::open(&format!("http://{address}"), None, Duration::from_millis(120)).unwrap();
        let said = door.find::<serde_json::Value>(&["stock"], &[]).await.unwrap_err().to_string();
        assert!(said.contains(&address.to_string()) && said.contains("no connection"), "{said}");
    }
    /// A server that gives these answers, one a connection, and then no more; how many requests it has had.
    async fn answering(answers: &'static [&'static str]) -> (HttpDoor, tokio::task::JoinHandle<usize>) {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            for (number, answer) in answers.iter().enumerate() {
                let Ok(Ok((mut stream, _))) = tokio::time::timeout(ANSWER_LIMIT, listener.accept()).await else {
                    return number;
                };
                let mut asked = vec![0; 4096];
                let _ = stream.read(&mut asked).await.unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            answers.len()
        });
        (HttpDoor::open(&url, None, Duration::from_secs(5)).unwrap(), server)
    }

    const LATER: &str =
        "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 0\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    const MUCH_LATER: &str =
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 60\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    const TAKEN: &str = "HTTP/1.1 202 Accepted\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}";

    fn placing() -> Request {
        Request::of(&crate::story::place_order().into()).unwrap()
    }

    #[tokio::test]
    async fn a_request_is_sent_again_when_it_is_told_to_be_and_a_connection_was_lost() {
        let (door, server) = answering(&[LATER, "", LATER, TAKEN]).await;
        assert_eq!(door.tell(&placing(), None).await.unwrap(), Told::OnItsWay);
        assert_eq!(server.await.unwrap(), 4);
    }

    #[tokio::test]
    async fn a_pause_that_is_longer_than_anybody_waits_ends_it_with_what_was_said() {
        let (door, server) = answering(&[MUCH_LATER]).await;
        let said = door.tell(&placing(), None).await.unwrap_err().to_string();
        assert!(said.contains("(503)"), "{said}");
        assert_eq!(server.await.unwrap(), 1);
    }
}
