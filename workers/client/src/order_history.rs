//! One order's story: every message about it, in time order, and the state that its events lead to.
//!
//! Read from the topics alone, in the partitions where murmur2 puts the order's id: there is what the services say. A
//! program with another partitioner may have put commands elsewhere: the other partitions of the commands are read too
//! where something is missing. Beside the messages stands what is not among them: what was set aside, and what waits.

use std::time::Duration;

use domain::decision::Inconsistent;
use domain::saga::{Order, evolve};
use schemas::{CommandId, Message, OrderEvent, OrderId, TopicName};

use super::open_transaction::{OpenTransaction, open_transactions};
use super::order_place::{Partitions, commands, is_placing};
use super::set_aside::AllSetAside;
use super::{ClientError, Connection, Record, Selection, TopicReader};

/// Everything that the topics say about one order.
#[derive(Debug, Clone)]
pub struct OrderHistory {
    /// Which order.
    pub order_id: OrderId,
    /// Its messages, oldest first.
    pub records: Vec<Record>,
    /// Records under its key that do not count: undecodable, from strangers, or repeated.
    pub left_out: u64,
    /// How many records were read on other partitions of the commands, because a command was missing; none: not needed.
    pub read_elsewhere: Option<u64>,
    /// Records about it that were set aside.
    pub set_aside: AllSetAside,
    /// Transactions that the reading had to stop at: what lies behind them is not known.
    pub open_transactions: Vec<OpenTransaction>,
}

impl OrderHistory {
    /// Reads it. `progress` hears how many records are still to be read; `patience` bounds every wait for the next one.
    pub async fn read(
        connection: &Connection,
        order_id: &OrderId,
        patience: Duration,
        mut progress: impl FnMut(u64),
    ) -> Result<Self, ClientError> {
        let mut reading = Reading { connection, patience, records: Vec::new(), left_out: 0, partitions: Vec::new() };
        for topic in TopicName::by_order() {
            let selection = Selection { topic, key: Some(order_id.as_str().to_owned()), from_end: false };
            reading.read(topic, TopicReader::open(connection, selection).await?, &mut progress).await?;
        }
        let mut read_elsewhere = None;
        if is_command_missing(&reading.records) {
            let reader = commands(connection, order_id, Partitions::Others).await?;
            read_elsewhere = Some(reader.remaining());
            reading.read(TopicName::OrderCommands, reader, &mut progress).await?;
        }
        let Reading { mut records, left_out, partitions, .. } = reading;
        records.sort_by_key(|record| record.time);
        let topics: Vec<TopicName> = TopicName::by_order().collect();
        let set_aside = AllSetAside::read(connection, &topics, order_id, patience).await?;
        let open_transactions = open_transactions(connection, partitions).await?;
        Ok(Self { order_id: order_id.clone(), records, left_out, read_elsewhere, set_aside, open_transactions })
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

/// What was read so far.
struct Reading<'c> {
    connection: &'c Connection,
    patience: Duration,
    records: Vec<Record>,
    left_out: u64,
    /// Full names of topics, and partitions.
    partitions: Vec<(String, i32)>,
}

impl Reading<'_> {
    async fn read(
        &mut self,
        topic: TopicName,
        mut reader: TopicReader,
        progress: &mut impl FnMut(u64),
    ) -> Result<(), ClientError> {
        progress(reader.remaining());
        while let Some(record) = reader.next_to_end(self.patience, progress).await? {
            self.records.push(record);
        }
        self.left_out += reader.left_out();
        let name = self.connection.topic(topic);
        self.partitions.extend(reader.partitions().map(|partition| (name.clone(), partition)));
        Ok(())
    }
}

/// Whether there is no `PlaceOrder`, or an event that answers a command which is not there.
fn is_command_missing(records: &[Record]) -> bool {
    let is_sent = |id: &CommandId| records.iter().any(|record| command_id(&record.message) == Some(id));
    !records.iter().any(is_placing)
        || records.iter().filter_map(|record| answered(&record.message)).any(|id| !is_sent(id))
}

/// The id of a command on an order.
fn command_id(message: &Message) -> Option<&CommandId> {
    let Message::OrderCommand(command) = message else { return None };
    command.command_id()
}

/// The command that an event answers.
fn answered(message: &Message) -> Option<&CommandId> {
    let Message::OrderEvent(event) = message else { return None };
    match event {
        OrderEvent::OrderCancelling(m) => m.command_id.as_ref(),
        OrderEvent::OrderCancelled(m) => m.command_id.as_ref(),
        OrderEvent::OrderRejected(m) => m.command_id.as_ref(),
        OrderEvent::OrderPlaced(_)
        | OrderEvent::OrderStockReserved(_)
        | OrderEvent::OrderConfirmed(_)
        | OrderEvent::OrderPaymentCaptured(_)
        | OrderEvent::OrderCompleted(_)
        | OrderEvent::OrderStuck(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::saga::Stage;
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
            cause: None,
            trace_parent: None,
            message: event.into(),
        };
        OrderHistory {
            order_id: id(),
            records: (0..).zip(events).map(record).collect(),
            left_out: 0,
            read_elsewhere: None,
            set_aside: AllSetAside::default(),
            open_transactions: Vec::new(),
        }
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
