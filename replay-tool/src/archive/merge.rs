//! All partitions of an archived topic as one stream: each in its own order, and whichever record is earliest goes first.
//!
//! The order depends on nothing but the archive, so that a run that was stopped can be gone on with. It goes by time, because
//! who reads a partition up to a time ends at its first later record.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use super::kept::Kept;
use super::log::ArchiveLog;
use crate::error::ReplayError;
use crate::log::{Bounds, Channel, Range};

/// Records of a partition that are read ahead.
const AHEAD: usize = 64;

/// Every record; the first error of `take` ends it. Blocks.
pub(super) fn merge(
    archive: &ArchiveLog,
    channel: Channel,
    bounds: &[Bounds],
    mut take: impl FnMut(Kept) -> Result<(), ReplayError>,
) -> Result<(), ReplayError> {
    thread::scope(|scope| {
        let mut streams: Vec<Receiver<Result<Kept, ReplayError>>> = Vec::new();
        for range in Range::all(bounds) {
            let (sender, receiver) = sync_channel(AHEAD);
            streams.push(receiver);
            scope.spawn(move || {
                let read = archive.read(channel, &[range], &mut |record| match sender.send(Ok(Kept::of(record))) {
                    Ok(()) => ControlFlow::Continue(()),
                    // Nobody wants any more.
                    Err(_) => ControlFlow::Break(()),
                });
                if let Err(error) = read {
                    let _ = sender.send(Err(error));
                }
            });
        }
        let next = |stream: &Receiver<Result<Kept, ReplayError>>| stream.recv().ok().transpose();
        let mut heads = streams.iter().map(next).collect::<Result<Vec<Option<Kept>>, ReplayError>>()?;
        while let Some(index) = earliest(&heads) {
            let following = next(&streams[index])?;
            if let Some(record) = std::mem::replace(&mut heads[index], following) {
                take(record)?;
            }
        }
        Ok(())
    })
}

/// Which stream goes on; of several at the same time the first.
fn earliest(heads: &[Option<Kept>]) -> Option<usize> {
    let times = heads.iter().enumerate().filter_map(|(index, head)| Some((head.as_ref()?.timestamp_ms, index)));
    times.min().map(|(_, index)| index)
}
