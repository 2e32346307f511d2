//! How much of each SKU there is, and what was said of it, folded from what the inventory service says on its two event topics.
//!
//! Received is what came in (receipts and adjustments); a reservation holds pieces until its goods leave or it is undone.
//! The two topics are read one after the other, so that the numbers of a busy pipeline are not of one instant.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use domain::stock::{Deed, Description};
use schemas::{InventoryEvent, Message, OrderId, ReturnedStock, Sku, StockEvent, StockLine, TopicName};

use super::{ClientError, Connection, Selection, TopicReader};

/// What levels are folded from.
pub(super) const TOPICS: [TopicName; 2] = [TopicName::InventoryEvents, TopicName::StockEvents];

/// The stock of one SKU in pieces.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Level {
    /// All that came in, with adjustments.
    pub received: i128,
    /// Held for orders.
    pub reserved: i128,
    /// Gone to customers.
    pub shipped: i128,
    /// Come back from customers.
    pub returned: i128,
    /// Of what came back, what cannot be sold again.
    pub written_off: i128,
}

impl Level {
    /// What new orders can have.
    pub fn available(&self) -> i128 {
        self.received + self.returned - self.reserved - self.shipped - self.written_off
    }
}

/// What is known of a reservation: its version and, while it holds anything, its lines.
#[derive(Debug, Default)]
struct Reservation {
    version: i64,
    held: Vec<StockLine>,
}

/// Folds events of `stock.events` and `inventory.events`, in any order between keys and with repetitions.
#[derive(Debug, Default)]
pub struct StockLevels {
    levels: BTreeMap<Sku, Level>,
    descriptions: BTreeMap<Sku, Description>,
    versions: HashMap<Sku, i64>,
    reservations: HashMap<OrderId, Reservation>,
}

impl StockLevels {
    /// Reads both topics to their ends. `progress` hears how many records are still to be read.
    pub async fn read(
        connection: &Connection,
        patience: Duration,
        mut progress: impl FnMut(u64),
    ) -> Result<Self, ClientError> {
        let mut levels = Self::default();
        // Receipts last: a reservation that is seen has its receipt before it, so nothing looks below zero.
        for topic in TOPICS {
            let selection = Selection { topic, key: None, from_end: false };
            let mut reader = TopicReader::open(connection, selection).await?;
            while let Some(record) = reader.next_to_end(patience, &mut progress).await? {
                levels.apply(&record.message);
            }
        }
        Ok(levels)
    }

    /// Takes one message in; those of other topics change nothing.
    pub fn apply(&mut self, message: &Message) {
        if let Message::StockEvent(event) = message {
            self.apply_stock(event);
        }
        if let Message::InventoryEvent(event) = message {
            self.apply_reservation(event);
        }
    }

    /// Every SKU that anything is known of, ascending.
    pub fn all(&self) -> impl Iterator<Item = (&Sku, &Level)> {
        self.levels.iter()
    }

    /// One SKU's stock.
    pub fn of(&self, sku: &Sku) -> Option<Level> {
        self.levels.get(sku).copied()
    }

    /// The level of every SKU that anything is known of, and what was last said of those of which anything was.
    pub fn into_parts(self) -> (BTreeMap<Sku, Level>, BTreeMap<Sku, Description>) {
        (self.levels, self.descriptions)
    }

    fn apply_stock(&mut self, event: &StockEvent) {
        let (Some(version), Some(deed)) = (event.version(), Deed::told_by(event)) else { return };
        let sku = event.key();
        let newest = self.versions.entry(sku.clone()).or_default();
        if version > *newest {
            *newest = version;
            self.level(sku).received += i128::from(deed.pieces());
            match deed {
                Deed::Described(description) => {
                    self.descriptions.insert(sku.clone(), description);
                }
                Deed::Received(_) | Deed::Adjusted(_) => {}
            }
        }
    }

    fn apply_reservation(&mut self, event: &InventoryEvent) {
        let Some(version) = event.version() else { return };
        let reservation = self.reservations.entry(event.key().clone()).or_default();
        if version <= reservation.version {
            return;
        }
        reservation.version = version;
        let before = std::mem::take(&mut reservation.held);
        match event {
            InventoryEvent::StockReserved(m) => {
                reservation.held = m.lines.clone();
                self.hold(&m.lines);
            }
            InventoryEvent::StockCommitted(_) => self.let_go(&before, true),
            InventoryEvent::StockReleased(_) => self.let_go(&before, false),
            InventoryEvent::StockReturned(m) => self.take_back(&m.lines),
            InventoryEvent::StockRejected(_)
            | InventoryEvent::StockCommitRefused(_)
            | InventoryEvent::StockReturnRefused(_) => {}
        }
    }

    fn hold(&mut self, lines: &[StockLine]) {
        for line in lines {
            self.level(&line.sku).reserved += i128::from(line.quantity);
        }
    }

    fn let_go(&mut self, lines: &[StockLine], shipped: bool) {
        for line in lines {
            let level = self.level(&line.sku);
            level.reserved -= i128::from(line.quantity);
            level.shipped += if shipped { i128::from(line.quantity) } else { 0 };
        }
    }

    fn take_back(&mut self, lines: &[ReturnedStock]) {
        for line in lines {
            let level = self.level(&line.sku);
            level.returned += i128::from(line.restocked) + i128::from(line.written_off);
            level.written_off += i128::from(line.written_off);
        }
    }

    fn level(&mut self, sku: &Sku) -> &mut Level {
        self.levels.entry(sku.clone()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::{
        CommandId, StockAdjusted, StockCommitted, StockReceived, StockRejected, StockReleased, StockReserved,
        StockReturned, Time,
    };

    fn sku(text: &str) -> Sku {
        Sku::new(text).unwrap()
    }

    fn order(text: &str) -> OrderId {
        OrderId::new(text).unwrap()
    }

    fn command() -> CommandId {
        CommandId::new("c").unwrap()
    }

    const AT: fn() -> Time = || Time::from_micros(0);

    fn received(version: i64, quantity: i64) -> Message {
        let event = StockReceived { sku: sku("a"), version, at: AT(), command_id: command(), quantity, origin: None };
        StockEvent::from(event).into()
    }

    fn adjusted(version: i64, delta: i64) -> Message {
        StockEvent::from(StockAdjusted { sku: sku("a"), version, at: AT(), command_id: command(), delta, origin: None })
            .into()
    }

    fn reserved(id: &str, quantity: i64) -> Message {
        let lines = vec![StockLine { sku: sku("a"), quantity }];
        InventoryEvent::from(StockReserved { order_id: order(id), version: 1, at: AT(), lines }).into()
    }

    fn committed(id: &str) -> Message {
        InventoryEvent::from(StockCommitted { order_id: order(id), version: 2, at: AT() }).into()
    }

    fn released(id: &str, version: i64) -> Message {
        InventoryEvent::from(StockReleased { order_id: order(id), version, at: AT() }).into()
    }

    fn level_after(messages: &[Message]) -> (i128, i128, i128, i128) {
        let mut levels = StockLevels::default();
        messages.iter().for_each(|message| levels.apply(message));
        let level = levels.of(&sku("a")).unwrap_or_default();
        (level.received, level.reserved, level.shipped, level.available())
    }

    #[test]
    fn pieces_move_from_received_to_reserved_to_shipped_or_back() {
        let history =
            [received(1, 10), adjusted(2, -1), reserved("1", 4), reserved("2", 3), committed("1"), released("2", 2)];
        assert_eq!(level_after(&history[..4]), (9, 7, 0, 2));
        assert_eq!(level_after(&history[..5]), (9, 3, 4, 2));
        assert_eq!(level_after(&history), (9, 0, 4, 5));
    }

    #[test]
    fn what_comes_back_is_there_again_unless_it_is_written_off() {
        let lines = vec![ReturnedStock { sku: sku("a"), restocked: 2, written_off: 1 }];
        let returned = StockReturned { order_id: order("1"), version: 3, at: AT(), return_id: command(), lines };
        let returned: Message = InventoryEvent::from(returned).into();
        let history = [received(1, 10), reserved("1", 4), committed("1"), returned.clone(), returned];
        assert_eq!(level_after(&history), (10, 0, 4, 8));
    }

    #[test]
    fn repetitions_change_nothing() {
        let once = [received(1, 10), reserved("1", 4), committed("1")];
        let twice = [once.as_slice(), once.as_slice()].concat();
        assert_eq!(level_after(&twice), level_after(&once));
        assert_eq!(level_after(&twice), (10, 0, 4, 6));
    }

    #[test]
    fn a_refused_reservation_and_a_tombstone_hold_nothing() {
        let rejected = StockRejected { order_id: order("1"), version: 1, at: AT(), shortages: Vec::new() };
        let history = [received(1, 1), InventoryEvent::from(rejected).into(), released("2", 1), reserved("2", 1)];
        assert_eq!(level_after(&history), (1, 0, 0, 1));
    }

    #[test]
    fn the_order_between_the_topics_does_not_matter() {
        let mut history = vec![received(1, 5), reserved("1", 2), committed("1")];
        let forward = level_after(&history);
        history.rotate_left(1);
        assert_eq!(level_after(&history), forward);
    }
}
