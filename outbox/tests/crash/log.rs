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

/// A partition's log, and what following its positions from the start gives.
#[derive(Debug, Default)]
pub(crate) struct Partition {
    /// Offset of the next record to read.
    next: i64,
    /// What a consumer takes, in its order.
    pub(crate) taken: Vec<Record>,
    pub(crate) duplicates: u64,
    pub(crate) stale: u64,
    /// Records that came while something before them was missing.
    pub(crate) gaps: Vec<Record>,
    cursor: Option<Cursor>,
    /// Bodies of records that were not taken, whatever they were.
    pub(crate) others: Vec<String>,
    /// This log replaced another one.
    pub(crate) made_anew: bool,
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
                self.repeated_before += partition.duplicates + partition.stale;
                self.taken_before += partition.taken.len();
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
            if partition.next < end {
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
            if message.offset() != partition.next {
                continue;
            }
            partition.next += 1;
            partition.take(parse(&message)?);
            if open.get(&at).is_some_and(|end| partition.next >= *end) {
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
        self.repeated_before
            + self.partitions.values().map(|partition| partition.duplicates + partition.stale).sum::<u64>()
    }

    /// Records taken so far; from a log that was made anew once more.
    pub(crate) fn taken(&self) -> usize {
        self.taken_before + self.partitions.values().map(|partition| partition.taken.len()).sum::<usize>()
    }
}

impl Partition {
    fn take(&mut self, record: Record) {
        match judge(self.cursor, &record.position, LogStart::AtZero) {
            Delivery::Next => {
                self.cursor = Some(Cursor::from(&record.position));
                self.taken.push(record);
                return;
            }
            Delivery::Duplicate => self.duplicates += 1,
            Delivery::Stale => self.stale += 1,
            Delivery::Gap { .. } | Delivery::EpochNotAtFirst { .. } => self.gaps.push(record.clone()),
        }
        self.others.push(record.body);
    }
}

fn follow(settings: &Settings, partitions: &BTreeMap<At, Partition>) -> Outcome<BaseConsumer> {
    let consumer: BaseConsumer = settings.consumer().create()?;
    let mut list = TopicPartitionList::new();
    for (at, partition) in partitions {
        list.add_partition_offset(&at.0, at.1, Offset::Offset(partition.next))?;
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
