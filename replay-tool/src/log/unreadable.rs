//! Runs of offsets whose records the client library cannot read: where they are, and how far they go.
//!
//! The library's error names neither partition nor offset, so a consumer of one partition looks from where reading
//! stands. Offsets are tried one by one: greater steps would pass over what can be read between two runs that cannot.
//! What was found is remembered for as long as the log is open, because logs are read more than once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::{Message as _, Offset, TopicPartitionList};

use super::channel::Channel;
use super::client::{self, Reading};
use crate::error::{ReplayError, UnreadableRun};
use crate::interrupt::Interrupt;

/// How long one poll may wait.
const POLL: Duration = Duration::from_millis(50);

/// First and last offset of a run.
pub(crate) type Span = (i64, i64);

/// The same offset, or the one behind the runs that hold it; they ascend by their first offsets.
pub(crate) fn past_spans(spans: &[Span], offset: i64) -> i64 {
    spans.iter().fold(offset, |offset, (first, last)| match *first <= offset && offset <= *last {
        true => last + 1,
        false => offset,
    })
}

/// Where a run begins: topic, partition, first offset.
type Place = (Channel, i32, i64);

/// The runs that were met, by channel and partition, by their first offsets.
#[derive(Debug, Clone, Default)]
pub(super) struct Runs(Arc<Mutex<BTreeMap<Place, UnreadableRun>>>);

impl Runs {
    /// The run that holds this offset.
    pub(super) fn at(&self, channel: Channel, partition: i32, offset: i64) -> Option<UnreadableRun> {
        let runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, run) = runs.range((channel, partition, 0)..=(channel, partition, offset)).next_back()?;
        (run.last >= offset).then(|| run.clone())
    }

    pub(super) fn of(&self, channel: Channel) -> Vec<UnreadableRun> {
        let runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        runs.iter().filter(|((of, _, _), _)| *of == channel).map(|(_, run)| run.clone()).collect()
    }

    pub(super) fn forget(&self, channel: Channel) {
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        runs.retain(|(of, _, _), _| *of != channel);
    }

    pub(super) fn insert(&self, channel: Channel, run: UnreadableRun) {
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        runs.insert((channel, run.partition, run.first), run);
    }
}

/// Looks at single offsets of one partition.
pub(super) struct Probe<'p> {
    pub(super) consumer: Reading,
    pub(super) topic: &'p str,
    pub(super) partition: i32,
    /// How long the brokers may send nothing of an offset.
    pub(super) patience: Duration,
    pub(super) interrupt: &'p Interrupt,
}

/// What lies at an offset.
enum Look {
    /// A record, there or later: none is at the offset then.
    Record,
    /// The log's end.
    End,
    /// Something that the client cannot read.
    Unreadable(String),
}

impl Probe<'_> {
    /// The run that begins at `from`, none where that offset can be read. Blocks.
    pub(super) fn run(&self, from: i64, until: i64) -> Result<Option<UnreadableRun>, ReplayError> {
        let Look::Unreadable(cause) = self.look(from)? else { return Ok(None) };
        let mut next = from + 1;
        while next < until && matches!(self.look(next)?, Look::Unreadable(_)) {
            next += 1;
        }
        let (topic, partition) = (self.topic.to_owned(), self.partition);
        Ok(Some(UnreadableRun { topic, partition, first: from, last: next - 1, cause }))
    }

    fn look(&self, offset: i64) -> Result<Look, ReplayError> {
        let place = || format!("{}[{}] from offset {offset} on", self.topic, self.partition);
        let mut list = TopicPartitionList::new();
        let added = list.add_partition_offset(self.topic, self.partition, Offset::Offset(offset));
        added.and_then(|()| self.consumer.assign(&list)).map_err(ReplayError::kafka(format!("reading {}", place())))?;
        let begun = Instant::now();
        let mut last = None;
        while begun.elapsed() < self.patience {
            self.interrupt.check()?;
            match client::poll(&self.consumer, POLL) {
                Some(Ok(message)) if message.offset() >= offset => return Ok(Look::Record),
                Some(Ok(_)) | None => {}
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(Look::End),
                Some(Err(error)) if outbox::kafka::is_about_content(&error) => {
                    let code = error.rdkafka_error_code();
                    return Ok(Look::Unreadable(code.map_or_else(|| error.to_string(), |code| code.to_string())));
                }
                Some(Err(error)) if outbox::kafka::is_final(&error) => {
                    return Err(ReplayError::kafka(format!("reading {}", place()))(error));
                }
                Some(Err(error)) => last = Some(error.to_string()),
            }
        }
        Err(ReplayError::Silent { place: place(), wait_s: self.patience.as_secs(), last })
    }
}

#[cfg(test)]
mod tests {
    use schemas::TopicName;

    use super::*;

    #[test]
    fn runs_that_touch_or_overlap_are_passed_together() {
        let spans = [(10, 12), (10, 15), (16, 16), (20, 21)];
        let passed: Vec<i64> = [9, 10, 12, 16, 17, 21].map(|offset| past_spans(&spans, offset)).to_vec();
        assert_eq!(passed, [9, 17, 17, 17, 17, 22]);
    }

    #[test]
    fn a_run_is_known_by_each_of_its_offsets() {
        let (runs, channel) = (Runs::default(), Channel::Messages(TopicName::OrderCommands));
        let run = |first, last| UnreadableRun { topic: "t".into(), partition: 1, first, last, cause: "bad".into() };
        runs.insert(channel, run(10, 12));
        runs.insert(channel, run(20, 20));
        for (offset, known) in [(9, None), (10, Some(12)), (12, Some(12)), (13, None), (20, Some(20)), (21, None)] {
            assert_eq!(runs.at(channel, 1, offset).map(|run| run.last), known, "{offset}");
        }
        assert_eq!(runs.at(channel, 0, 10), None);
        assert_eq!(runs.of(channel).len(), 2);
        assert!(runs.of(Channel::DeadLetters(TopicName::OrderCommands)).is_empty());
    }
}
