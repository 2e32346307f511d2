//! What the demo tells while it runs, on stderr: steps with the seconds since the start, and a line that moves.
//!
//! Without a terminal the moving line becomes a plain one every few seconds.

use std::cell::Cell;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Between two plain lines.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

/// Tells steps and progress.
pub(crate) struct Narrator {
    begin: Instant,
    bar: ProgressBar,
    terminal: bool,
    last_line: Cell<Instant>,
}

impl Narrator {
    /// Seconds are counted from `begin`.
    pub(crate) fn new(begin: Instant) -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(10));
        if let Ok(style) = ProgressStyle::with_template("          {bar:24} {msg}") {
            bar.set_style(style.progress_chars("━╸─"));
        }
        Self { begin, bar, terminal: std::io::stderr().is_terminal(), last_line: Cell::new(begin) }
    }

    /// A step that begins, or something to know.
    pub(crate) fn tell(&self, text: &str) {
        let seconds = self.begin.elapsed();
        self.last_line.set(Instant::now());
        self.bar.suspend(|| eprintln!("{:>5}.{} s  {text}", seconds.as_secs(), seconds.subsec_millis() / 100));
    }

    /// How far something is.
    pub(crate) fn progress(&self, done: u64, whole: u64, text: &str) {
        if self.terminal {
            self.bar.set_length(whole);
            self.bar.set_position(done.min(whole));
            self.bar.set_message(text.to_owned());
        } else if self.last_line.get().elapsed() >= PLAIN_EVERY {
            self.tell(text);
        }
    }

    /// The moving line disappears.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
        self.bar.reset();
    }
}
