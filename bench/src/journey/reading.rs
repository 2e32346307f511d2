//! Reads the journeys of a load's orders out of the topics.

use std::time::{Duration, Instant};

use super::{CHAIN, Journey, Passed};
use crate::error::Result;
use crate::pipeline::{TopicReader, number_of};

/// How long one look at the topics may take.
const LOOK: Duration = Duration::from_millis(100);

/// Whose journeys are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'t> {
    /// What stands before the numbers in their ids.
    pub(crate) tag: &'t str,
    /// The first number.
    pub(crate) first: u64,
    /// So many from there on.
    pub(crate) count: u64,
    /// How long nothing may come of them.
    pub(crate) patience: Duration,
}

/// The topics that an order goes through, with this in front of their names.
pub(crate) fn journey_topics(prefix: &str) -> Vec<String> {
    let mut topics: Vec<String> = CHAIN.iter().map(|kind| format!("{prefix}{}", kind.topic().as_str())).collect();
    topics.sort_unstable();
    topics.dedup();
    topics
}

/// Reads on until every one of them has ended, or nothing has come of them for too long; all of them either way.
pub(crate) fn read(reader: &TopicReader, wanted: Wanted<'_>) -> Result<Vec<Journey>> {
    let mut journeys: Vec<Journey> = (wanted.first..wanted.first + wanted.count).map(Journey::new).collect();
    let (mut open, mut moved) = (journeys.len(), Instant::now());
    while open > 0 && moved.elapsed() < wanted.patience {
        reader.next(LOOK, |seen| {
            let number = number_of(wanted.tag, seen.key).and_then(|number| number.checked_sub(wanted.first));
            let journey = number.and_then(|index| journeys.get_mut(usize::try_from(index).ok()?));
            if let (Some(journey), Some(kind), Some(time_ms)) = (journey, seen.kind, seen.time_ms) {
                let had_ended = journey.has_ended();
                journey.pass(kind, Passed { time_ms, decided_us: seen.decided_us });
                open -= usize::from(!had_ended && journey.has_ended());
                moved = Instant::now();
            }
        })?;
    }
    Ok(journeys)
}
