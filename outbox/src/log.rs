//! What topic partitions hold: where they begin and end, and ranges of them read to their ends, in no group's name.
//!
//! A range need not end with a record that a reader is shown: its last offsets may be marks of transactions, records of an
//! aborted one, or a hole that compaction left. So a range is read when its last record came, or when the log ended and the
//! client stands behind the range; [`Ranges`] knows. [`read`] polls a blocking client for it. Whoever polls by himself
//! (asynchronously, or because some complaints are not the end for him) hands over what came.
//!
//! Deliberately absent: what the records mean, a speed of its own (fetch sizes are the configuration's), and following a
//! topic on and on, which has no end to find.

mod ranges;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

pub use ranges::{Ranges, Taken, Unread};

use crate::kafka;

/// How long one poll may wait.
const POLL: Duration = Duration::from_millis(50);

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Partition {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
}

/// Where a partition's log begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The first offset that is left.
    pub low: i64,
    /// The offset after the last one that the client may read.
    pub high: i64,
}

/// A part of a partition's log; of one partition a client reads only one at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// Of which partition.
    pub place: Partition,
    /// The first offset.
    pub from: i64,
    /// The offset after the last one.
    pub until: i64,
}

/// Why ranges could not be read to their ends.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The client says so, and waiting does not mend it.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// Nothing came for too long.
    #[error("topic partitions that should have records gave none in time{}", said(.last.as_ref()))]
    Silent {
        /// What the client complained of last.
        last: Option<KafkaError>,
    },
}

/// Set what reading ranges needs, over whatever the configuration says. The group is only a name: nothing joins it.
pub fn configure(config: &mut ClientConfig, group: &str) {
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "error");
}

/// The bounds of these partitions, in their order. Blocks; one request per broker serves all partitions.
///
/// # Errors
/// When the brokers do not answer in time, or not for each of them.
pub fn bounds<C: ConsumerContext>(
    client: &impl Consumer<C>,
    places: &[Partition],
    limit: Duration,
) -> KafkaResult<Vec<Bounds>> {
    // ListOffsets takes the two ends of a log in place of a time.
    let lows = asked(client, places.iter().map(|place| (place, Offset::Beginning)), limit)?;
    let highs = asked(client, places.iter().map(|place| (place, Offset::End)), limit)?;
    let told = |(low, high): (Option<i64>, Option<i64>)| {
        low.zip(high).map(|(low, high)| Bounds { low, high }).ok_or(KafkaError::OffsetFetch(RDKafkaErrorCode::NoOffset))
    };
    lows.into_iter().zip(highs).map(told).collect()
}

/// For each partition and time (milliseconds since 1970) the first offset whose record is not older; none where there is no
/// such record. Blocks.
///
/// # Errors
/// When the brokers do not answer in time, or not for each of them.
pub fn offsets_at<C: ConsumerContext>(
    client: &impl Consumer<C>,
    wanted: &[(Partition, i64)],
    limit: Duration,
) -> KafkaResult<Vec<Option<i64>>> {
    asked(client, wanted.iter().map(|(place, time_ms)| (place, Offset::Offset(*time_ms))), limit)
}

/// Where the client stands in a partition: behind the last record that it brought, and behind marks of transactions, which
/// nobody is shown.
pub fn position<C: ConsumerContext>(client: &impl Consumer<C>, topic: &str, partition: i32) -> Option<i64> {
    offset_of(client.position().ok()?.find_partition(topic, partition)?.offset())
}

/// Read these ranges; `each` takes the records of one range in the order of the log, with the range's index, and may have
/// enough. Afterwards the client has no partitions. Blocks.
///
/// # Errors
/// [`ReadError`]; what the client mends by itself is waited for until `patience` has passed without anything coming.
pub fn read<C: ConsumerContext>(
    client: &BaseConsumer<C>,
    ranges: &[Range],
    patience: Duration,
    mut each: impl FnMut(usize, &BorrowedMessage<'_>) -> ControlFlow<()>,
) -> Result<(), ReadError> {
    let mut reading = Ranges::begin(client, ranges)?;
    let mut silence = Silence::new(patience);
    let mut last = None;
    while !reading.are_read() {
        let has_come = match client.poll(POLL).map(|came| reading.take(client, came)).transpose()? {
            Some(Taken::Record(index, message)) => {
                if each(index, &message).is_break() {
                    break;
                }
                true
            }
            Some(Taken::Ended(_) | Taken::Passed) => true,
            Some(Taken::Complaint(error)) if kafka::is_final(&error) || kafka::is_about_content(&error) => {
                return Err(error.into());
            }
            Some(Taken::Complaint(error)) => {
                last = Some(error);
                false
            }
            None => false,
        };
        if silence.lasts_too_long(has_come) {
            return Err(ReadError::Silent { last });
        }
    }
    Ok(client.unassign()?)
}

/// How long nothing has come. Asks for the time only while nothing comes, not for each record.
#[derive(Debug)]
pub struct Silence {
    patience: Duration,
    since: Option<Instant>,
}

impl Silence {
    /// Too long after `patience`.
    #[must_use]
    pub fn new(patience: Duration) -> Self {
        Self { patience, since: None }
    }

    /// Whether nothing has come for too long, now that something has come or has not. It begins when first nothing came.
    pub fn lasts_too_long(&mut self, has_come: bool) -> bool {
        if has_come {
            self.since = None;
            return false;
        }
        self.since.get_or_insert_with(Instant::now).elapsed() > self.patience
    }
}

fn asked<'p, C: ConsumerContext>(
    client: &impl Consumer<C>,
    wanted: impl Iterator<Item = (&'p Partition, Offset)> + Clone,
    limit: Duration,
) -> KafkaResult<Vec<Option<i64>>> {
    let mut list = TopicPartitionList::new();
    for (place, offset) in wanted.clone() {
        list.add_partition_offset(&place.topic, place.partition, offset)?;
    }
    if list.count() == 0 {
        return Ok(Vec::new());
    }
    let told = kafka::settled(limit, kafka::is_unsettled, |left| {
        let answered = client.offsets_for_times(list.clone(), left)?;
        let told = answered.elements().into_iter().map(|element| {
            let place = (element.topic().to_owned(), element.partition());
            element.error().map(|()| (place, offset_of(element.offset())))
        });
        told.collect::<KafkaResult<HashMap<_, _>>>()
    })?;
    Ok(wanted.map(|(place, _)| told.get(&(place.topic.to_string(), place.partition)).copied().flatten()).collect())
}

fn offset_of(told: Offset) -> Option<i64> {
    match told {
        Offset::Offset(offset) => Some(offset),
        Offset::Beginning | Offset::End | Offset::Stored | Offset::Invalid | Offset::OffsetTail(_) => None,
    }
}

fn said(last: Option<&KafkaError>) -> String {
    last.map_or_else(String::new, |error| format!(": {}", kafka::words(error)))
}
