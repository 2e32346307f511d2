//! The topics as a place to read from: bounds and ranges, by own consumers without a group.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};
use uuid::Uuid;

use super::channel::Channel;
use super::record::Record;
use super::source::{Bounds, Range, Sink};
use crate::error::ReplayError;
use crate::interrupt::Interrupt;

/// How long one question to the brokers may take.
const ANSWER_WAIT: Duration = Duration::from_secs(20);
/// How long one poll may wait.
const POLL: Duration = Duration::from_millis(50);

/// The topics of one deployment.
#[derive(Clone)]
pub(crate) struct KafkaLog {
    config: ClientConfig,
    prefix: String,
    /// How long the brokers may send nothing while something is due.
    patience: Duration,
    interrupt: Interrupt,
    /// For questions about offsets; never assigned anything.
    asking: Arc<BaseConsumer>,
}

impl fmt::Debug for KafkaLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaLog").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl KafkaLog {
    /// Where Kafka is and how to talk to it; `prefix` is in front of every topic's name. What reading needs is set over
    /// the configuration. Does not connect yet.
    pub(crate) fn new(
        config: &ClientConfig,
        prefix: &str,
        patience: Duration,
        interrupt: &Interrupt,
    ) -> Result<Self, ReplayError> {
        let mut config = config.clone();
        config
            .set("group.id", format!("replay-tool-{}", Uuid::now_v7()))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "error")
            .set("fetch.wait.max.ms", "20")
            .set("queued.max.messages.kbytes", "8192")
            // Whether a queue that was full has room is looked at so soon again, and not after a second.
            .set("fetch.queue.backoff.ms", "2");
        let asking = Arc::new(config.create().map_err(ReplayError::kafka("the configuration"))?);
        Ok(KafkaLog { config, prefix: prefix.to_owned(), patience, interrupt: interrupt.clone(), asking })
    }

    /// The same, to look at single records: what comes after them is not fetched, and no interrupt ends it.
    pub(crate) fn for_single_records(&self) -> Self {
        let mut config = self.config.clone();
        // A full queue, which one record makes, is looked at again at once and not after a second.
        config
            .set("fetch.message.max.bytes", "1024")
            .set("queued.min.messages", "1")
            .set("fetch.queue.backoff.ms", "1");
        KafkaLog { config, interrupt: Interrupt::default(), ..self.clone() }
    }

    /// The channel's full name.
    pub(crate) fn topic(&self, channel: Channel) -> String {
        format!("{}{}", self.prefix, channel.name())
    }

    /// Where every partition begins and ends now. Blocks.
    pub(crate) fn bounds(&self, channel: Channel) -> Result<Vec<Bounds>, ReplayError> {
        let begun = Instant::now();
        loop {
            match self.bounds_now(channel) {
                // A broker that has just come back knows its topics before it knows who leads their partitions.
                Err(ReplayError::Kafka { source, .. }) if is_unsettled(&source) && begun.elapsed() < ANSWER_WAIT => {
                    self.interrupt.check()?;
                    thread::sleep(POLL);
                }
                asked => return asked,
            }
        }
    }

    fn bounds_now(&self, channel: Channel) -> Result<Vec<Bounds>, ReplayError> {
        let topic = self.topic(channel);
        let brokers = self.config.get("bootstrap.servers").unwrap_or_default();
        let partitions = partitions_of(&self.asking, brokers, &topic)?;
        let mut wanted = TopicPartitionList::new();
        (0..partitions).for_each(|partition| {
            wanted.add_partition(&topic, partition);
        });
        let firsts = offsets(&self.asking, &wanted, Offset::Beginning)?;
        let ends = offsets(&self.asking, &wanted, Offset::End)?;
        let bounds = |partition| Bounds {
            first: firsts.get(&partition).copied().unwrap_or(0),
            end: ends.get(&partition).copied().unwrap_or(0),
        };
        Ok((0..partitions).map(bounds).collect())
    }

    /// See [`super::Source::read`].
    pub(crate) fn read(&self, channel: Channel, ranges: &[Range], sink: &mut Sink<'_>) -> Result<(), ReplayError> {
        let mut open: BTreeMap<i32, Open> =
            ranges.iter().filter(|range| !range.is_empty()).map(|range| (range.partition, Open::of(range))).collect();
        if open.is_empty() {
            return self.interrupt.check();
        }
        let topic = self.topic(channel);
        let places = open.iter().map(|(partition, open)| (topic.clone(), *partition, open.next));
        let consumer = self.assigned(places)?;
        let mut silence = Silence::new(self.patience);
        let mut last = None;
        while !open.is_empty() {
            self.interrupt.check()?;
            match consumer.poll(POLL) {
                Some(Ok(message)) => {
                    silence.end();
                    let (partition, offset) = (message.partition(), message.offset());
                    let Some(range) = open.get_mut(&partition) else { continue };
                    if offset < range.until && sink(&Record::of(&message)).is_break() {
                        return Ok(());
                    }
                    range.next = offset + 1;
                    if range.next >= range.until {
                        open.remove(&partition);
                        pause(&consumer, &topic, partition)?;
                    }
                }
                // What is between the last record and here are marks of transactions, which no client is shown.
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    if let Some(range) = open.remove(&partition) {
                        self.check_end(&topic, partition, &range)?;
                    }
                }
                Some(Err(error)) if is_final(&error) => {
                    return Err(ReplayError::Kafka { doing: format!("reading {topic}"), source: error });
                }
                // The client reconnects by itself.
                Some(Err(error)) => last = Some(error.to_string()),
                None if silence.is_too_long() => {
                    return Err(ReplayError::Silent { topic, wait_s: self.patience.as_secs(), last });
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Partitions to be read on and on, each from an offset.
    pub(crate) fn feed(&self, places: &[(Channel, i32, i64)]) -> Result<Feed, ReplayError> {
        let places = places.iter().map(|(channel, partition, offset)| (self.topic(*channel), *partition, *offset));
        Ok(Feed { consumer: self.assigned(places)? })
    }

    /// A consumer that reads these partitions from these offsets on.
    fn assigned(&self, places: impl Iterator<Item = (String, i32, i64)>) -> Result<BaseConsumer, ReplayError> {
        let consumer: BaseConsumer = self.config.create().map_err(ReplayError::kafka("the configuration"))?;
        let mut list = TopicPartitionList::new();
        for (topic, partition, offset) in places {
            let added = list.add_partition_offset(&topic, partition, Offset::Offset(offset));
            added.map_err(ReplayError::kafka(format!("choosing {topic}[{partition}]")))?;
        }
        consumer.assign(&list).map_err(ReplayError::kafka("assigning partitions"))?;
        Ok(consumer)
    }

    /// The log ends here: it must not end before what was asked for.
    fn check_end(&self, topic: &str, partition: i32, range: &Open) -> Result<(), ReplayError> {
        let marks = self.asking.fetch_watermarks(topic, partition, ANSWER_WAIT);
        let (_, end) = marks.map_err(ReplayError::kafka(format!("asking for the end of {topic}[{partition}]")))?;
        if end >= range.until {
            return Ok(());
        }
        Err(ReplayError::LogShrunk { topic: topic.to_owned(), partition, end, until: range.until })
    }
}

/// Partitions that are read on and on.
pub(crate) struct Feed {
    consumer: BaseConsumer,
}

/// What a feed has brought.
pub(crate) enum Fed<'f> {
    Message(BorrowedMessage<'f>),
    /// What the client complains of; it tries on by itself.
    Complaint(String),
    Nothing,
}

impl Feed {
    /// What comes next, if it comes soon.
    pub(crate) fn poll(&self) -> Result<Fed<'_>, ReplayError> {
        match self.consumer.poll(POLL) {
            Some(Ok(message)) => Ok(Fed::Message(message)),
            Some(Err(error)) if is_final(&error) => {
                Err(ReplayError::Kafka { doing: "following the topics".into(), source: error })
            }
            Some(Err(KafkaError::PartitionEOF(_))) | None => Ok(Fed::Nothing),
            Some(Err(error)) => Ok(Fed::Complaint(error.to_string())),
        }
    }
}

/// How long nothing has come. Asks for the time only while nothing comes, not for each message.
struct Silence {
    patience: Duration,
    since: Option<Instant>,
}

impl Silence {
    fn new(patience: Duration) -> Self {
        Silence { patience, since: None }
    }

    fn end(&mut self) {
        self.since = None;
    }

    fn is_too_long(&mut self) -> bool {
        self.since.get_or_insert_with(Instant::now).elapsed() > self.patience
    }
}

/// A range that is not read to its end.
#[derive(Debug)]
struct Open {
    next: i64,
    until: i64,
}

impl Open {
    fn of(range: &Range) -> Self {
        Open { next: range.from, until: range.until }
    }
}

fn partitions_of(consumer: &BaseConsumer, brokers: &str, topic: &str) -> Result<i32, ReplayError> {
    let asked = consumer.fetch_metadata(Some(topic), ANSWER_WAIT);
    let metadata = asked.map_err(ReplayError::kafka(format!("asking {brokers} for {topic}")))?;
    let count = metadata.topics().iter().find(|told| told.name() == topic).map_or(0, |told| told.partitions().len());
    match i32::try_from(count) {
        Ok(count) if count > 0 => Ok(count),
        Ok(_) | Err(_) => Err(ReplayError::NoTopic { topic: topic.to_owned() }),
    }
}

/// One question for all partitions: the protocol takes the two ends of a log in place of a time.
fn offsets(consumer: &BaseConsumer, wanted: &TopicPartitionList, at: Offset) -> Result<HashMap<i32, i64>, ReplayError> {
    let mut asked = wanted.clone();
    asked.set_all_offsets(at).map_err(ReplayError::kafka("asking for offsets"))?;
    let told = consumer.offsets_for_times(asked, ANSWER_WAIT).map_err(ReplayError::kafka("asking for offsets"))?;
    told.elements()
        .iter()
        .map(|element| {
            element.error().map_err(ReplayError::kafka(format!("asking for offsets of {}", element.topic())))?;
            let offset = match element.offset() {
                Offset::Offset(offset) => offset,
                Offset::Beginning | Offset::End | Offset::Stored | Offset::Invalid | Offset::OffsetTail(_) => 0,
            };
            Ok((element.partition(), offset))
        })
        .collect()
}

/// Fetch no more of a partition that is read.
fn pause(consumer: &BaseConsumer, topic: &str, partition: i32) -> Result<(), ReplayError> {
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, partition);
    consumer.pause(&list).map_err(ReplayError::kafka(format!("pausing {topic}[{partition}]")))
}

/// Whether the brokers do not know yet who leads a partition.
fn is_unsettled(error: &KafkaError) -> bool {
    error.rdkafka_error_code().is_some_and(|code| {
        [
            RDKafkaErrorCode::UnknownPartition,
            RDKafkaErrorCode::LeaderNotAvailable,
            RDKafkaErrorCode::NotLeaderForPartition,
        ]
        .contains(&code)
    })
}

/// Whether waiting cannot help.
fn is_final(error: &KafkaError) -> bool {
    error.rdkafka_error_code().is_some_and(|code| {
        [
            RDKafkaErrorCode::UnknownTopicOrPartition,
            RDKafkaErrorCode::UnknownTopic,
            RDKafkaErrorCode::UnknownPartition,
            RDKafkaErrorCode::OffsetOutOfRange,
            RDKafkaErrorCode::AutoOffsetReset,
            RDKafkaErrorCode::TopicAuthorizationFailed,
            RDKafkaErrorCode::Fatal,
        ]
        .contains(&code)
    })
}
