//! Parts of a topic's partitions, and who takes their records.

use std::ops::ControlFlow;

use super::record::Record;

/// Where a partition's log begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// The offset of the first record that is left.
    pub(crate) first: i64,
    /// The offset after the last record.
    pub(crate) end: i64,
}

/// A part of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) partition: i32,
    /// The first offset.
    pub(crate) from: i64,
    /// The offset after the last one.
    pub(crate) until: i64,
}

/// Takes records one after the other, and may have enough.
pub(crate) type Sink<'s> = dyn FnMut(&Record<'_>) -> ControlFlow<()> + 's;

impl Range {
    /// All of every partition.
    pub(crate) fn all(bounds: &[Bounds]) -> Vec<Range> {
        let range = |(partition, bounds): (i32, &Bounds)| Range { partition, from: bounds.first, until: bounds.end };
        (0..).zip(bounds).map(range).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.from >= self.until
    }
}
