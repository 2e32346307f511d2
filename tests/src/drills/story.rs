//! What a drill tells while it goes on: each line with the time since the loss, and what it is.

use std::time::Duration;

use tokio::time::Instant;

/// The most lines of one answer that are told.
const MOST_LINES: usize = 16;

/// The telling.
pub(super) struct Story {
    since: Instant,
}

impl Story {
    /// Begins now.
    pub(super) fn begin() -> Self {
        Story { since: Instant::now() }
    }

    /// The loss is now.
    pub(super) fn begin_anew(&mut self) {
        self.since = Instant::now();
    }

    /// How long ago that was.
    pub(super) fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }

    /// Tells this. Standard output is what people read; nothing else is printed there.
    pub(super) fn tell(&self, kind: &str, what: &str) {
        let seconds = self.elapsed().as_secs_f64();
        let mut lines = what.trim_end().lines();
        println!("{seconds:8.1} s  {kind:<6} {}", lines.next().unwrap_or_default());
        for line in lines.by_ref().take(MOST_LINES) {
            println!("                   {line}");
        }
        let left = lines.count();
        if left > 0 {
            println!("                   … and {left} lines more");
        }
    }
}
