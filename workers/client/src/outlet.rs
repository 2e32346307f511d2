//! Where commands go: to the topics, or to the API that publishes them. One file of orders goes either way.

use std::time::Duration;

use schemas::Message;
use uuid::Uuid;

use super::{ClientError, Deliveries, Publisher};

/// Takes commands without waiting for what becomes of each, a bounded number at a time.
pub trait Outlet {
    /// Hands a command over. Gives the id by which what follows from it is known; what becomes of it is told by `flush`.
    fn send(&self, message: &Message) -> impl Future<Output = Result<Uuid, ClientError>> + Send;

    /// Waits until everything that was handed over is confirmed or given up, at most this long.
    fn flush(&self, wait: Duration) -> impl Future<Output = Result<Deliveries, ClientError>> + Send;
}

impl Outlet for Publisher {
    async fn send(&self, message: &Message) -> Result<Uuid, ClientError> {
        Publisher::send(self, message).await
    }

    async fn flush(&self, wait: Duration) -> Result<Deliveries, ClientError> {
        Publisher::flush(self, wait).await
    }
}
