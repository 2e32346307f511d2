//! Archives for programs that use this library: made of records that lie in memory, to measure reading and to try things.

use std::ops::ControlFlow;

use super::catalog::Edition;
use super::codec::{Codec, Compressor};
use super::segment::{Filling, SEGMENT_BYTES};
use super::store::ArchiveStore;
use crate::error::ReplayError;
use crate::log::{Channel, MemoryLog, Range, Record};

impl ArchiveStore {
    /// Write all records of this log, as `archive run` writes a topic's, under the topics' names without a prefix; the
    /// archive must be empty. Blocks.
    ///
    /// # Errors
    /// A segment cannot be made, or is there already.
    pub fn fill(&self, log: &MemoryLog, codec: Codec) -> Result<(), ReplayError> {
        let mut compressor = Compressor::new(codec).map_err(ReplayError::output("a segment"))?;
        for channel in Channel::all() {
            let edition = Edition { topic: channel.name(), generation: 1 };
            let ranges = Range::all(&log.bounds(channel));
            edition.begin(self, i32::try_from(ranges.len()).unwrap_or(i32::MAX))?;
            for range in ranges {
                let mut filling = Filling::new(&edition.topic, range.partition, range.from, None, codec);
                let mut taken = Ok(());
                log.read(channel, &[range], &mut |record| {
                    taken = take(&mut filling, record, &mut compressor, &edition, self);
                    if taken.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
                });
                taken?;
                if !filling.is_empty() {
                    filling.take_full(&mut compressor)?.put(&edition, self)?;
                }
            }
        }
        Ok(())
    }
}

fn take(
    filling: &mut Filling,
    record: &Record<'_>,
    compressor: &mut Compressor,
    edition: &Edition,
    store: &ArchiveStore,
) -> Result<(), ReplayError> {
    filling.push(record, compressor).map_err(ReplayError::output("a segment"))?;
    if filling.file_bytes() >= SEGMENT_BYTES {
        filling.take_full(compressor)?.put(edition, store)?;
    }
    Ok(())
}
