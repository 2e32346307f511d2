//! What the service reads and says: the pipeline's order events as they are, and its entries as JSON.
//!
//! What it says is an entry as it is from now on, whole, so that its tables follow from its own topic.

use consumer::{JsonMessage, Reads};
use schemas::{Codec, Message, MessageType, OrderEvent, ServiceName, TopicName};
use serde::{Deserialize, Serialize};

/// The points of one order: a row of `loyalty_entries`, and the body of what is said when it changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Which order.
    pub order_id: String,
    /// Whose points.
    pub customer: String,
    /// How many.
    pub points: i64,
    /// How far they are.
    pub state: State,
}

/// How far points are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// The order is placed, and not confirmed yet.
    Promised,
    /// The order is confirmed: they are in the account.
    Earned,
    /// The order was cancelled after that: they are out of the account again.
    TakenBack,
    /// The order was cancelled before it was confirmed.
    Lapsed,
}

impl JsonMessage for Entry {
    const TOPIC: &'static str = "loyalty.events.v1";
    const WRITER: Option<&'static str> = Some("/loyalty");
    const TYPE: &'static str = "loyalty.PointsPromised.v1";
    const TYPES: &'static [&'static str] =
        &[Self::TYPE, "loyalty.PointsEarned.v1", "loyalty.PointsTakenBack.v1", "loyalty.PointsLapsed.v1"];

    fn key(&self) -> &str {
        &self.order_id
    }

    fn ce_type(&self) -> &'static str {
        Self::TYPES[self.state as usize]
    }
}

/// The order service's events.
#[derive(Debug, Default)]
pub struct Orders;

impl Reads for Orders {
    type Message = OrderEvent;
    const TOPIC: &'static str = TopicName::OrderEvents.as_str();
    const WRITER: Option<&'static str> = Some(ServiceName::Order.source());

    fn key(event: &OrderEvent) -> &str {
        event.key().as_str()
    }

    fn belongs(ce_type: &str) -> bool {
        MessageType::of_ce_type(ce_type).is_some_and(|known| known.topic() == TopicName::OrderEvents)
    }

    fn read(&self, payload: &[u8]) -> Result<OrderEvent, String> {
        let message = Codec::embedded().decode(TopicName::OrderEvents, payload).map_err(|error| error.to_string())?;
        if let Message::OrderEvent(event) = message { Ok(event) } else { Err("no event of an order".to_owned()) }
    }
}
