//! The reading end: a thread that notes arrivals, and a pass over the whole topic that proves order and completeness.
//!
//! The thread does as little as it can, because it shares the machine with what is measured; the proof comes afterwards.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use outbox::Position;
use outbox::log::{self, Bounds, Partition, Range};
use outbox::position::POSITION_HEADER;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};

use super::events::number_of;
use crate::error::{BenchError, Doing, Result};

const GROUP: &str = "bench-reader";
/// How long Kafka may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// A thread that reads the topic from its beginning.
pub(crate) struct Reader {
    seen: Arc<Seen>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<()>>,
}

/// What it has seen. Times are in nanoseconds since `epoch`, and 0 means not yet.
struct Seen {
    epoch: Instant,
    count: AtomicU64,
    first: AtomicU64,
    last: AtomicU64,
    arrivals: Vec<AtomicU64>,
}

impl Reader {
    /// Starts it and waits until it reads.
    pub(crate) fn start(brokers: &str, topic: &str, partitions: i32, expected: usize) -> Result<Self> {
        let consumer = open(brokers, topic, partitions)?;
        // The first poll opens connections; there is nothing to read yet.
        drop(consumer.poll(Duration::from_millis(500)).transpose().doing("reading the topic")?);
        let seen = Arc::new(Seen {
            epoch: Instant::now(),
            count: AtomicU64::new(0),
            first: AtomicU64::new(0),
            last: AtomicU64::new(0),
            arrivals: (0..expected).map(|_| AtomicU64::new(0)).collect(),
        });
        let stop = Arc::new(AtomicBool::new(false));
        let (noted, stopped) = (Arc::clone(&seen), Arc::clone(&stop));
        let thread = std::thread::Builder::new()
            .name("reader".into())
            .spawn(move || follow(&consumer, &noted, &stopped))
            .doing("starting the reader")?;
        Ok(Self { seen, stop, thread })
    }

    /// Events seen, doubles included.
    pub(crate) fn count(&self) -> u64 {
        self.seen.count.load(Ordering::Acquire)
    }

    /// Now, on the reader's clock: nanoseconds, never 0.
    pub(crate) fn now(&self) -> u64 {
        self.seen.now()
    }

    /// When the first event came.
    pub(crate) fn first(&self) -> u64 {
        self.seen.first.load(Ordering::Acquire)
    }

    /// When the last one so far came.
    pub(crate) fn last(&self) -> u64 {
        self.seen.last.load(Ordering::Acquire)
    }

    /// When an event came first; none if it has not yet.
    pub(crate) fn arrival(&self, number: usize) -> Option<u64> {
        self.seen.arrivals.get(number).map(|at| at.load(Ordering::Acquire)).filter(|at| *at > 0)
    }

    /// Waits until so many events were seen, at most as long as `limit`; whether they were.
    pub(crate) async fn sees(&self, events: u64, limit: Duration) -> Result<bool> {
        let waiting = async {
            while self.count() < events {
                if self.ended() {
                    return Err(BenchError::other("the reader ended early"));
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Ok(())
        };
        match tokio::time::timeout(limit, waiting).await {
            Ok(done) => done.map(|()| true),
            Err(_) => Ok(false),
        }
    }

    /// Whether it gave up, which it does only on an error.
    fn ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Ends it.
    pub(crate) fn finish(self) -> Result<()> {
        self.stop.store(true, Ordering::Release);
        self.thread.join().map_err(|_| BenchError::other("the reader panicked"))?
    }
}

impl Seen {
    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1)
    }
}

fn follow(consumer: &BaseConsumer, seen: &Seen, stop: &AtomicBool) -> Result<()> {
    while !stop.load(Ordering::Acquire) {
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let message = message.doing("reading the topic")?;
        let now = seen.now();
        let number = message.payload().and_then(number_of).and_then(|number| usize::try_from(number).ok());
        if let Some(arrival) = number.and_then(|number| seen.arrivals.get(number))
            && arrival.load(Ordering::Relaxed) == 0
        {
            arrival.store(now, Ordering::Release);
        }
        if seen.first.load(Ordering::Relaxed) == 0 {
            seen.first.store(now, Ordering::Release);
        }
        seen.last.store(now, Ordering::Release);
        seen.count.fetch_add(1, Ordering::AcqRel);
    }
    Ok(())
}

/// What a topic holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Events, each counted once.
    pub(crate) events: u64,
    /// Records whose sequence had come before.
    pub(crate) duplicates: u64,
    /// Records whose sequence was not the next one.
    pub(crate) gaps: u64,
}

impl Verdict {
    /// Takes the next record of a partition; `last` is the sequence before it.
    fn take(&mut self, last: &mut i64, sequence: i64) {
        match sequence - *last {
            1 => self.events += 1,
            ..=0 => self.duplicates += 1,
            _ => {
                self.events += 1;
                self.gaps += 1;
            }
        }
        *last = sequence.max(*last);
    }
}

/// Reads the topic from beginning to end and follows the sequence of each partition.
pub(crate) fn verify(brokers: &str, topic: &str, partitions: i32) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    let mut last = vec![0; usize::try_from(partitions).map_err(BenchError::other)?];
    read_all(brokers, topic, partitions, |index, message| {
        let header = message.headers().and_then(|headers| headers.iter().filter(|h| h.key == POSITION_HEADER).last());
        let position = Position::parse(header.and_then(|header| header.value).unwrap_or_default());
        verdict.take(&mut last[index], position.map_err(BenchError::other)?.sequence);
        Ok(())
    })?;
    Ok(verdict)
}

/// Reads the topic from beginning to end; an error of `each` ends it.
fn read_all(
    brokers: &str,
    topic: &str,
    partitions: i32,
    mut each: impl FnMut(usize, &BorrowedMessage<'_>) -> Result<()>,
) -> Result<()> {
    let mut config = settings(brokers);
    log::configure(&mut config, GROUP);
    let consumer: BaseConsumer = config.create().doing("making a reader")?;
    let topic: Arc<str> = topic.into();
    let places: Vec<Partition> =
        (0..partitions).map(|partition| Partition { topic: Arc::clone(&topic), partition }).collect();
    let bounds = log::bounds(&consumer, &places, ANSWER).doing("asking for the topic's ends")?;
    let range = |(place, Bounds { low, high })| Range { place, from: low, until: high };
    let ranges: Vec<Range> = places.into_iter().zip(bounds).map(range).collect();
    let mut failed = None;
    log::read(&consumer, &ranges, ANSWER, |index, message| {
        failed = each(index, message).err();
        if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .map_err(BenchError::other)?;
    failed.map_or(Ok(()), Err)
}

/// What a peer's topic holds, by the events' own numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Events, each counted once.
    pub(crate) events: u64,
    /// Records of an event that had come before.
    pub(crate) duplicates: u64,
    /// Keys of which an event came after a later one.
    pub(crate) disordered_keys: u64,
}

/// Reads the topic from beginning to end and counts.
pub(crate) fn tally(brokers: &str, topic: &str, partitions: i32) -> Result<Tally> {
    let (mut seen, mut last, mut disordered) = (HashSet::new(), HashMap::new(), HashSet::new());
    let mut duplicates = 0;
    read_all(brokers, topic, partitions, |_, message| {
        let number =
            message.payload().and_then(number_of).ok_or_else(|| BenchError::other("a record has no number"))?;
        if !seen.insert(number) {
            duplicates += 1;
            return Ok(());
        }
        let key = message.key().unwrap_or_default();
        match last.get_mut(key) {
            Some(last) if *last > number => drop(disordered.insert(key.to_vec())),
            Some(last) => *last = number,
            None => drop(last.insert(key.to_vec(), number)),
        }
        Ok(())
    })?;
    Ok(Tally { events: seen.len() as u64, duplicates, disordered_keys: disordered.len() as u64 })
}

fn settings(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("queued.min.messages", "200000").set("fetch.queue.backoff.ms", "5");
    config
}

fn open(brokers: &str, topic: &str, partitions: i32) -> Result<BaseConsumer> {
    let consumer: BaseConsumer = settings(brokers)
        .set("group.id", GROUP)
        .set("enable.auto.commit", "false")
        .create()
        .doing("making a reader")?;
    // Without it an assignment waits half a second for the client to know the topic.
    consumer.fetch_metadata(Some(topic), ANSWER).doing("looking up the topic")?;
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(topic, partition, Offset::Offset(0)).doing("naming a partition")?;
    }
    consumer.assign(&list).doing("assigning the topic")?;
    Ok(consumer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_and_gaps_are_told_apart() {
        let (mut verdict, mut last) = (Verdict::default(), 0);
        for sequence in [1, 2, 2, 1, 3, 5, 6] {
            verdict.take(&mut last, sequence);
        }
        assert_eq!(verdict, Verdict { events: 5, duplicates: 2, gaps: 1 });
    }
}
