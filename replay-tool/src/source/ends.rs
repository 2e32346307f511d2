//! What all topics have: partition counts and where each log ends.

use std::collections::HashMap;

use super::Source;
use crate::error::ReplayError;
use crate::log::Channel;

/// The partitions of every topic, with the offset after their last record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) partitions: i32,
    pub(crate) ends: HashMap<(Channel, i32), i64>,
}

/// Ask for all topics, which must be whole. Blocks.
pub(crate) fn find_ends(source: &Source) -> Result<Ends, ReplayError> {
    let mut expected = 0;
    let mut ends = HashMap::new();
    for channel in Channel::all() {
        let bounds = source.bounds(channel)?;
        let found = bounds.len();
        if expected == 0 {
            expected = found;
        } else if found != expected {
            return Err(ReplayError::Partitions { topic: source.topic(channel), found, expected });
        }
        for (partition, bounds) in (0..).zip(bounds) {
            if bounds.first > 0 {
                let topic = source.topic(channel);
                return Err(ReplayError::LogTruncated { topic, partition, low: bounds.first });
            }
            ends.insert((channel, partition), bounds.end);
        }
    }
    Ok(Ends { partitions: i32::try_from(expected).unwrap_or(i32::MAX), ends })
}
