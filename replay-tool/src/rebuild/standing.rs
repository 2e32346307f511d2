//! Where the read model stands: the positions of its inbox as a vector, so that topics are folded to exactly there.
//!
//! It may be behind the topics, and an archive may be behind it.

use super::plan::Vector;
use super::unit::Problem;
use crate::error::ReplayError;
use crate::keeper::Keeper;
use crate::log::Channel;
use crate::snapshot::InboxSnapshot;
use crate::source::Source;

/// Where it stands, as far as the source has that.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    pub(crate) vector: Vector,
    /// Partitions of which the source does not have all that was read.
    pub(crate) missing: Vec<Problem>,
    /// How many records the source has beyond.
    pub(crate) behind: i64,
}

impl Standing {
    /// By these positions. Blocks.
    pub(crate) fn find(inbox: &InboxSnapshot, source: &Source) -> Result<Standing, ReplayError> {
        let mut standing = Standing::default();
        for topic in Keeper::View.topics() {
            let channel = Channel::Messages(*topic);
            let name = source.topic(channel);
            for (partition, bounds) in (0..).zip(source.bounds(channel)?) {
                let at = inbox.resume(&name, partition);
                standing.behind += (bounds.end - at).max(0);
                standing.vector.extend(topic.as_str(), partition, at.min(bounds.end));
                if at > bounds.end {
                    let (place, end) = (source.place(), bounds.end);
                    let cause =
                        format!("the read model has taken what is below offset {at}, but the {place} ends at {end}");
                    standing.missing.push(Problem { topic: topic.as_str().to_owned(), partition, offset: end, cause });
                }
            }
        }
        Ok(standing)
    }
}
