//! A pipeline at rest: its orders are settled, its workers are gone, and one command lies among the dead letters.

use schemas::{Message, PlaceOrder, ServiceName};
use tests::{Outcome, Pipeline, Sent, Servers, Settings, sample, stock_for};

use crate::DAEMON;

/// On these servers, with so many of the sample's orders.
pub(crate) async fn rested(servers: &Servers, count: usize) -> Outcome<(Pipeline, Vec<PlaceOrder>)> {
    let settings = Settings { instances: 1, ..Settings::default() };
    let mut pipeline = Pipeline::start(DAEMON, servers, settings).await?;
    let orders = sample(0, count)?;
    pipeline.receive(&stock_for(&orders)).await?;
    pipeline.publish(&orders).await?;
    let spoilt = Sent { value: Some(b"no command".to_vec()), ..Sent::of(Message::from(orders[0].clone()))? };
    pipeline.broker().send(&spoilt).await?;
    pipeline.await_terminal(&orders).await?;
    pipeline.check_clean().await?;
    pipeline.stop_services(&ServiceName::ALL).await?;
    Ok((pipeline, orders))
}
