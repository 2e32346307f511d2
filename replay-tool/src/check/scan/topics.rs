//! What all scans together have brought.

use schemas::{Sku, TopicName};
use workers::inventory::stock::Level;

use super::commands::SentCommand;
use super::counts::MessageCounts;
use super::letters::{Broken, Letter};
use super::orders::OrderFold;
use super::payments::PaymentFold;
use super::requests::Requests;
use super::reservations::ReservationFold;
use super::stock::StockFold;
use super::topic_scan::{Folding, Partition, Scan};
use crate::check::findings::Findings;
use crate::log::Channel;
use crate::rows::{
    ContentsRow, OrderRow, PaymentRow, PostingRow, ReceiptRow, ReservationRow, Rows, StockRow, TableRow,
};

/// All topics, read and folded.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    pub(crate) commands: Vec<SentCommand>,
    pub(crate) orders: OrderFold,
    pub(crate) inventory_requests: Requests,
    pub(crate) reservations: ReservationFold,
    pub(crate) stock: StockFold,
    pub(crate) payment_requests: Requests,
    pub(crate) payments: PaymentFold,
    /// With the topic that they come from.
    pub(crate) letters: Vec<(TopicName, Letter)>,
    pub(crate) broken: Vec<Broken>,
    pub(crate) partitions: Vec<ReadPartition>,
    pub(crate) counts: MessageCounts,
    pub(crate) findings: Findings,
}

/// A partition that was read.
#[derive(Debug)]
pub(crate) struct ReadPartition {
    pub(crate) channel: Channel,
    pub(crate) number: i32,
    pub(crate) read: Partition,
}

impl Topics {
    /// Put the scans together.
    pub(crate) fn of(scans: impl IntoIterator<Item = Scan>) -> Self {
        let mut topics = Topics::default();
        for scan in scans {
            topics.add(scan);
        }
        topics
    }

    fn add(&mut self, scan: Scan) {
        let Scan { channel, partitions, folding, broken, counts, findings, .. } = scan;
        let (Channel::Messages(topic) | Channel::DeadLetters(topic)) = channel;
        match folding {
            Folding::Commands(commands) => self.commands.extend(commands),
            Folding::Orders(fold) => self.orders = *fold,
            Folding::Requests(requests) if topic == TopicName::InventoryCommands => self.inventory_requests = requests,
            Folding::Requests(requests) => self.payment_requests = requests,
            Folding::Reservations(fold) => self.reservations = *fold,
            Folding::Stock(fold) => self.stock = *fold,
            Folding::Payments(fold) => self.payments = *fold,
            Folding::Letters(letters) => self.letters.extend(letters.into_iter().map(|letter| (topic, letter))),
        }
        self.broken.extend(broken);
        self.counts.add(&counts);
        self.findings.append(findings);
        let numbered = (0..).zip(partitions).map(|(number, read)| ReadPartition { channel, number, read });
        self.partitions.extend(numbered);
    }

    /// Whether everything that the service had committed to this topic was found in it.
    pub(crate) fn is_whole(&self, topic: TopicName) -> bool {
        let of_topic = |partition: &&ReadPartition| partition.channel == Channel::Messages(topic);
        self.partitions.iter().filter(of_topic).all(|partition| partition.read.delivered.is_at_cut())
    }

    /// Whether the dead letters of a topic are.
    pub(crate) fn are_letters_whole(&self, topic: TopicName) -> bool {
        let of_topic = |partition: &&ReadPartition| partition.channel == Channel::DeadLetters(topic);
        self.partitions.iter().filter(of_topic).all(|partition| partition.read.delivered.is_at_cut())
    }

    /// Whether everything was found in this topic that its reader has taken from it.
    pub(crate) fn has_all_taken(&self, topic: TopicName) -> bool {
        let of_topic = |partition: &&ReadPartition| partition.channel == Channel::Messages(topic);
        self.partitions.iter().filter(of_topic).all(|partition| partition.read.has_all_taken())
    }

    /// Whether that holds for all topics that state is folded from.
    pub(crate) fn are_events_whole(&self) -> bool {
        [TopicName::OrderEvents, TopicName::InventoryEvents, TopicName::StockEvents, TopicName::PaymentEvents]
            .into_iter()
            .all(|topic| self.is_whole(topic))
    }

    /// The folded state as the tables would hold it.
    pub(crate) fn rows(&self, partitions: i32) -> Rows {
        let levels = self.levels();
        let orders = &self.orders.orders;
        Rows {
            orders: keyed(orders.values().map(|order| OrderRow::of(order, partitions))),
            contents: keyed(orders.values().map(ContentsRow::of)),
            reservations: keyed(self.reservations.reservations.values().map(ReservationRow::of)),
            stock: keyed(levels.iter().map(|(sku, level)| StockRow::of(sku, *level))),
            receipts: keyed(self.stock.receipts.values().map(ReceiptRow::of)),
            payments: keyed(self.payments.payments.values().map(PaymentRow::of)),
            ledger: keyed(self.payments.postings.iter().map(PostingRow::of)),
        }
    }

    /// Receipts and reservations together.
    fn levels(&self) -> Vec<(Sku, Level)> {
        let mut levels = self.stock.levels.clone();
        for (sku, (reserved, shipped)) in &self.reservations.changes {
            let level = levels.entry(sku.clone()).or_default();
            (level.reserved, level.shipped) = (*reserved, *shipped);
        }
        levels.into_iter().collect()
    }
}

fn keyed<R: TableRow>(rows: impl Iterator<Item = R>) -> crate::rows::Table<R> {
    rows.map(|row| (row.key(), row)).collect()
}
