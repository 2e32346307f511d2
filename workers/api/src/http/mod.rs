//! `/v1`: who may, what waits, and what is answered. Each file of this folder has the routes of one thing.
//!
//! A request goes through the same gates in the same order: the headers that every answer has, what is counted, the key and its
//! role, its turn, the limits. What was asked for is then published as a command, or read from the view.

mod action;
mod acts;
mod answer;
mod awaited;
mod docs;
mod forms;
pub(crate) mod gate;
mod lists;
mod openapi;
mod orders;
mod payment;
mod placing;
mod problem;
mod products;
mod request;
mod returns;
mod shapes;
mod shortage;
mod status;
mod stock;
mod stream;
mod stuck;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::{DefaultBodyLimit, State};
use axum::http::Uri;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use client::Publisher;
use tokio::sync::{Semaphore, watch};

pub(crate) use acts::Fate;
pub(crate) use answer::escaped;
pub use openapi::document;
pub(crate) use orders::{behind, cursor, last_before_next};
pub(crate) use problem::{Kind, Problem};
pub(crate) use stock::Supplied;
pub(crate) use stream::Room;
pub(crate) use stuck::{Ending, MayShape, StuckPage, StuckQuery, StuckShape, page_of as stuck_page};

use crate::daemons::Daemons;
use crate::keys::Role;
use crate::lag::Lag;
use crate::metrics;
use crate::payment_actions::PaymentActions;
use crate::tail::Tail;
use crate::view::Reads;
use crate::who::Who;

/// What may wait, and how large it may be.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The largest body, in bytes.
    pub body_bytes: usize,
    /// Commands that Kafka has not confirmed yet.
    pub unconfirmed: u64,
    /// Commands that the order service has not taken yet.
    pub commands: i64,
    /// Streams that are open.
    pub streams: usize,
}

/// All that the routes work with.
pub struct Door {
    /// Publishes commands.
    pub publisher: Publisher,
    /// The read model.
    pub reads: Reads,
    /// What is said now.
    pub tail: Tail,
    /// How far behind.
    pub lag: Lag,
    /// How the daemons are.
    pub daemons: Daemons,
    /// Who knows where customers go; nobody, where that is not set.
    pub(crate) actions: Option<PaymentActions>,
    /// Who may.
    pub who: Arc<Who>,
    /// What may wait.
    pub limits: Limits,
    /// Streams that are open.
    pub streams: AtomicUsize,
    /// Room for lists that are read to their end.
    pub lists: Arc<Semaphore>,
    /// Whether it is to end.
    pub stopping: watch::Receiver<bool>,
}

type Shared = State<Arc<Door>>;

/// What commands name as their source (`ce_source`); who asks stands behind it.
pub const SOURCE: &str = "/order-api";

/// Room for lists that are read to their end.
pub(crate) fn room_for_lists() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(lists::AT_ONCE))
}

impl Door {
    /// Commands that Kafka has not confirmed yet.
    fn unconfirmed(&self) -> u64 {
        self.publisher.unconfirmed()
    }

    /// Whether another command may come in.
    fn admit(&self) -> Result<(), Problem> {
        let unconfirmed = self.unconfirmed();
        if unconfirmed >= self.limits.unconfirmed {
            let words = format!("{unconfirmed} commands wait for Kafka; send the same again in a moment");
            return Err(Problem::new(Kind::TooMany, words).retry_after(1));
        }
        match self.lag.commands().filter(|waiting| *waiting > self.limits.commands) {
            None => Ok(()),
            Some(waiting) => {
                let words = format!("{waiting} commands wait for the order service; send the same again later");
                Err(Problem::new(Kind::TooMany, words).retry_after(5))
            }
        }
    }

    fn count_streams(&self) {
        metrics::streams(self.streams.load(Ordering::Relaxed));
    }
}

/// All routes.
pub fn router(door: Arc<Door>) -> Router {
    let with = |role| from_fn_with_state((Arc::clone(&door), role), gate::admit);
    let read = Router::new()
        .route("/v1/orders/{id}", get(orders::one))
        .route("/v1/orders/{id}/events", get(stream::events))
        .route("/v1/orders/{id}/payment", get(payment::one))
        .route("/v1/products", get(products::list))
        .route("/v1/products/{sku}", get(products::one))
        .route("/v1/stock", get(stock::list))
        .route("/v1/stock/{sku}", get(stock::one))
        .route("/v1/status", get(status::status))
        .route("/v1/orders", get(orders::list))
        .route_layer(with(Role::OrdersRead));
    let write = Router::new()
        .route("/v1/orders", post(placing::place))
        .route("/v1/orders/{id}/payment/action", get(action::one))
        .route("/v1/orders/{id}/ship", post(acts::ship))
        .route("/v1/orders/{id}/cancel", post(acts::cancel))
        .route("/v1/orders/{id}/refunds", post(acts::refund))
        .route("/v1/orders/{id}/returns", post(returns::request))
        .route("/v1/orders/{id}/returns/{return_id}/receipt", post(returns::receive))
        .route_layer(with(Role::OrdersWrite));
    let act = Router::new()
        .route("/v1/orders/{id}/hold", post(acts::hold))
        .route("/v1/orders/{id}/release", post(acts::release))
        .route("/v1/orders/{id}/reject", post(acts::reject))
        .route("/v1/orders/{id}/retry", post(stuck::retry))
        .route("/v1/orders/{id}/skip", post(stuck::skip))
        .route("/v1/orders/{id}/resolve", post(stuck::resolve))
        .route("/v1/stuck", get(stuck::list))
        .route_layer(with(Role::OpsAct));
    let supply = Router::new()
        .route("/v1/products/{sku}", put(products::describe))
        .route("/v1/stock/receipts", post(stock::receive))
        .route("/v1/stock/adjustments", post(stock::adjust))
        .route_layer(with(Role::StockWrite));
    Router::new()
        .merge(read)
        .merge(write)
        .merge(act)
        .merge(supply)
        .merge(docs::router())
        .route("/v1/openapi.json", get(async || Json(document())))
        .method_not_allowed_fallback(wrong_method)
        .fallback(unknown)
        .layer(DefaultBodyLimit::max(door.limits.body_bytes))
        .layer(from_fn(gate::surround))
        .with_state(door)
}

async fn unknown(uri: Uri) -> Problem {
    Problem::new(Kind::NotFound, format!("there is nothing at {}; /v1/openapi.json says what there is", uri.path()))
}

async fn wrong_method() -> Problem {
    Problem::new(Kind::MethodNotAllowed, "the header Allow says with which methods")
}
