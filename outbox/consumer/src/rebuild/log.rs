//! The events of a rebuild: every lane of the state's topics, from its beginning to exactly the end that the snapshot saw.
//!
//! Whether a record counts is judged by its position and the lane's epochs, which the tables know; each sequence once, in
//! order. Blocking, for a thread of its own.
//!
//! Not `outbox::log::read`: a lane's end is a sequence, which the relay may not have published yet, so no offset is known.

use std::collections::HashMap;
use std::time::Duration;

use outbox::cut::Cut;
use outbox::kafka::{record_headers, words};
use outbox::log::Silence;
use outbox::position::POSITION_HEADER;
use outbox::{Epochs, Position};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::contract::Contract;
use crate::rebuild::{Derived, RebuildError};

/// How long one look at the client waits.
const LOOK: Duration = Duration::from_millis(100);

type TopicOf<D> = <<D as Derived>::Contract as Contract>::Topic;

/// A topic partition on its way to its end.
#[derive(Debug)]
pub(crate) struct Lane<T> {
    topic: T,
    source: &'static str,
    epochs: Epochs,
    /// The sequence that comes next.
    next: i64,
    /// The last one.
    head: i64,
}

/// The lanes that are still on their way, by full topic name and partition.
pub(crate) type Lanes<T> = HashMap<(String, i32), Lane<T>>;

/// The lanes of the state's topics that have something to tell.
pub(crate) fn lanes<D: Derived>(mut cut: Cut, prefix: &str) -> Result<Lanes<TopicOf<D>>, RebuildError> {
    let mut lanes = HashMap::new();
    for topic in D::TOPICS {
        let name = format!("{prefix}{}", D::Contract::topic_name(*topic));
        let wrong = |what: &str| RebuildError::Log { topic: name.clone(), partition: 0, what: what.to_owned() };
        let source = D::Contract::written_by(*topic).ok_or_else(|| wrong("anyone may write here: it is no state"))?;
        let own: Vec<_> = cut.lanes.keys().filter(|(full, _)| *full == name).cloned().collect();
        if own.is_empty() {
            return Err(wrong("the service's outbox does not send to this topic"));
        }
        for key in own {
            if let Some(lane) = cut.lanes.remove(&key).filter(|lane| lane.head > 0) {
                let next = lane.epochs.after(0);
                lanes.insert(key, Lane { topic: *topic, source, next, head: lane.head, epochs: lane.epochs });
            }
        }
    }
    Ok(lanes)
}

/// Folds every lane into a state. `patience`: how long nothing may come.
pub(crate) fn fold<D: Derived>(
    contract: &D::Contract,
    kafka: &ClientConfig,
    mut lanes: Lanes<TopicOf<D>>,
    patience: Duration,
) -> Result<D, RebuildError> {
    let consumer = open(kafka, &lanes).map_err(|error| RebuildError::Kafka(words(&error)))?;
    let (mut state, mut silence, mut said) = (D::default(), Silence::new(patience), None);
    while !lanes.is_empty() {
        let came = consumer.poll(LOOK);
        if silence.lasts_too_long(matches!(came, Some(Ok(_)))) {
            return Err(silent(lanes, patience, said));
        }
        match came {
            Some(Ok(message)) => take(contract, &mut state, &mut lanes, &message)?,
            Some(Err(error)) => said = Some(words(&error)),
            None => {}
        }
    }
    Ok(state)
}

fn open<T>(kafka: &ClientConfig, lanes: &Lanes<T>) -> rdkafka::error::KafkaResult<BaseConsumer> {
    let mut config = kafka.clone();
    // Nothing is stored under this name: no group is joined.
    config.set("group.id", "rebuild").set("enable.auto.commit", "false").set("auto.offset.reset", "earliest");
    let consumer: BaseConsumer = config.create()?;
    let mut list = TopicPartitionList::new();
    for (topic, partition) in lanes.keys() {
        list.add_partition_offset(topic, *partition, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    Ok(consumer)
}

fn take<D: Derived>(
    contract: &D::Contract,
    state: &mut D,
    lanes: &mut Lanes<TopicOf<D>>,
    message: &BorrowedMessage<'_>,
) -> Result<(), RebuildError> {
    let at = (message.topic().to_owned(), message.partition());
    let Some(lane) = lanes.get_mut(&at) else { return Ok(()) };
    let mut header = None;
    record_headers::visit(message, |name, value| {
        if name == POSITION_HEADER {
            header = value;
        }
    });
    let Some(Ok(position)) = header.map(Position::parse) else { return Ok(()) };
    let wrong = |what| RebuildError::Log { topic: at.0.clone(), partition: at.1, what };
    if !lane.counts_next(&position).map_err(wrong)? {
        return Ok(());
    }
    let event = contract.decode(lane.topic, message.payload().unwrap_or_default()).map_err(wrong)?;
    state.evolve(event).map_err(|why| wrong(format!("sequence {}: {why}", position.sequence)))?;
    if lane.is_done() {
        lanes.remove(&at);
    }
    Ok(())
}

impl<T> Lane<T> {
    /// Whether the record at this position is the one that comes next; an error where one before it is missing.
    fn counts_next(&mut self, position: &Position) -> Result<bool, String> {
        let counts = position.source == self.source && self.epochs.counts(position);
        if !counts || position.sequence < self.next {
            return Ok(false);
        }
        if position.sequence > self.next {
            return Err(format!("sequence {} does not come, {} does", self.next, position.sequence));
        }
        self.next = self.epochs.after(self.next);
        Ok(true)
    }

    fn is_done(&self) -> bool {
        self.next > self.head
    }
}

/// What has not come, of one of the lanes.
fn silent<T>(lanes: Lanes<T>, patience: Duration, said: Option<String>) -> RebuildError {
    let waiting = lanes.into_iter().min_by(|(one, _), (other, _)| one.cmp(other));
    let said = said.map_or_else(String::new, |said| format!(": {said}"));
    match waiting {
        Some(((topic, partition), lane)) => RebuildError::Log {
            topic,
            partition,
            what: format!(
                "sequence {} of {} does not come within {patience:?}; does the relay run?{said}",
                lane.next, lane.head
            ),
        },
        None => RebuildError::Kafka(format!("nothing comes within {patience:?}{said}")),
    }
}

#[cfg(test)]
mod tests {
    use outbox::Epoch;

    use super::*;

    fn lane(epochs: Vec<Epoch>, head: i64) -> Lane<()> {
        let epochs = Epochs::new(epochs);
        Lane { topic: (), source: "/s", next: epochs.after(0), head, epochs }
    }

    fn at(source: &str, epoch: i64, first: i64, sequence: i64) -> Position {
        Position { source: source.to_owned(), epoch, first, sequence }
    }

    #[test]
    fn each_sequence_counts_once_and_strangers_do_not() {
        let mut lane = lane(Vec::new(), 2);
        assert_eq!(lane.counts_next(&at("/other", 1, 1, 1)), Ok(false));
        assert_eq!(lane.counts_next(&at("/s", 1, 1, 1)), Ok(true));
        assert_eq!(lane.counts_next(&at("/s", 1, 1, 1)), Ok(false), "again");
        assert!(!lane.is_done());
        assert_eq!(lane.counts_next(&at("/s", 1, 1, 2)), Ok(true));
        assert!(lane.is_done());
    }

    #[test]
    fn what_is_missing_is_an_error() {
        let words = lane(Vec::new(), 3).counts_next(&at("/s", 1, 1, 2)).unwrap_err();
        assert_eq!(words, "sequence 1 does not come, 2 does");
    }

    #[test]
    fn what_a_restore_has_made_void_does_not_count_and_is_not_missed() {
        let mut lane = lane(vec![Epoch { epoch: 2, first: 5, last_equal: 1 }], 5);
        let told = [at("/s", 1, 1, 1), at("/s", 1, 1, 2), at("/s", 2, 5, 5)].map(|at| lane.counts_next(&at));
        assert_eq!(told, [Ok(true), Ok(false), Ok(true)]);
        assert!(lane.is_done());
    }
}
