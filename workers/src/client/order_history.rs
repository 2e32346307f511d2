//! One order's story: every message about it, in time order, and the state that its events lead to.
//!
//! Read from the topics alone, in the partitions where the order's key belongs. A command that a foreign partitioner put
//! elsewhere is therefore not shown; what the services made of it is.

use std::time::Duration;

use schemas::{Message, OrderEvent, OrderId, TopicName};

use super::{ClientError, Connection, Record, Selection, TopicReader};
use crate::decision::Inconsistent;
use crate::order::saga::{Order, evolve};

/// The topics that are keyed by order.
const TOPICS: [TopicName; 6] = [
    TopicName::OrderCommands,
    TopicName::OrderEvents,
    TopicName::InventoryCommands,
    TopicName::InventoryEvents,
    TopicName::PaymentCommands,
    TopicName::PaymentEvents,
];

/// Everything that the topics say about one order.
#[derive(Debug, Clone)]
pub struct OrderHistory {
    /// Which order.
    pub order_id: OrderId,
    /// Its messages, oldest first.
    pub records: Vec<Record>,
    /// Records under its key that do not count: undecodable, from strangers, or repeated.
    pub left_out: u64,
}

impl OrderHistory {
    /// Reads it. `progress` hears how many records are still to be read; `patience` bounds every wait for the next one.
    pub async fn read(
        connection: &Connection,
        order_id: &OrderId,
        patience: Duration,
        mut progress: impl FnMut(u64),
    ) -> Result<Self, ClientError> {
        let mut records = Vec::new();
        let mut left_out = 0;
        for topic in TOPICS {
            let selection = Selection { topic, key: Some(order_id.as_str().to_owned()), from_end: false };
            let mut reader = TopicReader::open(connection, selection).await?;
            progress(reader.remaining());
            while let Some(record) = reader.next_to_end(patience, &mut progress).await? {
                records.push(record);
            }
            left_out += reader.left_out();
        }
        records.sort_by_key(|record| record.time);
        Ok(Self { order_id: order_id.clone(), records, left_out })
    }

    /// The order as its events tell it; none where none was placed, or an error where a piece of its history is missing.
    pub fn order(&self) -> Result<Option<Order>, Inconsistent> {
        let mut events: Vec<(i64, &OrderEvent)> = Vec::new();
        for record in &self.records {
            if let (Message::OrderEvent(event), Some(version)) = (&record.message, record.message.version()) {
                events.push((version, event));
            }
        }
        events.sort_by_key(|(version, _)| *version);
        events.into_iter().try_fold(None, |state, (_, event)| evolve(state, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::saga::Stage;
    use schemas::{
        CancelReason, CustomerId, OrderCancelled, OrderCommandName, OrderPlaced, OrderRejected, OrderStockReserved,
        Time,
    };

    fn id() -> OrderId {
        OrderId::new("o").unwrap()
    }

    fn at() -> Time {
        Time::from_micros(0)
    }

    fn placed() -> OrderEvent {
        OrderPlaced {
            order_id: id(),
            version: 1,
            at: at(),
            customer_id: CustomerId::new("c").unwrap(),
            placed_at: at(),
            currency: "USD".to_owned(),
            lines: Vec::new(),
            total_minor: 0,
            confirm_by: at(),
        }
        .into()
    }

    fn reserved() -> OrderEvent {
        OrderStockReserved { order_id: id(), version: 2, at: at() }.into()
    }

    fn cancelled(version: i64) -> OrderEvent {
        let reason = CancelReason::OutOfStock;
        OrderCancelled { order_id: id(), version, at: at(), reason, command_id: None }.into()
    }

    fn rejected() -> OrderEvent {
        let command = OrderCommandName::PlaceOrder;
        OrderRejected { order_id: id(), at: at(), command, command_id: None, reasons: Vec::new() }.into()
    }

    fn history(events: Vec<OrderEvent>) -> OrderHistory {
        let record = |(offset, event): (i64, OrderEvent)| Record {
            topic: TopicName::OrderEvents,
            partition: 0,
            offset,
            time: at(),
            id: None,
            trace_parent: None,
            message: event.into(),
        };
        OrderHistory { order_id: id(), records: (0..).zip(events).map(record).collect(), left_out: 0 }
    }

    #[test]
    fn the_state_is_what_the_events_lead_to_whatever_their_order_and_repetition() {
        let order = history(vec![reserved(), rejected(), placed(), reserved()]).order().unwrap().unwrap();
        assert_eq!((order.stage, order.version), (Stage::StockReserved, 2));
        let order = history(vec![placed(), cancelled(2)]).order().unwrap().unwrap();
        assert_eq!(order.stage, Stage::Cancelled);
    }

    #[test]
    fn without_an_order_there_is_no_state_and_with_a_gap_there_is_an_error() {
        assert_eq!(history(vec![rejected()]).order(), Ok(None));
        assert!(history(vec![placed(), cancelled(3)]).order().is_err());
    }
}
