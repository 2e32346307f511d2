//! The topics as a place to read from: bounds and ranges, by own consumers without a group. How a range is read to its end
//! is `outbox::log`'s to know; here are interrupts, runs that cannot be read, and logs that have become shorter.

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use outbox::kafka::{Asking, Unanswered, is_about_content, is_final, is_unsettled};
use outbox::log::{self, Partition, Ranges, Silence, Taken, Unread};
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use uuid::Uuid;

use super::channel::Channel;
use super::client::{self, Reading};
use super::feed::Feed;
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
        log::configure(&mut config, &format!("replay-tool-{}", Uuid::now_v7()));
        config
            // Whatever the user's configuration says: what is not committed is no part of any state.
            .set("isolation.level", "read_committed")
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

    /// The same, to be followed for long: brokers say at once what comes, and are asked seldom while nothing does.
    pub(crate) fn for_following(&self) -> Self {
        let mut config = self.config.clone();
        config.set("fetch.wait.max.ms", "500").set("queued.max.messages.kbytes", "1024");
        KafkaLog { config, ..self.clone() }
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
        let name: Arc<str> = topic.as_str().into();
        let places: Vec<Partition> =
            (0..partitions).map(|partition| Partition { topic: Arc::clone(&name), partition }).collect();
        let told = log::bounds(&*self.asking, &places, self.answer_wait)
            .map_err(ReplayError::kafka(format!("asking for offsets of {topic}")))?;
        Ok(told.into_iter().map(|log::Bounds { low, high }| Bounds { first: low, end: high }).collect())
    }

    /// See [`super::Source::read`].
    pub(crate) fn read(&self, channel: Channel, ranges: &[Range], sink: &mut Sink<'_>) -> Result<(), ReplayError> {
        let topic: Arc<str> = self.topic(channel).into();
        let range = |range: &Range| log::Range {
            place: Partition { topic: Arc::clone(&topic), partition: range.partition },
            from: self.past_unreadable(channel, range.partition, range.from),
            until: range.until,
        };
        let ranges: Vec<log::Range> = ranges.iter().map(range).filter(|range| range.from < range.until).collect();
        if ranges.is_empty() {
            return self.interrupt.check();
        }
        let consumer = client::reading(&self.config)?;
        let mut reading = Ranges::begin(&consumer, &ranges).map_err(ReplayError::kafka("assigning partitions"))?;
        let mut silence = Silence::new(self.patience);
        let mut last = None;
        while !reading.are_read() {
            self.interrupt.check()?;
            let came = client::poll(&consumer, POLL).map(|came| reading.take(&consumer, came)).transpose();
            let has_come = match came.map_err(|source| stuck(&reading, source))? {
                Some(Taken::Record(_, message)) => {
                    if sink(&Record::of(&message)).is_break() {
                        return Ok(());
                    }
                    true
                }
                Some(Taken::Ended(ended)) => {
                    ended.iter().try_for_each(|range| self.check_end(range))?;
                    true
                }
                Some(Taken::Complaint(error)) if is_about_content(&error) => {
                    last = Some(error.to_string());
                    self.pass_over(channel, &consumer, &mut reading)?
                }
                Some(Taken::Complaint(error)) if is_final(&error) => return Err(stuck(&reading, error)),
                // The client reconnects by itself.
                Some(Taken::Complaint(error)) => {
                    last = Some(error.to_string());
                    false
                }
                Some(Taken::Passed) | None => false,
            };
            if silence.lasts_too_long(has_come) {
                let (place, wait_s) = (places_of(&reading), self.patience.as_secs());
                return Err(ReplayError::Silent { place, wait_s, last });
            }
        }
        Ok(())
    }

    /// Where reading stands before records that cannot be read, set it behind them. Whether there was such a place.
    fn pass_over(&self, channel: Channel, consumer: &Reading, reading: &mut Ranges) -> Result<bool, ReplayError> {
        let unread: Vec<Unread> = reading.unread().cloned().collect();
        for Unread { place, next, until, .. } in unread {
            let Some(run) = self.unreadable_run(channel, place.partition, next, until)? else { continue };
            reading.pass(consumer, &place, run.last + 1).map_err(|source| stuck(reading, source))?;
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

    /// The log ends here: it must not end before what was asked for. Before a hole the client stands, and the log does not end.
    fn check_end(&self, range: &Unread) -> Result<(), ReplayError> {
        let Unread { place, next, until, .. } = range;
        let Partition { topic, partition } = place;
        if next >= until {
            return Ok(());
        }
        let told = log::bounds(&*self.asking, std::slice::from_ref(place), self.answer_wait);
        let told = told.map_err(ReplayError::kafka(format!("asking for the end of {topic}[{partition}]")))?;
        let end = told.first().map_or(0, |bounds| bounds.high);
        if end >= *until {
            return Ok(());
        }
        Err(ReplayError::LogShrunk { topic: topic.to_string(), partition: *partition, end, until: *until })
    }
}

/// The client does not get on with what is not read yet.
fn stuck(reading: &Ranges, source: KafkaError) -> ReplayError {
    ReplayError::Kafka { doing: format!("reading {}", places_of(reading)), source }
}

/// What is not read yet, in words: where nothing comes from, or what could not be read.
fn places_of(reading: &Ranges) -> String {
    const MOST: usize = 6;
    let place = |Unread { place: Partition { topic, partition }, next, until, .. }: &Unread| {
        format!("{topic}[{partition}] from offset {next} on, of {until}")
    };
    let named = reading.unread().take(MOST).map(place).collect::<Vec<_>>().join(", ");
    let more = reading.unread().count().saturating_sub(MOST);
    if more > 0 { format!("{named}, and of {more} more partitions") } else { named }
}
