//! Callers over HTTP: what they ask for, and a connection that is kept alive between one request and the next.
//!
//! Every order has a number of its own in its load, and its id follows from it, so that its events lead back to its request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use schemas::{Codec, PlaceOrder, Time};
use serde::Serialize;
use tokio::net::TcpStream;

use crate::error::{BenchError, Doing, Result};
use crate::pipeline::{Orders, order_id};

/// The tag of the orders that are there before anything is measured.
pub(crate) const SEEDED: &str = "seeded";
/// Longer than any answer takes.
const LIMIT: Duration = Duration::from_secs(40);

/// What is asked, and of whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The door: place an order.
    Place,
    /// The door: place an order and wait for its outcome.
    PlaceAndWait,
    /// The bare handler that waits for Kafka's acknowledgement.
    BarePlace,
    /// The bare handler that does not.
    BareAtOnce,
    /// The door: an order as it stands.
    Look,
    /// The bare handler's row.
    BareLook,
}

impl Kind {
    /// What answers it.
    pub(crate) fn is_bare(self) -> bool {
        match self {
            Kind::BarePlace | Kind::BareAtOnce | Kind::BareLook => true,
            Kind::Place | Kind::PlaceAndWait | Kind::Look => false,
        }
    }

    /// Whether an answer means one more order.
    pub(crate) fn places(self) -> bool {
        match self {
            Kind::Place | Kind::PlaceAndWait | Kind::BarePlace | Kind::BareAtOnce => true,
            Kind::Look | Kind::BareLook => false,
        }
    }

    fn answer(self) -> StatusCode {
        match self {
            Kind::Place | Kind::BarePlace | Kind::BareAtOnce => StatusCode::ACCEPTED,
            Kind::PlaceAndWait => StatusCode::CREATED,
            Kind::Look | Kind::BareLook => StatusCode::OK,
        }
    }
}

/// Where a load's requests come from.
pub(crate) struct Work {
    /// What is asked.
    pub(crate) kind: Kind,
    /// Who answers.
    pub(crate) address: SocketAddr,
    /// The orders that are placed.
    pub(crate) orders: Arc<Orders>,
    /// In front of the number in their ids.
    pub(crate) tag: String,
    /// How many orders there are to look at.
    pub(crate) seeded: u64,
    /// What the bare handlers get is encoded.
    pub(crate) codec: Codec,
}

#[derive(Serialize)]
struct PlaceBody<'o> {
    order_id: &'o str,
    customer_id: &'o str,
    currency: &'o str,
    lines: Vec<LineBody<'o>>,
}

#[derive(Serialize)]
struct LineBody<'o> {
    sku: &'o str,
    quantity: i64,
    unit_price_minor: i64,
}

impl Work {
    /// The request with this number.
    fn request(&self, number: u64) -> Result<Request<Full<Bytes>>> {
        let (method, path, body) = match self.kind {
            Kind::Place | Kind::PlaceAndWait => (Method::POST, "/v1/orders".to_owned(), json(&self.order(number)?)?),
            Kind::BarePlace => {
                let order = self.order(number)?;
                (Method::POST, format!("/orders/{}", order.order_id), self.encoded(order)?)
            }
            Kind::BareAtOnce => {
                let order = self.order(number)?;
                (Method::POST, format!("/at-once/{}", order.order_id), self.encoded(order)?)
            }
            Kind::Look => (Method::GET, format!("/v1/orders/{}", self.there_is(number)?), Vec::new()),
            Kind::BareLook => (Method::GET, format!("/orders/{}", self.there_is(number)?), Vec::new()),
        };
        let mut request = Request::builder().method(method).uri(path).header(HOST, self.address.to_string());
        if self.kind.places() && !self.kind.is_bare() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if self.kind == Kind::PlaceAndWait {
            request = request.header("prefer", "wait=30");
        }
        request.body(Full::from(body)).map_err(BenchError::other)
    }

    fn order(&self, number: u64) -> Result<PlaceOrder> {
        self.orders.order(&self.tag, number, Time::from(Timestamp::now()))
    }

    fn encoded(&self, order: PlaceOrder) -> Result<Vec<u8>> {
        self.codec.encode(&order.into()).map_err(BenchError::other)
    }

    /// One of the orders that were there before; neighbouring numbers lead far apart.
    fn there_is(&self, number: u64) -> Result<schemas::OrderId> {
        order_id(SEEDED, number.wrapping_mul(7_919) % self.seeded.max(1))
    }
}

fn json(order: &PlaceOrder) -> Result<Vec<u8>> {
    let lines = order.lines.iter().map(|line| LineBody {
        sku: line.sku.as_str(),
        quantity: line.quantity,
        unit_price_minor: line.unit_price_minor,
    });
    let body = PlaceBody {
        order_id: order.order_id.as_str(),
        customer_id: order.customer_id.as_str(),
        currency: &order.currency,
        lines: lines.collect(),
    };
    serde_json::to_vec(&body).map_err(BenchError::other)
}

/// A connection.
pub(crate) struct Caller {
    sender: SendRequest<Full<Bytes>>,
    work: Arc<Work>,
}

impl Caller {
    /// Connects to who answers this work.
    pub(crate) async fn connect(work: &Arc<Work>) -> Result<Self> {
        let stream = TcpStream::connect(work.address).await.doing("connecting to a server")?;
        stream.set_nodelay(true).doing("connecting to a server")?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(BenchError::other)?;
        // Its error, if any, is what the next request gets.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Caller { sender, work: Arc::clone(work) })
    }

    /// Asks, and reads the answer to its end; any other one than the expected is an error.
    pub(crate) async fn ask(&mut self, number: u64) -> Result<()> {
        let request = self.work.request(number)?;
        let answering = async {
            self.sender.ready().await.map_err(BenchError::other)?;
            let response = self.sender.send_request(request).await.map_err(BenchError::other)?;
            let status = response.status();
            let body = response.into_body().collect().await.map_err(BenchError::other)?.to_bytes();
            Ok::<_, BenchError>((status, body))
        };
        let answered = tokio::time::timeout(LIMIT, answering).await;
        let (status, body) = answered.map_err(|_| BenchError::other(format!("no answer within {LIMIT:?}")))??;
        match status == self.work.kind.answer() {
            true => Ok(()),
            false => {
                let text = String::from_utf8_lossy(&body);
                Err(BenchError::other(format!("{:?} {number}: {status}: {text}", self.work.kind)))
            }
        }
    }
}
