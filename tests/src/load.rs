//! A small load: a client that places one order after the other, until it is told to stop, and knows which Kafka has confirmed.
//!
//! What is not confirmed is sent again, as a client does that wants its order; the same order twice is one order.

use std::time::Duration;

use schemas::PlaceOrder;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::{Outcome, Pipeline};

/// The client at work.
pub struct Load {
    stop: watch::Sender<bool>,
    client: JoinHandle<Vec<PlaceOrder>>,
}

impl Load {
    /// Stops it; the orders that Kafka has confirmed.
    pub async fn stop(self) -> Outcome<Vec<PlaceOrder>> {
        self.stop.send_replace(true);
        Ok(self.client.await?)
    }
}

impl Pipeline {
    /// Begins to place these orders at this pace.
    pub fn load(&self, orders: Vec<PlaceOrder>, per_second: u32) -> Load {
        let (publisher, (stop, mut stopped)) = (self.publisher.clone(), watch::channel(false));
        let client = tokio::spawn(async move {
            let mut confirmed = Vec::new();
            let mut tick = interval(Duration::from_secs(1) / per_second.max(1));
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            for order in orders {
                loop {
                    let placed = async {
                        tick.tick().await;
                        publisher.place(order.clone()).await
                    };
                    tokio::select! {
                        _ = stopped.wait_for(|is_stopped| *is_stopped) => return confirmed,
                        placed = placed => if placed.is_ok() { break },
                    }
                }
                confirmed.push(order);
            }
            confirmed
        });
        Load { stop, client }
    }
}
