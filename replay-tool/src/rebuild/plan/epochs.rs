//! What the topics themselves say about epochs.
//!
//! A message that an epoch voids lies in the log before the first message that says so, so the epochs must be known
//! before anything is folded. Every message of an epoch after the first names it, with what it voids. A look at the end
//! of each partition tells whether there is more than the first; only then all of its headers are read beforehand.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use outbox::Epochs;
use outbox::epochs::parse_last_equal;
use outbox::position::LAST_EQUAL_HEADER;
use schemas::ServiceName;

use crate::error::ReplayError;
use crate::log::{Channel, Range, Record};
use crate::source::Source;

/// How many records of the end are looked at: more than a paused leader has in flight when it is deposed.
const LOOKED_AT: i64 = 1_000;

/// The epochs of each partition that has had more than one, for the records within these ranges. The last records of each
/// range are shown to `seen`.
pub(crate) fn of_ranges(
    source: &Source,
    channel: Channel,
    writer: ServiceName,
    ranges: &[Range],
    seen: &mut dyn FnMut(&Record<'_>),
) -> Result<BTreeMap<i32, Epochs>, ReplayError> {
    let ends: Vec<Range> =
        ranges.iter().map(|range| Range { from: range.from.max(range.until - LOOKED_AT), ..*range }).collect();
    let latest = observed(source, channel, writer, &ends, seen)?;
    let restored: Vec<Range> = ranges.iter().filter(|range| latest.contains_key(&range.partition)).copied().collect();
    if restored.is_empty() { Ok(latest) } else { observed(source, channel, writer, &restored, &mut |_| {}) }
}

fn observed(
    source: &Source,
    channel: Channel,
    writer: ServiceName,
    ranges: &[Range],
    seen: &mut dyn FnMut(&Record<'_>),
) -> Result<BTreeMap<i32, Epochs>, ReplayError> {
    let mut found: BTreeMap<i32, Epochs> = BTreeMap::new();
    source.read(channel, ranges, &mut |record: &Record<'_>| {
        seen(record);
        if let Some(position) = record.position(writer).filter(|position| position.epoch > 1) {
            let last_equal = record.header(LAST_EQUAL_HEADER).and_then(parse_last_equal);
            found.entry(record.partition).or_default().observe(&position, last_equal);
        }
        ControlFlow::Continue(())
    })?;
    Ok(found)
}
