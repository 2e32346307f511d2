//! One topic's records, taken one after the other, partition by partition in the order of the log.

use std::collections::HashSet;

use outbox::Position;
use outbox::inbox::place::{Place, Restoration};
use outbox::inbox::{Cursor, Delivery, LogStart, judge};
use schemas::{Codec, Message, ServiceName, TopicName, partitioner};

use super::commands::{Command, SentCommand};
use super::counts::MessageCounts;
use super::delivered::{Delivered, Judged};
use super::letters::{Broken, Letter};
use super::orders::OrdersSeen;
use super::payments::PaymentsSeen;
use super::requests::{self, Requests};
use super::reservations::ReservationsSeen;
use super::stock::StockSeen;
use super::told::Told;
use crate::check::findings::{Findings, Invariant};
use crate::fold::{Orders, Payments, Reservations, Stock};
use crate::log::{ACTION_HEADER, Channel, Record};
use crate::snapshot::LaneCut;

/// How far a partition is to be read.
#[derive(Debug, Clone, Default)]
pub(crate) struct ScanPlan {
    /// The writer's cut.
    pub(crate) cut: LaneCut,
    /// Records below this offset were taken by the reader.
    pub(crate) resume: i64,
    /// Whether the records may lack some of those, and get them yet.
    pub(crate) awaits_resume: bool,
    /// What restores have made of the partition, by its reader.
    pub(crate) restoration: Restoration,
    /// Records below `resume` that are not taken yet: they are parked.
    pub(crate) parked: HashSet<Place>,
    /// The end of the log when the scan was planned.
    pub(crate) end: i64,
}

/// What a topic's messages are folded into.
#[derive(Debug)]
pub(crate) enum Folding {
    Commands(Vec<SentCommand>),
    Orders(Box<Orders<OrdersSeen>>),
    Requests(Requests),
    Reservations(Box<Reservations<ReservationsSeen>>),
    Stock(Box<Stock<StockSeen>>),
    Payments(Box<Payments<PaymentsSeen>>),
    Letters(Vec<Letter>),
}

/// A scan of one topic.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) channel: Channel,
    pub(crate) partitions: Vec<Partition>,
    pub(crate) folding: Folding,
    /// What the reader had to put aside.
    pub(crate) broken: Vec<Broken>,
    pub(crate) counts: MessageCounts,
    pub(crate) findings: Findings,
    writer: Option<ServiceName>,
    reader: Option<ServiceName>,
    codec: Codec,
}

/// One partition of the topic.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) delivered: Delivered,
    /// Where the log ended when the scan ended: the offset after the last record.
    pub(crate) next_offset: i64,
    /// Records that the reader has not taken.
    pub(crate) waiting: u64,
    /// The writer's last position among what the reader has taken.
    pub(crate) cursor: Option<Cursor>,
    pub(crate) resume: i64,
    awaits_resume: bool,
    restoration: Restoration,
    parked: HashSet<Place>,
    end: i64,
    is_at_end: bool,
    /// What was read up to: what lies behind the last record is no record, or none that can be read.
    pub(crate) read_to: i64,
}

impl Partition {
    /// Whether everything is read that belongs to the cut and was there.
    pub(crate) fn is_complete(&self) -> bool {
        let has_ended = self.is_at_end || self.next_offset >= self.end;
        has_ended && self.delivered.is_at_cut() && (!self.awaits_resume || self.has_all_taken())
    }

    /// Whether everything was read that the reader has taken.
    pub(crate) fn has_all_taken(&self) -> bool {
        self.end() >= self.resume
    }

    /// Whether the reader has read this record and keeps it until it can be taken.
    fn is_parked(&self, record: &Record<'_>) -> bool {
        !self.parked.is_empty() && self.parked.contains(&record.place(self.restoration))
    }

    /// Where the log ended.
    pub(crate) fn end(&self) -> i64 {
        self.next_offset.max(self.read_to)
    }
}

impl Scan {
    /// A scan of `channel`, whose full name is `topic`, with a plan for each partition.
    pub(crate) fn new(channel: Channel, topic: &str, plans: Vec<ScanPlan>, codec: Codec) -> Self {
        let partition = |(number, plan): (usize, ScanPlan)| Partition {
            delivered: Delivered::new(format!("{topic}[{number}]"), plan.cut),
            next_offset: 0,
            waiting: 0,
            cursor: None,
            resume: plan.resume,
            awaits_resume: plan.awaits_resume,
            restoration: plan.restoration,
            parked: plan.parked,
            end: plan.end,
            is_at_end: false,
            read_to: 0,
        };
        Scan {
            channel,
            partitions: plans.into_iter().enumerate().map(partition).collect(),
            folding: Folding::of(channel),
            broken: Vec::new(),
            counts: MessageCounts::default(),
            findings: Findings::default(),
            writer: channel.writer(),
            reader: channel.reader(),
            codec,
        }
    }

    /// Whether every partition is complete.
    pub(crate) fn is_complete(&self) -> bool {
        self.partitions.iter().all(Partition::is_complete)
    }

    /// The log of a partition has nothing more for now: it ends at this offset.
    pub(crate) fn reached_end(&mut self, partition: i32, end: i64) {
        if let Some(partition) = usize::try_from(partition).ok().and_then(|index| self.partitions.get_mut(index)) {
            partition.is_at_end = true;
            partition.read_to = end;
        }
    }

    /// The next record of a partition. Returns whether the partition still needed it.
    pub(crate) fn take(&mut self, record: &Record<'_>) -> bool {
        let Some(index) = usize::try_from(record.partition).ok().filter(|index| *index < self.partitions.len()) else {
            return false;
        };
        let partition = &mut self.partitions[index];
        let was_needed = !partition.is_complete();
        self.counts.read += 1;
        partition.next_offset = record.offset + 1;
        let is_taken = self.reader.is_some() && record.offset < partition.resume;
        let restoration = partition.restoration;
        let is_parked = partition.is_parked(record);
        if self.reader.is_some() && (!is_taken || is_parked) {
            partition.waiting += 1;
        }
        match (self.channel, self.writer.and_then(|writer| record.position(writer))) {
            (Channel::Messages(topic), Some(position)) => self.own(index, topic, record, &position, is_taken),
            (Channel::Messages(topic), None) if self.writer.is_none() => {
                self.foreign(index, topic, record, is_taken && !is_parked);
            }
            (Channel::Messages(topic), None) => {
                self.counts.strangers += 1;
                if self.reader.is_some() {
                    let reason = "it has no position of the topic's only writer";
                    self.broken.push(Broken::of(topic, record, restoration, reason, is_taken));
                }
            }
            (Channel::DeadLetters(_), Some(position)) => self.letter(index, record, &position),
            // What operators write down about letters is no message.
            (Channel::DeadLetters(_), None) if record.header(ACTION_HEADER).is_some() => {}
            (Channel::DeadLetters(_), None) => self.counts.strangers += 1,
        }
        was_needed
    }

    /// A record with the position of the topic's own writer.
    fn own(&mut self, index: usize, topic: TopicName, record: &Record<'_>, position: &Position, is_taken: bool) {
        let print = record.print(position.sequence, false);
        let told = Told { id: print.id, cause: record.cause(), body: print.body };
        let partition = &mut self.partitions[index];
        let judged = partition.delivered.take(position, print, &mut self.findings);
        self.counts.count(judged);
        let is_next = is_taken && matches!(judge(partition.cursor, position, LogStart::AtZero), Delivery::Next);
        if is_next {
            partition.cursor = Some(Cursor::from(position));
        }
        if judged != Judged::Taken && !is_next {
            return;
        }
        match self.codec.decode(topic, record.payload.unwrap_or_default()) {
            Ok(message) if record.key == Some(message.key().as_bytes()) => {
                if judged == Judged::Taken {
                    self.check_partition(topic, record, message.key());
                    self.folding.apply(&message, told, &mut self.findings);
                }
                if is_next && !self.partitions[index].is_parked(record) {
                    self.folding.consume(&message, record, record.place(self.partitions[index].restoration));
                }
            }
            Ok(message) => self.unreadable(topic, record, &format!("its key is not the id in it, {:?}", message.key())),
            Err(error) => self.unreadable(topic, record, &error.to_string()),
        }
    }

    /// All messages of a key are in its partition, or their order is lost.
    fn check_partition(&mut self, topic: TopicName, record: &Record<'_>, key: &str) {
        let partitions = i32::try_from(self.partitions.len()).unwrap_or(i32::MAX);
        let home = partitioner::partition_of(key.as_bytes(), partitions);
        if home != record.partition {
            let subject = format!("{topic}[{}]@{}", record.partition, record.offset);
            self.findings.add(
                Invariant::Delivery,
                subject,
                format!("a message of {key}, which belongs in partition {home}"),
            );
        }
    }

    fn unreadable(&mut self, topic: TopicName, record: &Record<'_>, reason: &str) {
        let subject = format!("{topic}[{}]@{}", record.partition, record.offset);
        self.findings.add(Invariant::BadInput, subject, format!("one of our own messages cannot be read: {reason}"));
    }

    /// A command of a client or an operator.
    fn foreign(&mut self, index: usize, topic: TopicName, record: &Record<'_>, is_taken: bool) {
        let restoration = self.partitions[index].restoration;
        self.counts.commands += u64::from(is_taken);
        let broken = match (record.key.filter(|key| !key.is_empty()), record.payload) {
            (None, _) => "it has no key".to_owned(),
            (Some(_), None) => "it has no value".to_owned(),
            (Some(key), Some(payload)) => match self.codec.decode(topic, payload) {
                Err(error) => error.to_string(),
                Ok(message) if message.key().as_bytes() != key => "its key is not the id in it".to_owned(),
                Ok(message) => {
                    if let (Folding::Commands(taken), Some(command)) = (&mut self.folding, Command::of(&message)) {
                        let (partition, offset, place) = (record.partition, record.offset, record.place(restoration));
                        let name = message.name();
                        taken.push(SentCommand { topic, partition, offset, place, is_taken, name, command });
                    }
                    return;
                }
            },
        };
        self.broken.push(Broken::of(topic, record, restoration, broken, is_taken));
    }

    fn letter(&mut self, index: usize, record: &Record<'_>, position: &Position) {
        let print = record.print(position.sequence, true);
        let judged = self.partitions[index].delivered.take(position, print, &mut self.findings);
        self.counts.count(judged);
        if let (Judged::Taken, Folding::Letters(letters)) = (judged, &mut self.folding) {
            letters.push(Letter::of(record));
        }
    }
}

impl MessageCounts {
    fn count(&mut self, judged: Judged) {
        match judged {
            Judged::Taken => self.delivered += 1,
            Judged::Duplicate => self.duplicates += 1,
            Judged::Void => self.void += 1,
            Judged::AfterCut => self.after_cut += 1,
        }
    }
}

impl Folding {
    fn of(channel: Channel) -> Self {
        match channel {
            Channel::DeadLetters(_) => Folding::Letters(Vec::new()),
            Channel::Messages(TopicName::OrderCommands | TopicName::StockCommands) => Folding::Commands(Vec::new()),
            Channel::Messages(TopicName::OrderEvents) => Folding::Orders(Box::default()),
            Channel::Messages(TopicName::InventoryCommands | TopicName::PaymentCommands) => {
                Folding::Requests(Requests::default())
            }
            Channel::Messages(TopicName::InventoryEvents) => Folding::Reservations(Box::default()),
            Channel::Messages(TopicName::StockEvents) => Folding::Stock(Box::default()),
            Channel::Messages(TopicName::PaymentEvents) => Folding::Payments(Box::default()),
        }
    }

    /// A message of the service itself, within its cut, for the first time. Decoding allows no message on another topic
    /// than its own, so what does not fit cannot come.
    fn apply(&mut self, message: &Message, told: Told, findings: &mut Findings) {
        let folded = match message {
            Message::OrderEvent(event) => {
                let Folding::Orders(fold) = self else { return };
                fold.apply(event, told)
            }
            Message::InventoryEvent(event) => {
                let Folding::Reservations(fold) = self else { return };
                fold.apply(event, told)
            }
            Message::StockEvent(event) => {
                let Folding::Stock(fold) = self else { return };
                fold.apply(event, told)
            }
            Message::PaymentEvent(event) => {
                let Folding::Payments(fold) = self else { return };
                fold.apply(event, told)
            }
            Message::InventoryCommand(_) | Message::PaymentCommand(_) => {
                if let (Folding::Requests(requests), Some(request)) = (self, requests::of(message)) {
                    requests.send(message, request, told);
                }
                return;
            }
            Message::OrderCommand(_) | Message::StockCommand(_) => return,
        };
        if let Err(inconsistent) = folded {
            findings.add(Invariant::Rebuild, message.key(), inconsistent.to_string());
        }
    }

    /// A message that the reading service has taken.
    fn consume(&mut self, message: &Message, record: &Record<'_>, place: Place) {
        match message {
            Message::InventoryEvent(event) => {
                if let Folding::Reservations(fold) = self {
                    fold.watch.take(event);
                }
            }
            Message::PaymentEvent(event) => {
                if let Folding::Payments(fold) = self {
                    fold.watch.take(event);
                }
            }
            Message::InventoryCommand(_) | Message::PaymentCommand(_) => {
                if let (Folding::Requests(requests), Some(request)) = (self, requests::of(message)) {
                    requests.take(message, request, (record.partition, record.offset), place);
                }
            }
            Message::OrderCommand(_) | Message::StockCommand(_) | Message::OrderEvent(_) | Message::StockEvent(_) => {}
        }
    }
}
