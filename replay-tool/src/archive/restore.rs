//! Publishes an archive into new topics: every record under its old offset, byte for byte, with its time and headers.
//!
//! The offsets stay what they were, because ids follow from them: those of refusals and of dead letters name the record that
//! they answer. So do positions and epochs. What is known of the old topics by partition and offset is true of the new ones;
//! only the name of a letter's topic is written anew, because it holds the prefix. For the same reason an archive is refused
//! in which an offset has no record. Another partition count shifts offsets, and is another matter: see `repartition`.
//!
//! Nothing is remembered. A partition of the new topics that is not empty must end with the archive's record of that offset;
//! then it is a beginning of the same log, and the run goes on behind it, whatever stopped the one before. In the end every
//! partition must end where the archive does, with the same record.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use outbox::kafka::{Confirmations, Producing};
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _};
use schemas::TopicName;
use serde::Serialize;

use super::log::ArchiveLog;
use crate::error::ReplayError;
use crate::interrupt::Interrupt;
use crate::log::{Bounds, Channel, KafkaLog, Range, Record, TimestampType, Witness, check_topic};
use crate::progress::Progress;

/// On a dead letter: the full name of the topic that its record came from.
pub(super) const ORIGINAL_TOPIC: &str = "kafka_dlt-original-topic";
/// How long the brokers may confirm nothing.
const CONFIRMATION: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);
/// Records between two looks at what was confirmed and whether to end.
const LOOK_EVERY: u64 = 500;

/// What to restore, and where to.
#[derive(Debug)]
pub(crate) struct RestorePlan {
    pub(crate) archive: ArchiveLog,
    /// In front of the archived topics' names.
    pub(crate) from_prefix: String,
    /// The new topics; they are there, unless nothing is to be written.
    pub(crate) target: KafkaLog,
    /// In front of their names.
    pub(crate) to_prefix: String,
    /// How to reach their brokers.
    pub(crate) kafka: ClientConfig,
    /// Only tell.
    pub(crate) is_rehearsal: bool,
    pub(crate) interrupt: Interrupt,
}

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Restored {
    pub(crate) partitions: usize,
    /// Published by this run, or in a rehearsal what would be.
    pub(crate) records: u64,
    /// Published by an earlier one.
    pub(crate) were_there: u64,
    /// Records that were archived without their headers, which nobody could read.
    pub(crate) without_headers: u64,
}

/// What there is to do in one topic.
struct Topic {
    channel: Channel,
    /// Where each partition ends in the archive.
    ends: Vec<Bounds>,
    /// What is missing of each partition.
    ranges: Vec<Range>,
}

/// How many partitions each of the archived topics has; an error where an archive cannot be restored offset by offset.
pub(crate) fn partitions(archive: &ArchiveLog) -> Result<i32, ReplayError> {
    let mut count = None;
    for channel in Channel::all() {
        let bounds = archive.bounds(channel)?;
        let topic = archive.topic(channel);
        let refused = |reason: String| ReplayError::archive(topic.clone(), format!("it cannot be restored: {reason}"));
        let late = (0_i32..).zip(&bounds).find(|(_, bounds)| bounds.end > 0 && bounds.first > 0);
        if let Some((partition, bounds)) = late {
            return Err(refused(format!("partition {partition} begins at offset {}", bounds.first)));
        }
        if let Some(run) = archive.unreadable(channel)?.first() {
            return Err(refused(format!("{run}, and ids follow from offsets")));
        }
        if let Some((partition, first)) = archive.first_with_absent(channel)? {
            return Err(refused(format!(
                "partition {partition} has offsets without records behind {first} (marks of a client's transactions), and \
                 ids follow from offsets"
            )));
        }
        let here = i32::try_from(bounds.len()).unwrap_or(i32::MAX);
        if *count.get_or_insert(here) != here {
            return Err(refused(format!("it has {here} partitions, and other topics have another number")));
        }
    }
    count.ok_or_else(|| ReplayError::arguments("the archive has no topics"))
}

/// Publish what is missing in the new topics. Blocks.
pub(crate) fn restore(plan: &RestorePlan) -> Result<Restored, ReplayError> {
    let mut restored = Restored::default();
    let mut topics = Vec::new();
    for channel in Channel::all() {
        plan.interrupt.check()?;
        let ends = plan.archive.bounds(channel)?;
        let there = match plan.target.bounds(channel) {
            Err(ReplayError::NoTopic { .. }) if plan.is_rehearsal => vec![Bounds { first: 0, end: 0 }; ends.len()],
            there => there?,
        };
        plan.check_same(channel, &ends, &there)?;
        let range = |(partition, (ends, there)): (i32, (&Bounds, &Bounds))| Range {
            partition,
            from: there.end,
            until: ends.end,
        };
        let ranges: Vec<Range> = (0..).zip(ends.iter().zip(&there)).map(range).collect();
        restored.partitions += ranges.len();
        restored.were_there += there.iter().map(|there| u64::try_from(there.end).unwrap_or(0)).sum::<u64>();
        restored.records +=
            ranges.iter().map(|range| u64::try_from(range.until - range.from).unwrap_or(0)).sum::<u64>();
        topics.push(Topic { channel, ends, ranges });
    }
    if plan.is_rehearsal {
        return Ok(restored);
    }
    let mut publisher = Publisher::open(plan, restored.records)?;
    for topic in &topics {
        plan.publish(topic, &mut publisher)?;
    }
    restored.without_headers = publisher.finish()?;
    for Topic { channel, ends, .. } in &topics {
        let there = plan.check_end(*channel, ends.iter().map(|ends| ends.end))?;
        plan.check_same(*channel, ends, &there)?;
    }
    Ok(restored)
}

impl RestorePlan {
    /// Whether what is there is a beginning of what is archived.
    fn check_same(&self, channel: Channel, ends: &[Bounds], there: &[Bounds]) -> Result<(), ReplayError> {
        if ends.len() != there.len() {
            let reason = format!("it has {} partitions, and the archived one has {}", there.len(), ends.len());
            return Err(self.not_ours(channel, &reason));
        }
        self.check_beginning(channel, there, ends.iter().map(|ends| ends.end))?;
        let last = |(partition, there): (i32, &Bounds)| Range { partition, from: there.end - 1, until: there.end };
        let lasts: Vec<Range> = (0..).zip(there).filter(|(_, there)| there.end > 0).map(last).collect();
        let mut witnesses = vec![None; there.len()];
        self.archive
            .read(channel, &lasts, &mut |record| {
                let place = usize::try_from(record.partition).ok().and_then(|place| witnesses.get_mut(place));
                if let Some(witness) = place {
                    *witness = Some(self.renamed(channel, record, Witness::of));
                }
                ControlFlow::Continue(())
            })
            .map(drop)?;
        self.check_lasts(channel, there, &witnesses)
    }

    /// Whether what is there begins at 0 and ends no later than what shall be there.
    pub(super) fn check_beginning(
        &self,
        channel: Channel,
        there: &[Bounds],
        ends: impl Iterator<Item = i64>,
    ) -> Result<(), ReplayError> {
        let is_more = |(_, (there, end)): &(i32, (&Bounds, i64))| there.first > 0 || there.end > *end;
        match (0..).zip(there.iter().zip(ends)).find(is_more) {
            None => Ok(()),
            Some((partition, (there, end))) => {
                let reason = format!("partition {partition} holds offsets {} to {}", there.first, there.end);
                Err(self.not_ours(channel, &format!("{reason}, and the archive ends at {end}")))
            }
        }
    }

    /// Whether the last records that are there are these.
    pub(super) fn check_lasts(
        &self,
        channel: Channel,
        there: &[Bounds],
        witnesses: &[Option<Witness>],
    ) -> Result<(), ReplayError> {
        match check_topic(&self.target, channel, there, witnesses) {
            Err(ReplayError::OtherTopic { partition, reason, .. }) => {
                Err(self.not_ours(channel, &format!("partition {partition}: {reason}")))
            }
            checked => checked,
        }
    }

    /// What is there in the end, which must be all of it, and no more.
    pub(super) fn check_end(
        &self,
        channel: Channel,
        ends: impl Iterator<Item = i64>,
    ) -> Result<Vec<Bounds>, ReplayError> {
        let there = self.target.bounds(channel)?;
        if there.iter().zip(ends).any(|(there, end)| there.end != end) {
            let reason = "it does not end where the archive does: somebody else writes to it";
            return Err(self.not_ours(channel, reason));
        }
        Ok(there)
    }

    pub(super) fn not_ours(&self, channel: Channel, reason: &str) -> ReplayError {
        ReplayError::arguments(format!(
            "topic {} is not empty, and is not the beginning of the archived one: {reason}; give another --topic-prefix, or delete \
             what is there",
            self.target.topic(channel)
        ))
    }

    fn publish(&self, topic: &Topic, publisher: &mut Publisher) -> Result<(), ReplayError> {
        let name = self.target.topic(topic.channel);
        let mut failed = None;
        let mut due: BTreeMap<i32, i64> = topic.ranges.iter().map(|range| (range.partition, range.from)).collect();
        self.archive
            .read(topic.channel, &topic.ranges, &mut |record| {
                let mut publish = || {
                    let expected = due.entry(record.partition).or_default();
                    if record.offset != *expected {
                        let (partition, offset) = (record.partition, *expected);
                        return Err(ReplayError::archive(
                            &name,
                            format!("partition {partition} has no offset {offset}"),
                        ));
                    }
                    *expected += 1;
                    self.renamed(topic.channel, record, |record| publisher.send(&name, record))
                };
                match publish() {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(error) => {
                        failed = Some(error);
                        ControlFlow::Break(())
                    }
                }
            })
            .map(drop)?;
        failed.map_or(Ok(()), Err)
    }

    /// The record as it is to lie in the new topics.
    fn renamed<T>(&self, channel: Channel, record: &Record<'_>, act: impl FnOnce(&Record<'_>) -> T) -> T {
        let (Channel::DeadLetters(_), Some(headers)) = (channel, &record.headers) else { return act(record) };
        let new_name = |value: Option<&[u8]>| renamed_origin(value, (&self.from_prefix, &self.to_prefix));
        let names: Vec<Option<Vec<u8>>> =
            headers.iter().map(|(name, value)| if *name == ORIGINAL_TOPIC { new_name(*value) } else { None }).collect();
        let headers: Vec<(&str, Option<&[u8]>)> =
            headers.iter().zip(&names).map(|((name, value), new)| (*name, new.as_deref().or(*value))).collect();
        act(&Record { headers: Some(headers.into()), ..record.clone() })
    }
}

/// The name of a letter's original topic with another prefix; none where it has not this one.
pub(super) fn renamed_origin(value: Option<&[u8]>, (from, to): (&str, &str)) -> Option<Vec<u8>> {
    let topic = TopicName::parse(std::str::from_utf8(value?).ok()?.strip_prefix(from)?)?;
    Some(format!("{to}{topic}").into_bytes())
}

/// Publishes in order, counts, and ends at the first failure.
pub(super) struct Publisher {
    producer: BaseProducer<Producing<FirstFailure>>,
    interrupt: Interrupt,
    progress: Progress,
    sent: u64,
    without_headers: u64,
}

/// The first message that was not confirmed.
#[derive(Default)]
struct FirstFailure(Mutex<Option<KafkaError>>);

impl Confirmations for FirstFailure {
    type Ticket = ();

    fn delivered(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| error.clone());
        }
    }
}

impl Publisher {
    /// For so many records.
    pub(super) fn open(plan: &RestorePlan, records: u64) -> Result<Self, ReplayError> {
        let mut config = plan.kafka.clone();
        // No record is larger than its topic takes, but possibly than what a client sends unless told.
        config.set("message.max.bytes", "2000000").set("compression.type", "lz4").set("linger.ms", "20");
        config.set("acks", "all").set("enable.idempotence", "true");
        config.set("queue.buffering.max.kbytes", "65536");
        config.set("message.timeout.ms", CONFIRMATION.as_millis().to_string());
        let producer = config.create_with_context(Producing::default());
        let producer = producer.map_err(ReplayError::kafka("the configuration of the producer"))?;
        let (interrupt, progress) = (plan.interrupt.clone(), Progress::new("restore", records));
        Ok(Publisher { producer, interrupt, progress, sent: 0, without_headers: 0 })
    }

    pub(super) fn send(&mut self, topic: &str, record: &Record<'_>) -> Result<(), ReplayError> {
        self.hand_over(topic, record)?;
        self.sent += 1;
        self.without_headers += u64::from(record.headers.is_none());
        if self.sent.is_multiple_of(LOOK_EVERY) {
            self.interrupt.check()?;
            self.check()?;
            self.progress.add(LOOK_EVERY);
        }
        Ok(())
    }

    /// Waits until all is confirmed. How many records had no headers.
    pub(super) fn finish(self) -> Result<u64, ReplayError> {
        self.producer.flush(CONFIRMATION).map_err(ReplayError::kafka("waiting until all is published"))?;
        self.check()?;
        self.progress.finish();
        Ok(self.without_headers)
    }

    fn hand_over(&self, topic: &str, record: &Record<'_>) -> Result<(), ReplayError> {
        let headers = record.headers.iter().flat_map(|headers| headers.iter());
        let headers =
            headers.fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: *value }));
        let mut outgoing = BaseRecord::<[u8], [u8]>::to(topic).partition(record.partition).headers(headers);
        (outgoing.key, outgoing.payload) = (record.key, record.payload);
        if record.timestamp_type != TimestampType::None {
            outgoing.timestamp = Some(record.timestamp_ms);
        }
        let until = Instant::now() + CONFIRMATION;
        loop {
            let Err((error, back)) = self.producer.send(outgoing) else { return Ok(()) };
            let is_full = error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull);
            if !is_full || Instant::now() >= until {
                return Err(ReplayError::kafka(format!("publishing to {topic}"))(error));
            }
            outgoing = back;
            self.producer.poll(POLL);
        }
    }

    fn check(&self) -> Result<(), ReplayError> {
        self.producer.poll(Duration::ZERO);
        let FirstFailure(first) = &*self.producer.context().confirmations;
        let failed = first.lock().unwrap_or_else(PoisonError::into_inner).take();
        failed.map_or(Ok(()), |error| Err(ReplayError::kafka("publishing to the new topics")(error)))
    }
}
