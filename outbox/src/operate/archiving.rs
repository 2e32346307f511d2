//! Is everything archived before retention deletes it? One rule for `doctor`, for the check of topics and for a start.
//!
//! Whoever archives commits how far the archive is on disk as offsets of a consumer group. Retention is safe as long as
//! that group has what is older than half of it: then as much time as was needed so far is left before anything is lost.
//! [`judge`] is pure; [`look`] asks the brokers. Deliberately absent: what retention by size keeps, because nobody can tell
//! how long that lasts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::kafka::{self, Listener};
use crate::log::{self, Bounds, Partition};

/// A partition whose topic deletes by age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aging {
    /// The first offset that its log still has.
    pub log_start: i64,
    /// The offset that comes next.
    pub log_end: i64,
    /// The first record that is younger than half of the retention; the log's end where none is.
    pub half: i64,
    /// The offset after what is archived for good; none where no archive has said anything.
    pub archived: Option<i64>,
}

/// Whether a partition is archived in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Archiving {
    /// What is older than half of the retention is archived.
    InTime,
    /// It is not: from this offset on, up to the one before `until`.
    Late {
        /// The first that is missing.
        from: i64,
        /// The first that is young enough.
        until: i64,
    },
    /// Nobody archives it.
    Nowhere,
    /// Retention was faster: nobody has these offsets any more.
    Lost {
        /// The first of them.
        from: i64,
        /// The last one.
        last: i64,
    },
}

/// The time that is half of the retention ago, in milliseconds since 1970.
pub fn half_way_ms(now_ms: i64, retention_ms: i64) -> i64 {
    now_ms.saturating_sub(retention_ms / 2)
}

/// The rule.
pub fn judge(aging: &Aging) -> Archiving {
    let Some(archived) = aging.archived else { return Archiving::Nowhere };
    if archived < aging.log_start {
        return Archiving::Lost { from: archived, last: aging.log_start - 1 };
    }
    let until = aging.half.min(aging.log_end);
    if archived < until { Archiving::Late { from: archived, until } } else { Archiving::InTime }
}

/// A topic that is not archived in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unarchived {
    /// Its full name.
    pub topic: String,
    /// Its retention in milliseconds.
    pub retention_ms: i64,
    /// The group that was asked.
    pub group: String,
    /// The partition that is worst off, and how.
    pub partition: i32,
    /// How it is archived.
    pub archiving: Archiving,
    /// How many of the topic's partitions are not archived in time.
    pub partitions: usize,
}

impl fmt::Display for Unarchived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unarchived { topic, retention_ms, group, partition, archiving, partitions } = self;
        let others = match partitions - 1 {
            0 => String::new(),
            more => format!(" (and {more} more of its partitions)"),
        };
        match archiving {
            Archiving::InTime => write!(f, "topic {topic} is archived in time"),
            Archiving::Nowhere => write!(
                f,
                "topic {topic} has retention.ms={retention_ms}, and no archive says how far it is: group {group} has no \
                 offset for partition {partition}{others}; state is rebuilt from topic and archive together, so let \
                 `replay-tool archive run --follow` run first, or set retention.ms=-1"
            ),
            Archiving::Late { from, until } => write!(
                f,
                "topic {topic} has retention.ms={retention_ms}, and its archive lags by more than half of it: offsets \
                 {from} to {} of partition {partition}{others} are older and not archived; see to `replay-tool archive \
                 run --follow`, or raise retention.ms before they are deleted",
                until - 1
            ),
            Archiving::Lost { from, last } => write!(
                f,
                "topic {topic} has retention.ms={retention_ms}, and offsets {from} to {last} of partition \
                 {partition}{others} were deleted before they were archived: state can no longer be rebuilt from topic \
                 and archive; raise retention.ms, and see to `replay-tool archive run --follow`"
            ),
        }
    }
}

/// Asks the brokers about these topics, each with its retention in milliseconds. Blocks; each question may take `wait`.
///
/// # Errors
/// The brokers do not answer, or the client may not describe the group.
pub fn look(
    properties: &ClientConfig,
    group: &str,
    topics: &[(String, i64)],
    now_ms: i64,
    wait: Duration,
) -> KafkaResult<Vec<Unarchived>> {
    if topics.is_empty() {
        return Ok(Vec::new());
    }
    let mut config = properties.clone();
    config.set("group.id", group).set("enable.auto.commit", "false");
    let client: BaseConsumer<Listener> = config.create_with_context(Listener::default())?;
    // Its first request needs its token, where it has one.
    kafka::attend(&client);
    let mut unarchived = Vec::new();
    for (topic, retention_ms) in topics {
        let metadata = client.fetch_metadata(Some(topic), wait)?;
        let partitions = metadata.topics().iter().map(|topic| topic.partitions().len()).sum::<usize>();
        let mut worst: Option<(Archiving, i32)> = None;
        let mut late = 0;
        for (partition, aging) in agings(&client, topic, partitions, half_way_ms(now_ms, *retention_ms), wait)? {
            let archiving = judge(&aging);
            if archiving == Archiving::InTime {
                continue;
            }
            late += 1;
            worst = worst.max(Some((archiving, partition)));
        }
        if let Some((archiving, partition)) = worst {
            let (topic, group) = (topic.clone(), group.to_owned());
            let retention_ms = *retention_ms;
            unarchived.push(Unarchived { topic, retention_ms, group, partition, archiving, partitions: late });
        }
    }
    Ok(unarchived)
}

fn agings(
    client: &BaseConsumer<Listener>,
    topic: &str,
    partitions: usize,
    half_way_ms: i64,
    wait: Duration,
) -> KafkaResult<Vec<(i32, Aging)>> {
    let (mut list, mut wanted, topic) = (TopicPartitionList::new(), Vec::new(), Arc::<str>::from(topic));
    for partition in (0_i32..).take(partitions) {
        list.add_partition(&topic, partition);
        wanted.push((Partition { topic: Arc::clone(&topic), partition }, half_way_ms));
    }
    let archived = kafka::committed(client, &list, wait)?;
    let young = log::offsets_at(client, &wanted, wait)?;
    let places: Vec<Partition> = wanted.into_iter().map(|(place, _)| place).collect();
    let bounds = log::bounds(client, &places, wait)?;
    let offset = |elem: TopicPartitionListElem<'_>| match elem.offset() {
        Offset::Offset(offset) => Some(offset),
        Offset::Beginning | Offset::End | Offset::Stored | Offset::Invalid | Offset::OffsetTail(_) => None,
    };
    let aging = |(Partition { partition, .. }, (Bounds { low, high }, young)): (Partition, (Bounds, Option<i64>))| {
        let archived = archived.find_partition(&topic, partition).and_then(offset);
        (partition, Aging { log_start: low, log_end: high, half: young.unwrap_or(high), archived })
    };
    Ok(places.into_iter().zip(bounds.into_iter().zip(young)).map(aging).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGING: Aging = Aging { log_start: 100, log_end: 200, half: 150, archived: Some(150) };

    fn archived(archived: impl Into<Option<i64>>) -> Archiving {
        judge(&Aging { archived: archived.into(), ..AGING })
    }

    #[test]
    fn what_is_older_than_half_of_the_retention_must_be_archived() {
        assert_eq!(archived(200), Archiving::InTime);
        assert_eq!(archived(150), Archiving::InTime);
        assert_eq!(archived(149), Archiving::Late { from: 149, until: 150 });
        assert_eq!(archived(100), Archiving::Late { from: 100, until: 150 });
        assert_eq!(archived(99), Archiving::Lost { from: 99, last: 99 });
        assert_eq!(archived(0), Archiving::Lost { from: 0, last: 99 });
        assert_eq!(archived(None), Archiving::Nowhere);
    }

    #[test]
    fn a_log_without_old_records_needs_no_archive_beyond_its_start() {
        let young = |archived| judge(&Aging { half: 100, archived: Some(archived), ..AGING });
        assert_eq!(young(100), Archiving::InTime);
        assert_eq!(young(99), Archiving::Lost { from: 99, last: 99 });
        // Everything was deleted, after it was archived or before.
        let empty = |archived| judge(&Aging { log_start: 200, half: 200, archived: Some(archived), ..AGING });
        assert_eq!(empty(200), Archiving::InTime);
        assert_eq!(empty(180), Archiving::Lost { from: 180, last: 199 });
    }

    #[test]
    fn half_of_the_retention_is_counted_from_now() {
        assert_eq!(half_way_ms(1_000_000, 600_000), 700_000);
        assert_eq!(half_way_ms(0, i64::MAX), -(i64::MAX / 2));
    }

    #[test]
    fn the_worst_partition_is_named() {
        let ascending = [
            Archiving::InTime,
            Archiving::Late { from: 0, until: 9 },
            Archiving::Nowhere,
            Archiving::Lost { from: 0, last: 1 },
        ];
        assert!(ascending.is_sorted());
        let unarchived = Unarchived {
            topic: "t".to_owned(),
            retention_ms: 60_000,
            group: "g".to_owned(),
            partition: 4,
            archiving: Archiving::Late { from: 7, until: 12 },
            partitions: 3,
        };
        let words = unarchived.to_string();
        assert!(words.contains("offsets 7 to 11 of partition 4 (and 2 more of its partitions)"), "{words}");
    }
}
