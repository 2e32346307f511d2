//! What a service has read: each of its topic partitions from the beginning to exactly where its position stands, judged as its own
//! intake judges. Blocking, for a thread of its own.
//!
//! Deliberately absent: topics that anybody writes to, whose records have no positions.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use outbox::Position;
use outbox::inbox::{Cursor, Delivery, LogStart, PartitionState, TopicPartition, judge};
use outbox::kafka::{record_headers, words};
use outbox::log::{self, Partition, Range};
use outbox::position::POSITION_HEADER;
use rdkafka::ClientConfig;
use rdkafka::consumer::BaseConsumer;
use rdkafka::message::{BorrowedMessage, Message as _};

use crate::contract::Contract;
use crate::rebuild::{Derived, RebuildError};

/// How long the brokers may take to say where logs begin.
const ANSWER: Duration = Duration::from_secs(30);

type TopicOf<D> = <<D as Derived>::Contract as Contract>::Topic;

/// A topic partition on its way to where the service stands.
#[derive(Debug)]
pub(crate) struct Feed<T> {
    topic: T,
    source: &'static str,
    place: Partition,
    until: i64,
    cursor: Option<Cursor>,
}

/// The topic partitions of which the service has read something.
pub(crate) fn feeds<D: Derived>(
    positions: &BTreeMap<TopicPartition, PartitionState>,
    prefix: &str,
) -> Result<Vec<Feed<TopicOf<D>>>, RebuildError> {
    let mut feeds = Vec::new();
    for topic in D::TOPICS {
        let name = format!("{prefix}{}", D::Contract::topic_name(*topic));
        let source = D::Contract::written_by(*topic).ok_or_else(|| RebuildError::Log {
            topic: name.clone(),
            partition: 0,
            what: "anyone may write here: it is no state".to_owned(),
        })?;
        let full: Arc<str> = name.as_str().into();
        for (at, state) in positions.iter().filter(|(at, _)| at.topic == name) {
            if let Some(until) = state.next_offset {
                let place = Partition { topic: Arc::clone(&full), partition: at.partition };
                feeds.push(Feed { topic: *topic, source, place, until, cursor: None });
            }
        }
    }
    Ok(feeds)
}

/// Folds every feed into a state. `patience`: how long nothing may come.
pub(crate) fn fold<D: Derived>(
    contract: &D::Contract,
    kafka: &ClientConfig,
    mut feeds: Vec<Feed<TopicOf<D>>>,
    patience: Duration,
) -> Result<D, RebuildError> {
    let failed = |error: &rdkafka::error::KafkaError| RebuildError::Kafka(words(error));
    let mut config = kafka.clone();
    log::configure(&mut config, "rebuild");
    let client: BaseConsumer = config.create().map_err(|error| failed(&error))?;
    let places: Vec<Partition> = feeds.iter().map(|feed| feed.place.clone()).collect();
    let bounds = log::bounds(&client, &places, ANSWER).map_err(|error| failed(&error))?;
    let mut ranges = Vec::with_capacity(feeds.len());
    for (feed, bounds) in feeds.iter().zip(bounds) {
        if bounds.low > 0 {
            return Err(feed.wrong(format!("its first {} records are gone: this is no beginning", bounds.low)));
        }
        ranges.push(Range { place: feed.place.clone(), from: 0, until: feed.until });
    }
    let (mut state, mut trouble) = (D::default(), None);
    let read = log::read(&client, &ranges, patience, |index, message| {
        let Some(feed) = feeds.get_mut(index) else { return ControlFlow::Continue(()) };
        match feed.take::<D>(contract, &mut state, message) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                trouble = Some(error);
                ControlFlow::Break(())
            }
        }
    });
    match trouble {
        Some(error) => Err(error),
        None => read.map(|()| state).map_err(|error| RebuildError::Kafka(error.to_string())),
    }
}

impl<T: Copy> Feed<T> {
    fn take<D>(
        &mut self,
        contract: &D::Contract,
        state: &mut D,
        message: &BorrowedMessage<'_>,
    ) -> Result<(), RebuildError>
    where
        D: Derived,
        D::Contract: Contract<Topic = T>,
    {
        let mut header = None;
        record_headers::visit(message, |name, value| {
            if name == POSITION_HEADER {
                header = value;
            }
        });
        let Some(Ok(position)) = header.map(Position::parse) else { return Ok(()) };
        if position.source != self.source || !self.counts(&position)? {
            return Ok(());
        }
        let payload = message.payload().unwrap_or_default();
        let event = contract.decode(self.topic, payload).map_err(|why| self.wrong(why))?;
        state.evolve(event).map_err(|why| self.wrong(format!("sequence {}: {why}", position.sequence)))
    }

    /// Whether the record at this position is the one that comes next; an error where one before it is missing.
    fn counts(&mut self, position: &Position) -> Result<bool, RebuildError> {
        match judge(self.cursor, position, LogStart::AtZero) {
            Delivery::Next => {
                self.cursor = Some(Cursor::from(position));
                Ok(true)
            }
            Delivery::Duplicate | Delivery::Stale => Ok(false),
            Delivery::Gap { expected: missing } | Delivery::EpochNotAtFirst { first: missing } => {
                Err(self.wrong(format!("sequence {missing} does not come, {} does", position.sequence)))
            }
        }
    }
}

impl<T> Feed<T> {
    fn wrong(&self, what: String) -> RebuildError {
        RebuildError::Log { topic: self.place.topic.to_string(), partition: self.place.partition, what }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sequence_counts_once_and_a_missing_one_is_an_error() {
        let place = Partition { topic: "t".into(), partition: 0 };
        let mut feed = Feed { topic: (), source: "/s", place, until: 9, cursor: None };
        let at = |epoch, first, sequence| Position { source: "/s".to_owned(), epoch, first, sequence };
        let told =
            [at(1, 1, 1), at(1, 1, 1), at(1, 1, 2), at(2, 3, 3), at(1, 1, 3)].map(|at| feed.counts(&at).unwrap());
        assert_eq!(told, [true, false, true, true, false]);
        let words = feed.counts(&at(2, 3, 5)).unwrap_err().to_string();
        assert_eq!(words, "t[0]: sequence 4 does not come, 5 does");
    }
}
