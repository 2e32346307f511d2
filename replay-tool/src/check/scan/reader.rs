//! Reads topics from their beginning until each has been read to its cut, and to the end that it had.
//!
//! First every topic once, to where it ends now; then what is not complete is looked at again and again, all of it
//! together: only so does waiting take as long as the patience, and not that for each topic.

use std::ops::ControlFlow;
use std::thread;
use std::time::{Duration, Instant};

use super::topic_scan::Scan;
use crate::error::ReplayError;
use crate::interrupt::Interrupt;
use crate::log::{Channel, Range};
use crate::progress::Progress;
use crate::source::Source;

/// How often to look for more.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How many records are told to the progress at once.
const TELL_EVERY: u64 = 256;

/// A topic on its way to its cut.
#[derive(Debug)]
pub(crate) struct Reading {
    source: Source,
    channel: Channel,
    scan: Scan,
    /// By partition: the next offset.
    next: Vec<i64>,
}

impl Reading {
    /// Nothing is read yet.
    pub(crate) fn new(source: &Source, channel: Channel, scan: Scan) -> Self {
        let next = vec![0; scan.partitions.len()];
        Reading { source: source.clone(), channel, scan, next }
    }

    /// What was read.
    pub(crate) fn into_scan(self) -> Scan {
        self.scan
    }

    /// Feed the scan everything that is there now, or what completes it. Whether any of it was needed. Blocks.
    pub(crate) fn read_on(&mut self, progress: &Progress) -> Result<bool, ReplayError> {
        let Reading { source, channel, scan, next } = self;
        let ranges: Vec<Range> = (0..)
            .zip(source.bounds(*channel)?.iter().zip(next.iter()))
            .map(|(partition, (bounds, next))| Range { partition, from: *next, until: bounds.end })
            .collect();
        let (mut was_needed, mut untold) = (false, 0);
        source.read(*channel, &ranges, &mut |record| {
            // What comes behind the cut is no progress: the pipeline may run on for ever.
            was_needed |= scan.take(record);
            untold += 1;
            if untold == TELL_EVERY {
                progress.add(std::mem::take(&mut untold));
            }
            if scan.is_complete() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        progress.add(untold);
        if !scan.is_complete() {
            ranges.iter().for_each(|range| scan.reached_end(range.partition, range.until));
            *next = next.iter().zip(&ranges).map(|(next, range)| range.until.max(*next)).collect();
        }
        Ok(was_needed)
    }
}

/// Read on until all are complete, or until nothing that they need has come for `patience`: then the scans know what is
/// missing. Blocks.
pub(crate) fn wait_for_rest(
    readings: &mut [Reading],
    patience: Duration,
    interrupt: &Interrupt,
    progress: &Progress,
) -> Result<(), ReplayError> {
    let mut heard = Instant::now();
    while readings.iter().any(|reading| !reading.scan.is_complete()) {
        for reading in readings.iter_mut().filter(|reading| !reading.scan.is_complete()) {
            interrupt.check()?;
            if reading.read_on(progress)? {
                heard = Instant::now();
            }
        }
        if heard.elapsed() > patience {
            return Ok(());
        }
        thread::sleep(LOOK_EVERY);
    }
    Ok(())
}
