//! Which ranges are not read to their ends, by what a client brings.
//!
//! The client library says of a log's end only the partition's number, not the topic. Whose end it is follows from where
//! the client stands: behind a range that has ended, also where marks of transactions are its last offsets. Partitions that
//! are read are paused, so that no later end of theirs is taken for another one's; pausing also drops what they have queued.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::{Partition, Range, offset_of};
use crate::kafka::{self, Denied};

/// How long setting a client to another offset may take.
const SEEK_LIMIT: Duration = Duration::from_secs(10);

/// A range that is not read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// The range's index.
    pub index: usize,
    /// Its partition.
    pub place: Partition,
    /// The offset that comes next.
    pub next: i64,
    /// The offset after the last one.
    pub until: i64,
}

/// What that was which the client brought.
#[derive(Debug)]
pub enum Taken<'m> {
    /// A record of the range with this index.
    Record(usize, BorrowedMessage<'m>),
    /// A log ended, and with it these ranges. One whose `next` is not `until` lacks its last offsets: they are a hole, or the
    /// log has become shorter.
    Ended(Vec<Unread>),
    /// Nothing that anybody waits for: a record behind its range's end, or that the group's name may not be used.
    Passed,
    /// The client complains of something, and tries on.
    Complaint(KafkaError),
}

/// The ranges that are being read by one client.
#[derive(Debug)]
pub struct Ranges {
    /// By the partition's number, which is all that the end of a log tells.
    unread: BTreeMap<i32, Vec<Unread>>,
    /// How many ends of logs of that number are of a range that the client does not stand behind.
    unplaced: BTreeMap<i32, usize>,
}

impl Ranges {
    /// Assigns to the client what is not empty.
    ///
    /// # Errors
    /// When the client does not take it.
    pub fn begin<C: ConsumerContext>(client: &impl Consumer<C>, ranges: &[Range]) -> KafkaResult<Self> {
        let mut list = TopicPartitionList::with_capacity(ranges.len());
        let mut unread: BTreeMap<i32, Vec<Unread>> = BTreeMap::new();
        for (index, range) in ranges.iter().enumerate().filter(|(_, range)| range.from < range.until) {
            let Range { place, from, until } = range;
            list.add_partition_offset(&place.topic, place.partition, Offset::Offset(*from))?;
            let range = Unread { index, place: place.clone(), next: *from, until: *until };
            unread.entry(place.partition).or_default().push(range);
        }
        client.assign(&list)?;
        // A partition that this client has read before stays paused although it was given back.
        client.resume(&list)?;
        Ok(Self { unread, unplaced: BTreeMap::new() })
    }

    /// Whether all are read to their ends.
    pub fn are_read(&self) -> bool {
        self.unread.is_empty()
    }

    /// Those that are not.
    pub fn unread(&self) -> impl Iterator<Item = &Unread> {
        self.unread.values().flatten()
    }

    /// Take what this client has brought.
    ///
    /// # Errors
    /// When the client cannot be told what is read.
    pub fn take<'m, C: ConsumerContext>(
        &mut self,
        client: &impl Consumer<C>,
        came: KafkaResult<BorrowedMessage<'m>>,
    ) -> KafkaResult<Taken<'m>> {
        match came {
            Ok(message) => self.record(client, message),
            Err(KafkaError::PartitionEOF(number)) => self.end_of_log(client, number).map(Taken::Ended),
            // The group is only a name here: nothing is asked of it.
            Err(error) if kafka::denied(&error) == Some(Denied::Group) => Ok(Taken::Passed),
            Err(error) => Ok(Taken::Complaint(error)),
        }
    }

    /// Go on at another offset of a range, as behind what the client cannot read.
    ///
    /// # Errors
    /// When the client does not go there.
    pub fn pass<C: ConsumerContext>(
        &mut self,
        client: &impl Consumer<C>,
        place: &Partition,
        next: i64,
    ) -> KafkaResult<()> {
        let Some(range) = self.find(&place.topic, place.partition) else { return Ok(()) };
        range.next = next;
        if next < range.until {
            return client.seek(&place.topic, place.partition, Offset::Offset(next), SEEK_LIMIT);
        }
        self.close(client, place.partition, |range| range.place == *place).map(drop)
    }

    fn find(&mut self, topic: &str, partition: i32) -> Option<&mut Unread> {
        self.unread.get_mut(&partition)?.iter_mut().find(|range| &*range.place.topic == topic)
    }

    fn record<'m, C: ConsumerContext>(
        &mut self,
        client: &impl Consumer<C>,
        message: BorrowedMessage<'m>,
    ) -> KafkaResult<Taken<'m>> {
        let (partition, offset) = (message.partition(), message.offset());
        let Some(range) = self.find(message.topic(), partition) else { return Ok(Taken::Passed) };
        range.next = offset + 1;
        let (index, is_within, is_last) = (range.index, offset < range.until, range.next >= range.until);
        if is_last {
            self.close(client, partition, |range| range.index == index)?;
        }
        Ok(if is_within { Taken::Record(index, message) } else { Taken::Passed })
    }

    /// The log of some partition of this number has ended.
    fn end_of_log<C: ConsumerContext>(&mut self, client: &impl Consumer<C>, number: i32) -> KafkaResult<Vec<Unread>> {
        let Some(ranges) = self.unread.get_mut(&number) else { return Ok(Vec::new()) };
        let positions = client.position()?;
        for range in ranges.iter_mut() {
            let told = positions.find_partition(&range.place.topic, number).and_then(|told| offset_of(told.offset()));
            range.next = range.next.max(told.unwrap_or(range.next)).min(range.until);
        }
        let ended = self.close(client, number, |range| range.next >= range.until)?;
        if !ended.is_empty() {
            return Ok(ended);
        }
        *self.unplaced.entry(number).or_default() += 1;
        self.close(client, number, |_| false)
    }

    /// These of a number are read: nothing more of them is fetched. So are the others, once as many logs have ended before a
    /// range's end (a hole is there) as there are others.
    fn close<C: ConsumerContext>(
        &mut self,
        client: &impl Consumer<C>,
        number: i32,
        is_read: impl Fn(&Unread) -> bool,
    ) -> KafkaResult<Vec<Unread>> {
        let Some(ranges) = self.unread.get_mut(&number) else { return Ok(Vec::new()) };
        let (mut read, left): (Vec<Unread>, Vec<Unread>) = std::mem::take(ranges).into_iter().partition(is_read);
        if left.len() <= self.unplaced.get(&number).copied().unwrap_or(0) {
            read.extend(left);
            self.unread.remove(&number);
        } else {
            *ranges = left;
        }
        if read.is_empty() {
            return Ok(read);
        }
        let mut list = TopicPartitionList::with_capacity(read.len());
        for range in &read {
            list.add_partition(&range.place.topic, number);
        }
        client.pause(&list)?;
        Ok(read)
    }
}
