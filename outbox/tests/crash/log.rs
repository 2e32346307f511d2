//! What the topics hold, read by the parent as it comes: every record of every partition since its log's start.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use outbox::Position;
use outbox::inbox::{Cursor, Delivery, LogStart, judge};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use uuid::Uuid;

use crate::Outcome;
use crate::consumer::position_of;
use crate::settings::Settings;
use crate::table::At;

const REQUEST: Duration = Duration::from_secs(5);

/// A record.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) offset: i64,
    pub(crate) position: Position,
    pub(crate) id: Uuid,
    pub(crate) body: String,
}

/// A partition's log.
#[derive(Debug, Default)]
pub(crate) struct Partition {
    /// Every record in the order of the log; their offsets have no gap, because nobody else writes there.
    pub(crate) records: Vec<Record>,
    /// This log replaced another one.
    pub(crate) made_anew: bool,
}

/// What following a log's positions from its start gives.
#[derive(Debug, Default)]
pub(crate) struct Fold<'l> {
    /// What a consumer takes, in its order.
    pub(crate) taken: Vec<&'l Record>,
    pub(crate) duplicates: u64,
    /// Records of epochs that had ended.
    pub(crate) stale: u64,
    /// Records that came while something before them was missing.
    pub(crate) gaps: Vec<&'l Record>,
}

/// All logs.
pub(crate) struct Logs {
    consumer: BaseConsumer,
    pub(crate) partitions: BTreeMap<At, Partition>,
    /// Duplicates in logs that are gone.
    repeated_before: u64,
    /// Records taken from logs that are gone.
    taken_before: usize,
    settings: Settings,
}

impl Logs {
    pub(crate) fn open(settings: &Settings) -> Outcome<Self> {
        let partitions: BTreeMap<At, Partition> =
            settings.partitions().into_iter().map(|at| (at, Partition::default())).collect();
        let consumer = follow(settings, &partitions)?;
        Ok(Self { consumer, partitions, repeated_before: 0, taken_before: 0, settings: settings.clone() })
    }

    /// The topic was made anew: its logs begin again.
    pub(crate) fn forget(&mut self, topic: &str) -> Outcome<()> {
        for (at, partition) in &mut self.partitions {
            if at.0 == topic {
                let fold = partition.fold();
                self.repeated_before += fold.duplicates + fold.stale;
                self.taken_before += fold.taken.len();
                *partition = Partition { made_anew: true, ..Partition::default() };
            }
        }
        self.consumer = follow(&self.settings, &self.partitions)?;
        Ok(())
    }

    /// Reads to where the logs end now.
    pub(crate) fn read(&mut self) -> Outcome<()> {
        let mut open: BTreeMap<At, i64> = BTreeMap::new();
        for (at, partition) in &self.partitions {
            let (_, end) = self.consumer.fetch_watermarks(&at.0, at.1, REQUEST)?;
            if partition.next() < end {
                open.insert(at.clone(), end);
            }
        }
        let mut last_record = Instant::now();
        while !open.is_empty() {
            let Some(message) = self.consumer.poll(Duration::from_millis(100)) else {
                if last_record.elapsed() > REQUEST {
                    return Err(format!("no records where there should be some: {open:?}").into());
                }
                continue;
            };
            let Ok(message) = message else { continue };
            last_record = Instant::now();
            let at = (message.topic().to_owned(), message.partition());
            let Some(partition) = self.partitions.get_mut(&at) else { continue };
            if message.offset() != partition.next() {
                continue;
            }
            partition.records.push(parse(&message)?);
            if open.get(&at).is_some_and(|end| partition.next() >= *end) {
                open.remove(&at);
            }
        }
        Ok(())
    }

    /// Reads again from where it stood, over new connections.
    pub(crate) fn reopen(&mut self) -> Outcome<()> {
        self.consumer = follow(&self.settings, &self.partitions)?;
        Ok(())
    }

    /// Duplicates and records of ended epochs so far.
    pub(crate) fn repeated(&self) -> u64 {
        let folds = self.partitions.values().map(Partition::fold);
        self.repeated_before + folds.map(|fold| fold.duplicates + fold.stale).sum::<u64>()
    }

    /// Records taken so far; from a log that was made anew once more.
    pub(crate) fn taken(&self) -> usize {
        self.taken_before + self.partitions.values().map(|partition| partition.fold().taken.len()).sum::<usize>()
    }
}

impl Partition {
    fn next(&self) -> i64 {
        self.records.last().map_or(0, |last| last.offset + 1)
    }

    /// The highest sequence in it.
    pub(crate) fn highest(&self) -> i64 {
        self.records.iter().map(|record| record.position.sequence).max().unwrap_or(0)
    }

    /// Follows the positions. A log that replaced another one may begin with what a leader sent that did not know of it
    /// yet, and lacks what the table does not hold any more: it is followed from its lowest sequence on.
    pub(crate) fn fold(&self) -> Fold<'_> {
        let mut fold = Fold::default();
        let lowest = self.records.iter().map(|record| record.position.sequence).min();
        let begins = |record: &Record| !self.made_anew || Some(record.position.sequence) == lowest;
        let start = self.records.iter().position(begins).unwrap_or(0);
        let log_start = if self.made_anew { LogStart::Later } else { LogStart::AtZero };
        fold.gaps.extend(&self.records[..start]);
        let mut cursor: Option<Cursor> = None;
        for record in &self.records[start..] {
            match judge(cursor, &record.position, log_start) {
                Delivery::Next => {
                    cursor = Some(Cursor::from(&record.position));
                    fold.taken.push(record);
                }
                Delivery::Duplicate => fold.duplicates += 1,
                Delivery::Stale => fold.stale += 1,
                Delivery::Gap { .. } | Delivery::EpochNotAtFirst { .. } => fold.gaps.push(record),
            }
        }
        fold
    }
}

fn follow(settings: &Settings, partitions: &BTreeMap<At, Partition>) -> Outcome<BaseConsumer> {
    let consumer: BaseConsumer = settings.consumer().create()?;
    let mut list = TopicPartitionList::new();
    for (at, partition) in partitions {
        list.add_partition_offset(&at.0, at.1, Offset::Offset(partition.next()))?;
    }
    consumer.assign(&list)?;
    Ok(consumer)
}

fn parse(message: &BorrowedMessage<'_>) -> Outcome<Record> {
    let place = format!("{}-{} at {}", message.topic(), message.partition(), message.offset());
    let headers = message.headers().ok_or_else(|| format!("a record without headers: {place}"))?;
    let id = (0..headers.count()).map(|index| headers.get(index)).find(|header| header.key == "ce_id");
    let id = id.and_then(|header| Uuid::try_parse_ascii(header.value?).ok());
    Ok(Record {
        offset: message.offset(),
        position: position_of(message).ok_or_else(|| format!("a record without a position: {place}"))?,
        id: id.ok_or_else(|| format!("a record without an id: {place}"))?,
        body: String::from_utf8(message.payload().unwrap_or_default().to_vec())?,
    })
}
