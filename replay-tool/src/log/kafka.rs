//! The topics as a place to read from: bounds and ranges, by own consumers without a group.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use outbox::kafka::{Asking, Denied, Unanswered, is_unsettled};
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};
use uuid::Uuid;

use super::channel::Channel;
use super::client::{self, Reading, is_final};
use super::feed::{Feed, seek};
use super::open_transaction::Lookout;
use super::range::{Bounds, Range, Sink};
use super::record::Record;
use super::unreadable::{Probe, Runs};
use crate::error::{ReplayError, UnreadableRun};
use crate::interrupt::Interrupt;

/// The same for a look beside other work.
const BRIEF_WAIT: Duration = Duration::from_secs(2);
/// How long one poll may wait.
pub(super) const POLL: Duration = Duration::from_millis(50);

/// The topics of one deployment.
#[derive(Clone)]
pub(crate) struct KafkaLog {
    config: ClientConfig,
    prefix: String,
    /// How long the brokers may send nothing while something is due.
    patience: Duration,
    /// How long one question to them may take.
    answer_wait: Duration,
    interrupt: Interrupt,
    /// For questions about offsets; never assigned anything.
    asking: Arc<Reading>,
    /// What was met that cannot be read.
    unreadable: Runs,
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
            // Whatever the user's configuration says: what is not committed is no part of any state.
            .set("isolation.level", "read_committed")
            .set("auto.offset.reset", "error")
            .set("fetch.wait.max.ms", "20")
            .set("queued.max.messages.kbytes", "8192")
            // Whether a queue that was full has room is looked at so soon again, and not after a second.
            .set("fetch.queue.backoff.ms", "2");
        let asking = Arc::new(client::reading(&config)?);
        Ok(KafkaLog {
            config,
            prefix: prefix.to_owned(),
            patience,
            answer_wait: patience,
            interrupt: interrupt.clone(),
            asking,
            unreadable: Runs::default(),
        })
    }

    /// The same, with another bound for each question.
    pub(super) fn answering_within(&self, answer_wait: Duration) -> Self {
        KafkaLog { answer_wait, ..self.clone() }
    }

    /// The same log with what is not committed.
    pub(super) fn uncommitted(&self, answer_wait: Duration) -> Result<Self, ReplayError> {
        let mut config = self.config.clone();
        config.set("isolation.level", "read_uncommitted");
        let asking = Arc::new(client::reading(&config)?);
        // What was met in there is no finding about the log.
        Ok(KafkaLog { config, asking, answer_wait, unreadable: Runs::default(), ..self.clone() })
    }

    /// To look behind the last stable offsets.
    pub(crate) fn lookout(&self) -> Result<Lookout, ReplayError> {
        Lookout::new(self, self.answer_wait)
    }

    /// The same for a look beside other work, which must not wait long for brokers that are away.
    pub(crate) fn brief_lookout(&self) -> Result<Lookout, ReplayError> {
        Lookout::new(self, BRIEF_WAIT)
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
                Err(ReplayError::Kafka { source, .. })
                    if is_unsettled(&source) && begun.elapsed() < self.answer_wait =>
                {
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
        let partitions = self.partitions_of(brokers, &topic)?;
        let mut wanted = TopicPartitionList::new();
        (0..partitions).for_each(|partition| {
            wanted.add_partition(&topic, partition);
        });
        let firsts = self.offsets(&topic, &wanted, Offset::Beginning)?;
        let ends = self.offsets(&topic, &wanted, Offset::End)?;
        let bounds = |partition| Bounds {
            first: firsts.get(&partition).copied().unwrap_or(0),
            end: ends.get(&partition).copied().unwrap_or(0),
        };
        Ok((0..partitions).map(bounds).collect())
    }

    /// See [`super::Source::read`].
    pub(crate) fn read(&self, channel: Channel, ranges: &[Range], sink: &mut Sink<'_>) -> Result<(), ReplayError> {
        let mut open: BTreeMap<i32, Open> = ranges.iter().map(|range| (range.partition, Open::of(range))).collect();
        open.iter_mut()
            .for_each(|(partition, range)| range.next = self.past_unreadable(channel, *partition, range.next));
        open.retain(|_, range| range.next < range.until);
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
            let goes_on = match client::poll(&consumer, POLL) {
                Some(Ok(message)) => {
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
                    true
                }
                // What is between the last record and here are marks of transactions, which no client is shown.
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    if let Some(range) = open.remove(&partition) {
                        self.check_end(&topic, partition, &range)?;
                    }
                    true
                }
                Some(Err(error)) if outbox::kafka::is_about_content(&error) => {
                    last = Some(error.to_string());
                    self.pass_over(channel, &consumer, &mut open)?
                }
                Some(Err(error)) if is_final(&error) => {
                    return Err(ReplayError::Kafka {
                        doing: format!("reading {}", places_of(&topic, &open)),
                        source: error,
                    });
                }
                // The group is only a name here: nothing is asked of it.
                Some(Err(error)) if outbox::kafka::denied(&error) == Some(Denied::Group) => false,
                // The client reconnects by itself.
                Some(Err(error)) => {
                    last = Some(error.to_string());
                    false
                }
                None => false,
            };
            if goes_on {
                silence.end();
            } else if silence.is_too_long() {
                return Err(ReplayError::Silent {
                    place: places_of(&topic, &open),
                    wait_s: self.patience.as_secs(),
                    last,
                });
            }
        }
        Ok(())
    }

    /// Where reading stands before records that cannot be read, set it behind them. Whether there was such a place.
    fn pass_over(
        &self,
        channel: Channel,
        consumer: &Reading,
        open: &mut BTreeMap<i32, Open>,
    ) -> Result<bool, ReplayError> {
        let topic = self.topic(channel);
        for (partition, range) in open.iter_mut() {
            let Some(run) = self.unreadable_run(channel, *partition, range.next, range.until)? else { continue };
            range.next = run.last + 1;
            let (partition, next, is_read) = (*partition, range.next, range.next >= range.until);
            if is_read {
                open.remove(&partition);
                pause(consumer, &topic, partition)?;
            } else {
                seek(consumer, &topic, partition, next)?;
            }
            return Ok(true);
        }
        Ok(false)
    }

    /// The run of records from this offset on that the client cannot read; none where it can. On a topic that anyone
    /// writes it is remembered; what a service writes must be readable, so there it is an error. Blocks.
    pub(crate) fn unreadable_run(
        &self,
        channel: Channel,
        partition: i32,
        from: i64,
        until: i64,
    ) -> Result<Option<UnreadableRun>, ReplayError> {
        if let Some(known) = self.unreadable.at(channel, partition, from) {
            return Ok(Some(known));
        }
        let mut config = self.for_single_records().config;
        config.set("fetch.error.backoff.ms", "10");
        let consumer = client::reading(&config)?;
        let (topic, patience) = (self.topic(channel), self.patience);
        let probe = Probe { consumer, topic: &topic, partition, patience, interrupt: &self.interrupt };
        let Some(run) = probe.run(from, until)? else { return Ok(None) };
        if channel.writer().is_some() {
            return Err(ReplayError::Unreadable(run));
        }
        self.unreadable.insert(channel, run.clone());
        Ok(Some(run))
    }

    /// The runs that were met on a channel.
    pub(crate) fn unreadable(&self, channel: Channel) -> Vec<UnreadableRun> {
        self.unreadable.of(channel)
    }

    /// What was met there was of another topic of the same name.
    pub(crate) fn forget_unreadable(&self, channel: Channel) {
        self.unreadable.forget(channel);
    }

    /// The same offset, or the one behind a run that was met.
    pub(crate) fn past_unreadable(&self, channel: Channel, partition: i32, offset: i64) -> i64 {
        self.unreadable.at(channel, partition, offset).map_or(offset, |run| run.last + 1)
    }

    /// Partitions to be read on and on, each from an offset.
    pub(crate) fn feed(&self, places: &[(Channel, i32, i64)]) -> Result<Feed, ReplayError> {
        let places = places.iter().map(|(channel, partition, offset)| (self.topic(*channel), *partition, *offset));
        Ok(Feed::of(self.assigned(places)?))
    }

    /// A consumer that reads these partitions from these offsets on.
    fn assigned(&self, places: impl Iterator<Item = (String, i32, i64)>) -> Result<Reading, ReplayError> {
        let consumer = client::reading(&self.config)?;
        let mut list = TopicPartitionList::new();
        for (topic, partition, offset) in places {
            let added = list.add_partition_offset(&topic, partition, Offset::Offset(offset));
            added.map_err(ReplayError::kafka(format!("choosing {topic}[{partition}]")))?;
        }
        consumer.assign(&list).map_err(ReplayError::kafka("assigning partitions"))?;
        Ok(consumer)
    }

    fn partitions_of(&self, brokers: &str, topic: &str) -> Result<i32, ReplayError> {
        let attend = || outbox::kafka::attend(&self.asking);
        let hearing = &self.asking.context().hearing;
        let asking = Asking { brokers, limit: self.answer_wait };
        let asked = outbox::kafka::metadata(self.asking.client(), hearing, Some(topic), asking, attend);
        let metadata = asked.map_err(|unanswered| match unanswered {
            Unanswered::Refused(refusal) => ReplayError::NotAdmitted { brokers: brokers.to_owned(), refusal },
            Unanswered::Silent { silence, .. } => ReplayError::NoAnswer(*silence),
            Unanswered::Settings(source) => ReplayError::Configuration(source),
        })?;
        let told = metadata.topics().iter().find(|told| told.name() == topic);
        if let Some(source) = told.and_then(outbox::kafka::denied_topic) {
            return Err(ReplayError::Kafka { doing: format!("asking for {topic}"), source });
        }
        match i32::try_from(told.map_or(0, |told| told.partitions().len())) {
            Ok(count) if count > 0 => Ok(count),
            Ok(_) | Err(_) => Err(ReplayError::NoTopic { topic: topic.to_owned() }),
        }
    }

    /// One question for all partitions: the protocol takes the two ends of a log in place of a time.
    fn offsets(&self, topic: &str, wanted: &TopicPartitionList, at: Offset) -> Result<HashMap<i32, i64>, ReplayError> {
        let failed = || ReplayError::kafka(format!("asking for offsets of {topic}"));
        let mut asked = wanted.clone();
        asked.set_all_offsets(at).map_err(failed())?;
        let told = self.asking.offsets_for_times(asked, self.answer_wait).map_err(failed())?;
        told.elements()
            .iter()
            .map(|element| {
                let failed = ReplayError::kafka(format!("asking for offsets of {topic}[{}]", element.partition()));
                element.error().map_err(failed)?;
                let offset = match element.offset() {
                    Offset::Offset(offset) => offset,
                    Offset::Beginning | Offset::End | Offset::Stored | Offset::Invalid | Offset::OffsetTail(_) => 0,
                };
                Ok((element.partition(), offset))
            })
            .collect()
    }

    /// The log ends here: it must not end before what was asked for.
    fn check_end(&self, topic: &str, partition: i32, range: &Open) -> Result<(), ReplayError> {
        let marks = self.asking.fetch_watermarks(topic, partition, self.answer_wait);
        let (_, end) = marks.map_err(ReplayError::kafka(format!("asking for the end of {topic}[{partition}]")))?;
        if end >= range.until {
            return Ok(());
        }
        Err(ReplayError::LogShrunk { topic: topic.to_owned(), partition, end, until: range.until })
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

/// Fetch no more of a partition that is read.
fn pause(consumer: &Reading, topic: &str, partition: i32) -> Result<(), ReplayError> {
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, partition);
    consumer.pause(&list).map_err(ReplayError::kafka(format!("pausing {topic}[{partition}]")))
}

/// What is not read yet, in words: where nothing comes from, or what could not be read.
fn places_of(topic: &str, open: &BTreeMap<i32, Open>) -> String {
    const MOST: usize = 6;
    let place = |(partition, range): (&i32, &Open)| {
        format!("{topic}[{partition}] from offset {} on, of {}", range.next, range.until)
    };
    let named = open.iter().take(MOST).map(place).collect::<Vec<_>>().join(", ");
    let more = open.len().saturating_sub(MOST);
    if more > 0 { format!("{named}, and of {more} more partitions") } else { named }
}
