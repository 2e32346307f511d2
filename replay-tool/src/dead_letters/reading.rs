//! Reads the dead-letter topics.

use std::ops::ControlFlow;

use schemas::TopicName;

use super::shelf::Shelf;
use crate::error::ReplayError;
use crate::log::{Channel, Range};
use crate::progress::Progress;
use crate::source::Source;

/// All letters of these topics, with all notes. Blocks.
pub(crate) fn read_shelf(source: &Source, topics: &[TopicName]) -> Result<Shelf, ReplayError> {
    let mut shelf = Shelf::default();
    let mut plans = Vec::new();
    for topic in topics {
        plans.push((*topic, Range::all(&source.bounds(Channel::DeadLetters(*topic))?)));
    }
    let length = |range: &Range| u64::try_from(range.until - range.from).unwrap_or(0);
    let progress = Progress::new("reading", plans.iter().flat_map(|(_, ranges)| ranges).map(length).sum());
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
