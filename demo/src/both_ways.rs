//! Two ways in: most orders go to Kafka, and every tenth through the API, as from somebody who has no Kafka client.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use client::{ClientError, Deliveries, HttpDoor, HttpOutlet, Outlet, Publisher, Refusals};
use schemas::{Message, OrderCommand, OrderId};
use uuid::Uuid;

use crate::error::DemoError;
use crate::scene::Scene;

/// One in so many goes over HTTP; the first of all does not, so that nobody waits for a second daemon.
const EVERY: u64 = 10;

/// How long the API may take to be there, and to take a command.
const PATIENCE: Duration = Duration::from_secs(60);

/// Publishes each order one way or the other.
pub(crate) struct BothWays<'p> {
    publisher: &'p Publisher,
    http: HttpOutlet,
    sent: Mutex<Sent>,
}

#[derive(Default)]
struct Sent {
    orders: u64,
    by_http: HashSet<OrderId>,
}

impl<'p> BothWays<'p> {
    /// By this publisher, and by the scene's API.
    pub(crate) fn open(scene: &Scene, publisher: &'p Publisher) -> Result<Self, DemoError> {
        let door = HttpDoor::open(&scene.api_url()?, None, PATIENCE).map_err(ClientError::from)?;
        // That the API knows a repetition for what it is, is an answer as good as the order service's.
        let http = HttpOutlet::open(&door, None, Refusals::Answers);
        Ok(Self { publisher, http, sent: Mutex::default() })
    }

    /// The orders that went over HTTP.
    pub(crate) fn by_http(self) -> HashSet<OrderId> {
        self.sent.into_inner().unwrap_or_else(PoisonError::into_inner).by_http
    }

    /// Whether this one goes over HTTP.
    fn takes_http(&self, message: &Message) -> bool {
        let Message::OrderCommand(OrderCommand::PlaceOrder(order)) = message else { return false };
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.orders += 1;
        let is_turn = sent.orders.is_multiple_of(EVERY);
        if is_turn {
            sent.by_http.insert(order.order_id.clone());
        }
        is_turn
    }
}

impl Outlet for BothWays<'_> {
    async fn send(&self, message: &Message) -> Result<Uuid, ClientError> {
        if self.takes_http(message) { self.http.send(message).await } else { self.publisher.send(message).await }
    }

    async fn flush(&self, wait: Duration) -> Result<Deliveries, ClientError> {
        let (kafka, http) = (self.publisher.flush(wait).await?, self.http.flush(wait).await?);
        Ok(Deliveries {
            queued: kafka.queued + http.queued,
            delivered: kafka.delivered + http.delivered,
            failed: kafka.failed + http.failed,
            failures: [kafka.failures, http.failures].concat(),
        })
    }
}
