//! One order's story: every message about it, in time order, and the state that its events lead to.
//!
//! Read from the topics alone, in the partitions where murmur2 puts the order's id: there is what the services say. A
//! program with another partitioner may have put commands elsewhere: the other partitions of the commands are read too
//! where something is missing. Beside the messages stands what is not among them: what was set aside, and what waits.

use std::time::Duration;

use domain::decision::Inconsistent;
use domain::saga;
use schemas::{CommandId, Message, OrderEvent, OrderId, TopicName};

use super::open_transaction::{OpenTransaction, open_transactions};
use super::order_place::{Partitions, commands, is_placing};
use super::set_aside::AllSetAside;
use super::{ClientError, Connection, Record, Selection, Standing, TopicReader, currency_of};

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

    /// Of its events alone, where nothing else can be read.
    pub fn of_events(order_id: &OrderId, records: Vec<Record>) -> Self {
        Self {
            order_id: order_id.clone(),
            records,
            left_out: 0,
            read_elsewhere: None,
            set_aside: AllSetAside::default(),
            open_transactions: Vec::new(),
        }
    }

    /// In which currency it is, where that was said.
    pub fn currency(&self) -> Option<&str> {
        currency_of(self.records.iter().map(|record| &record.message))
    }

    /// Where the order stands as its events tell it; none where none was placed, or an error where a piece of its history is
    /// missing.
    pub fn standing(&self) -> Result<Option<Standing>, Inconsistent> {
        let mut events: Vec<(i64, &OrderEvent)> = Vec::new();
        for record in &self.records {
            if let (Message::OrderEvent(event), Some(version)) = (&record.message, record.message.version()) {
                events.push((version, event));
            }
        }
        events.sort_by_key(|(version, _)| *version);
        Standing::of(events.into_iter().map(|(_, event)| event))
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
    !records.iter().any(is_placing) || records.iter().filter_map(answered_by).any(|id| !is_sent(id))
}

/// The id of a command on an order.
fn command_id(message: &Message) -> Option<&CommandId> {
    let Message::OrderCommand(command) = message else { return None };
    command.command_id()
}

fn answered_by(record: &Record) -> Option<&CommandId> {
    let Message::OrderEvent(event) = &record.message else { return None };
    answered(event)
}

/// The command that an event answers: that made it happen, or is refused by it.
pub(super) fn answered(event: &OrderEvent) -> Option<&CommandId> {
    let origin = || saga::origin(event).map(|origin| &origin.command_id);
    match event {
        OrderEvent::OrderRejected(m) => m.command_id.as_ref(),
        OrderEvent::OrderCommandRefused(m) => Some(&m.command_id),
        OrderEvent::OrderCancelling(m) => origin().or(m.command_id.as_ref()),
        OrderEvent::OrderCancelled(m) => origin().or(m.command_id.as_ref()),
        OrderEvent::OrderPlaced(_)
        | OrderEvent::OrderStockReserved(_)
        | OrderEvent::OrderActionRequired(_)
        | OrderEvent::OrderAuthorized(_)
        | OrderEvent::OrderConfirmed(_)
        | OrderEvent::OrderPaymentCaptured(_)
        | OrderEvent::OrderHeld(_)
        | OrderEvent::OrderReleased(_)
        | OrderEvent::OrderShipped(_)
        | OrderEvent::OrderStockCommitted(_)
        | OrderEvent::OrderCompleted(_)
        | OrderEvent::OrderStuck(_)
        | OrderEvent::OrderRetried(_)
        | OrderEvent::OrderAskedAgain(_)
        | OrderEvent::OrderResolved(_)
        | OrderEvent::OrderRefundRequested(_)
        | OrderEvent::OrderRefunded(_)
        | OrderEvent::OrderRefundFailed(_)
        | OrderEvent::OrderReturnRequested(_)
        | OrderEvent::OrderReturnReceived(_)
        | OrderEvent::OrderReturnClosed(_) => origin(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::{Story, id, place_order, record};
    use domain::saga::Stage;
    use schemas::{CancelOrder, OrderRejected, Time};

    fn rejected() -> OrderEvent {
        let (order_id, command) = (place_order().order_id, schemas::OrderCommandName::PlaceOrder);
        let at = Time::from_micros(0);
        OrderRejected { order_id, at, command, command_id: None, reasons: Vec::new() }.into()
    }

    fn history(events: Vec<OrderEvent>) -> OrderHistory {
        OrderHistory {
            order_id: place_order().order_id,
            records: (0..).zip(events).map(|(offset, event)| record(offset, event)).collect(),
            left_out: 0,
            read_elsewhere: None,
            set_aside: AllSetAside::default(),
            open_transactions: Vec::new(),
        }
    }

    #[test]
    fn the_state_is_what_the_events_lead_to_whatever_their_order_and_repetition() {
        let events = Story::paid(place_order()).events;
        let (placed, reserved) = (events[0].clone(), events[1].clone());
        let order = history(vec![reserved.clone(), rejected(), placed, reserved]).standing().unwrap().unwrap().order;
        assert_eq!((order.stage, order.version), (Stage::StockReserved, 2));
    }

    #[test]
    fn without_an_order_there_is_no_state_and_with_a_gap_there_is_an_error() {
        assert_eq!(history(vec![rejected()]).standing(), Ok(None));
        let mut events = Story::paid(place_order()).events;
        events.remove(1);
        assert!(history(events).standing().is_err());
    }

    #[test]
    fn an_event_answers_the_command_that_made_it_happen() {
        let cancel = CancelOrder::new(place_order().order_id, id("c-1"));
        let story = Story::of(place_order()).takes(cancel);
        let answers: Vec<_> = story.events.iter().map(answered).collect();
        assert_eq!(answers, [None, Some(&id("c-1"))]);
    }
}
