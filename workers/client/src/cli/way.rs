//! The way to the pipeline: Kafka's topics, or the API for who is outside their network. A verb asks here for what it needs, and
//! says the same whichever way it goes.

use std::time::Duration;

use schemas::{Message, OrderId, TopicName};
use uuid::Uuid;

use super::output::Failure;
use crate::{
    Came, ClientError, Connection, Deliveries, HttpDoor, HttpError, HttpOutlet, HttpRefusal, OrderEvents, Outlet,
    Publisher, Record, Refusals, Selection, TopicReader,
};

/// Which way.
pub(super) enum Way {
    Kafka(Connection),
    Http(HttpDoor),
}

/// What these commands name as their origin.
pub(super) const SOURCE: &str = "/orders";

impl Way {
    /// Kafka's, for what no API tells.
    pub(super) fn kafka(&self, what: &str) -> Result<&Connection, Failure> {
        match self {
            Way::Kafka(connection) => Ok(connection),
            Way::Http(_) => Err(HttpError::NotOverHttp { what: what.to_owned() }.into()),
        }
    }

    /// For commands of this topic. Over HTTP what becomes of each is waited for so long, if at all.
    pub(super) async fn outlet(&self, topic: TopicName, wait: Option<Duration>) -> Result<WayOutlet, ClientError> {
        Ok(match self {
            Way::Kafka(connection) => {
                let publisher = Publisher::open(connection, SOURCE)?;
                publisher.check_topic(topic).await?;
                WayOutlet::Kafka(publisher)
            }
            Way::Http(door) => {
                let taken_for = if wait.is_some() { Refusals::Answers } else { Refusals::Failures };
                WayOutlet::Http(HttpOutlet::open(door, wait, taken_for))
            }
        })
    }

    /// An order's events from its first one on.
    pub(super) async fn order_events(&self, order_id: &OrderId) -> Result<Events, ClientError> {
        Ok(match self {
            Way::Kafka(connection) => {
                let key = Some(order_id.as_str().to_owned());
                let selection = Selection { topic: TopicName::OrderEvents, key, from_end: false };
                Events::Topic(Box::new(TopicReader::open(connection, selection).await?))
            }
            Way::Http(door) => Events::Http(Box::new(OrderEvents::open(door, order_id).await?)),
        })
    }
}

/// Publishes.
pub(super) enum WayOutlet {
    Kafka(Publisher),
    Http(HttpOutlet),
}

impl WayOutlet {
    /// What was refused in the answer itself. Through Kafka it is heard with the other events.
    pub(super) fn refusals(&self) -> Vec<Record> {
        match self {
            WayOutlet::Kafka(_) => Vec::new(),
            WayOutlet::Http(outlet) => outlet.refusals().iter().map(HttpRefusal::record).collect(),
        }
    }
}

impl Outlet for WayOutlet {
    async fn send(&self, message: &Message) -> Result<Uuid, ClientError> {
        match self {
            WayOutlet::Kafka(publisher) => Outlet::send(publisher, message).await,
            WayOutlet::Http(outlet) => outlet.send(message).await,
        }
    }

    async fn flush(&self, wait: Duration) -> Result<Deliveries, ClientError> {
        match self {
            WayOutlet::Kafka(publisher) => Outlet::flush(publisher, wait).await,
            WayOutlet::Http(outlet) => outlet.flush(wait).await,
        }
    }
}

/// Gives events of orders, those that were and those to come.
pub(super) enum Events {
    Topic(Box<TopicReader>),
    Http(Box<OrderEvents>),
}

impl Events {
    /// The next one; `Idle` when nothing comes within `wait`.
    pub(super) async fn next(&mut self, wait: Duration) -> Result<Came, ClientError> {
        match self {
            Events::Topic(reader) => reader.next(wait).await,
            Events::Http(events) => events.next(wait).await,
        }
    }

    /// How much is left of what was there at the beginning.
    pub(super) fn remaining(&self) -> u64 {
        match self {
            Events::Topic(reader) => reader.remaining(),
            Events::Http(events) => events.remaining(),
        }
    }
}
