//! Where a service's own messages end in the topics that it writes to, dead letters included.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use outbox::Epochs;
use outbox::operate::adopt::{self, LastPublished};
use schemas::ServiceName;

use crate::error::ReplayError;
use crate::log::{Channel, Range};
use crate::rebuild::plan::epochs;
use crate::source::Source;

/// How many records of a partition's end are looked at first; ten times as many in each further round.
const FIRST_LOOK: i64 = 1_000;

/// The end of one topic partition.
#[derive(Debug, Clone)]
pub(crate) struct Tail {
    pub(crate) channel: Channel,
    /// The topic's full name.
    pub(crate) topic: String,
    pub(crate) partition: i32,
    /// The highest sequence in it, and where that is; none where the service has written nothing.
    pub(crate) last: Option<Last>,
    pub(crate) epochs: Epochs,
}

/// The service's last message in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Last {
    pub(crate) epoch: i64,
    pub(crate) sequence: i64,
    pub(crate) offset: i64,
}

impl Tail {
    /// As the outbox takes it over.
    pub(super) fn to_adopt(&self) -> adopt::Tail {
        let last = self.last.map(|Last { epoch, sequence, offset }| LastPublished { epoch, sequence, offset });
        adopt::Tail { topic: self.topic.clone(), partition: self.partition, last, epochs: self.epochs.clone() }
    }
}

/// Look at the ends of all topics that the service writes to. Blocks.
pub(crate) fn tails(source: &Source, service: ServiceName) -> Result<Vec<Tail>, ReplayError> {
    let mut tails = Vec::new();
    for channel in Channel::all().filter(|channel| channel.writer() == Some(service)) {
        let bounds = source.bounds(channel)?;
        let whole: Vec<Range> = (0..)
            .zip(&bounds)
            .map(|(partition, bounds)| Range { partition, from: bounds.first, until: bounds.end })
            .collect();
        let lasts = lasts(source, channel, service, &whole)?;
        let mut epochs = epochs::of_ranges(source, channel, service, &whole, &mut |_| {})?;
        tails.extend(whole.iter().map(|range| Tail {
            channel,
            topic: source.topic(channel),
            partition: range.partition,
            last: lasts.get(&range.partition).copied(),
            epochs: epochs.remove(&range.partition).unwrap_or_default(),
        }));
    }
    Ok(tails)
}

/// Strangers may have written behind it, so look further back until something is found or the log begins.
fn lasts(
    source: &Source,
    channel: Channel,
    service: ServiceName,
    whole: &[Range],
) -> Result<BTreeMap<i32, Last>, ReplayError> {
    let mut lasts: BTreeMap<i32, Last> = BTreeMap::new();
    let mut look = FIRST_LOOK;
    loop {
        let wanted: Vec<Range> = whole
            .iter()
            .filter(|range| !lasts.contains_key(&range.partition) && range.from < range.until)
            .map(|range| Range { from: range.from.max(range.until.saturating_sub(look)), ..*range })
            .collect();
        if wanted.is_empty() {
            return Ok(lasts);
        }
        source.read(channel, &wanted, &mut |record| {
            if let Some(position) = record.position(service) {
                let (epoch, sequence, offset) = (position.epoch, position.sequence, record.offset);
                let last = lasts.entry(record.partition).or_insert(Last { epoch, sequence, offset });
                if sequence > last.sequence {
                    *last = Last { epoch, sequence, offset };
                }
            }
            ControlFlow::Continue(())
        })?;
        let is_all = |range: &Range| whole.iter().any(|all| all.partition == range.partition && all.from == range.from);
        if wanted.iter().all(is_all) {
            return Ok(lasts);
        }
        look = look.saturating_mul(10);
    }
}
