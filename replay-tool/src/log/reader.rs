//! Reads one topic from its beginning until it has been read to the cut, and to the end that it had.

use std::ops::ControlFlow;
use std::thread;
use std::time::{Duration, Instant};

use super::channel::Channel;
use super::source::{Range, Source};
use crate::error::ReplayError;
use crate::fold::Scan;
use crate::interrupt::Interrupt;

/// How often to look for more.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Feed the scan until it is complete, or until nothing that it needs has come for `patience`: then the scan knows what is
/// missing. Blocks.
pub(crate) fn read_to_cut(
    source: &Source,
    channel: Channel,
    scan: &mut Scan,
    patience: Duration,
    interrupt: &Interrupt,
) -> Result<(), ReplayError> {
    let mut next: Vec<i64> = vec![0; scan.partitions.len()];
    let mut heard = Instant::now();
    while !scan.is_complete() {
        interrupt.check()?;
        let ranges: Vec<Range> = (0..)
            .zip(source.bounds(channel)?.iter().zip(&next))
            .map(|(partition, (bounds, next))| Range { partition, from: *next, until: bounds.end })
            .collect();
        source.read(channel, &ranges, &mut |record| {
            // What comes behind the cut is no progress: the pipeline may run on for ever.
            if scan.take(record) {
                heard = Instant::now();
            }
            if scan.is_complete() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if scan.is_complete() {
            break;
        }
        ranges.iter().for_each(|range| scan.reached_end(range.partition));
        next = next.iter().zip(&ranges).map(|(next, range)| range.until.max(*next)).collect();
        if heard.elapsed() > patience {
            return Ok(());
        }
        thread::sleep(LOOK_EVERY);
    }
    Ok(())
}
