//! What all scans together have brought.

use schemas::{ServiceName, TopicName};
use uuid::Uuid;

use super::commands::SentCommand;
use super::counts::MessageCounts;
use super::letters::{Broken, Letter};
use super::orders::OrdersSeen;
use super::payments::PaymentsSeen;
use super::requests::Requests;
use super::reservations::ReservationsSeen;
use super::stock::StockSeen;
use super::topic_scan::{Folding, Partition, Scan};
use crate::check::findings::Findings;
use crate::fold::{Levels, Orders, Payments, Reservations, Stock};
use crate::log::Channel;
use crate::rows::{Rows, TableRow};

/// All topics, read and folded.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    pub(crate) commands: Vec<SentCommand>,
    pub(crate) orders: Orders<OrdersSeen>,
    pub(crate) inventory_requests: Requests,
    pub(crate) reservations: Reservations<ReservationsSeen>,
    pub(crate) stock: Stock<StockSeen>,
    pub(crate) payment_requests: Requests,
    pub(crate) payments: Payments<PaymentsSeen>,
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
            Folding::Orders(mut fold) => {
                self.findings.append(std::mem::take(&mut fold.watch.findings));
                self.orders = *fold;
            }
            Folding::Requests(requests) if topic == TopicName::InventoryCommands => self.inventory_requests = requests,
            Folding::Requests(requests) => self.payment_requests = requests,
            Folding::Reservations(mut fold) => {
                self.findings.append(std::mem::take(&mut fold.watch.findings));
                self.reservations = *fold;
            }
            Folding::Stock(mut fold) => {
                self.findings.append(std::mem::take(&mut fold.watch.findings));
                self.stock = *fold;
            }
            Folding::Payments(mut fold) => {
                self.findings.append(std::mem::take(&mut fold.watch.findings));
                self.payments = *fold;
            }
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
        TopicName::of_state().all(|topic| self.is_whole(topic))
    }

    /// Whether the service refuses a command of a client or an operator by an event of this id.
    pub(crate) fn has_refused(&self, service: ServiceName, refusal: &Uuid) -> bool {
        match service {
            ServiceName::Order => self.orders.watch.refusals.contains_key(refusal),
            ServiceName::Inventory => self.stock.watch.refusals.contains(refusal),
            ServiceName::Payment => false,
        }
    }

    /// The folded state as the tables would hold it.
    pub(crate) fn rows(&self, partitions: i32) -> Rows {
        let mut levels = Levels::default();
        levels.add(self.stock.levels().chain(self.reservations.levels()));
        Rows {
            orders: keyed(self.orders.rows(partitions)),
            contents: keyed(self.orders.contents()),
            reservations: keyed(self.reservations.rows()),
            stock: keyed(levels.all()),
            receipts: keyed(self.stock.rows()),
            products: keyed(self.stock.products()),
            payments: keyed(self.payments.rows()),
            ledger: keyed(self.payments.ledger()),
        }
    }
}

fn keyed<R: TableRow>(rows: impl Iterator<Item = R>) -> crate::rows::Table<R> {
    rows.map(|row| (row.key(), row)).collect()
}
