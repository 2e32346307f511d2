//! Reads the dead-letter topics.

use std::ops::ControlFlow;

use schemas::TopicName;

use super::shelf::{Keep, Shelf};
use crate::error::ReplayError;
use crate::log::{Bounds, Channel, Range};
use crate::progress::Progress;
use crate::source::Source;

/// All letters of these topics, with all notes. Blocks.
pub(crate) fn read_shelf(source: &Source, topics: &[TopicName]) -> Result<Shelf, ReplayError> {
    let mut shelf = Shelf::default();
    let mut plans = Vec::new();
    for topic in topics {
        plans.push((*topic, Range::all(&source.bounds(Channel::DeadLetters(*topic))?)));
    }
    let records = |range: &Range| u64::try_from(range.until - range.from).unwrap_or(0);
    let progress = Progress::new("reading", plans.iter().flat_map(|(_, ranges)| ranges).map(records).sum());
    for (topic, ranges) in plans {
        for range in &ranges {
            shelf.begin(topic, range.partition, range.from);
        }
        source.read(Channel::DeadLetters(topic), &ranges, &mut |record| {
            shelf.take(topic, record);
            progress.add(1);
            ControlFlow::Continue(())
        })?;
    }
    progress.finish();
    Ok(shelf)
}

/// The newest letters of a topic, at most so many records of it, and how many older ones were left. Blocks.
pub(super) fn read_newest(
    source: &Source,
    topic: TopicName,
    keep: Keep,
    most: i64,
) -> Result<(Shelf, i64), ReplayError> {
    let channel = Channel::DeadLetters(topic);
    let bounds = source.bounds(channel)?;
    let read = newest(&bounds, most);
    let ranges = Range::all(&read);
    let mut shelf = Shelf::keeping(keep);
    for range in &ranges {
        shelf.begin(topic, range.partition, range.from);
    }
    source.read(channel, &ranges, &mut |record| {
        shelf.take(topic, record);
        ControlFlow::Continue(())
    })?;
    Ok((shelf, length(&bounds) - length(&read)))
}

/// The newest records of each partition, at most so many of all.
pub(super) fn newest(bounds: &[Bounds], most: i64) -> Vec<Bounds> {
    let each = match length(bounds) <= most {
        true => i64::MAX,
        false => most / i64::try_from(bounds.len()).unwrap_or(i64::MAX).max(1),
    };
    bounds.iter().map(|one| Bounds { first: one.first.max(one.end.saturating_sub(each)), ..*one }).collect()
}

fn length(bounds: &[Bounds]) -> i64 {
    bounds.iter().map(|bounds| bounds.end - bounds.first).sum()
}

#[cfg(test)]
mod tests {
    use schemas::ServiceName;

    use super::*;
    use crate::log::{Spot, Written};

    #[test]
    fn no_more_is_read_than_may_be_and_that_is_the_newest() {
        let bounds = [(0, 10), (5, 105), (7, 7)].map(|(first, end)| Bounds { first, end });
        let firsts = |most| newest(&bounds, most).iter().map(|bounds| bounds.first).collect::<Vec<_>>();
        assert_eq!(firsts(110), [0, 5, 7]);
        assert_eq!(firsts(60), [0, 85, 7]);
        assert_eq!(length(&newest(&bounds, 60)), 30);
    }

    #[test]
    fn a_shelf_in_short_keeps_the_contents_of_one_letter_alone() {
        let topic = TopicName::OrderCommands;
        let spot = |offset| Spot { channel: Channel::DeadLetters(topic), partition: 0, offset };
        let mut shelf = Shelf::keeping(Keep::Short(Some(spot(1))));
        for offset in 0..2 {
            let long = vec![b'x'; 100_000];
            let written = Written { offset, key: Some(long.clone()), payload: Some(long), ..Written::default() };
            let written = written.with("colour", "red").with("kafka_dlt-original-topic", "t");
            let written = written.with("kafka_dlt-exception-message", "w".repeat(100_000));
            shelf.take(topic, &written.at(ServiceName::Order, (1, 1, offset + 1)).record());
        }
        let filed = shelf.finish();
        let sizes = |filed: &super::super::shelf::Filed| {
            let letter = &filed.letter;
            let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
            (length(&letter.key), length(&letter.payload), letter.detail.chars().count(), letter.headers.len())
        };
        assert_eq!(filed.iter().map(sizes).collect::<Vec<_>>(), [(256, 0, 2049, 0), (100_000, 100_000, 100_000, 1)]);
    }
}
