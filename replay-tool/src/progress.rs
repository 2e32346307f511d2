//! How far something is, on a terminal only: done of total, rate, remaining time. Piped, nothing is drawn.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A line on stderr that moves; cheap to clone, to be moved by several threads at once.
#[derive(Debug, Clone)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// `what` is counted, up to `total`; a total of 0 is one that nobody knows.
    pub(crate) fn new(what: &str, total: u64) -> Self {
        if !std::io::stderr().is_terminal() {
            return Progress::hidden();
        }
        Self::drawn(what, (total > 0).then_some(total))
    }

    /// `what` is counted, up to a total that [`Progress::expect`] adds to.
    pub(crate) fn growing(what: &str) -> Self {
        if std::io::stderr().is_terminal() { Self::drawn(what, Some(0)) } else { Self::hidden() }
    }

    fn drawn(what: &str, length: Option<u64>) -> Self {
        let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr_with_hz(5));
        let template = match length {
            Some(_) => "{msg} {bar:24} {human_pos} of {human_len}  {per_sec}  {eta} left",
            None => "{msg} {human_pos}  {per_sec}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━╸─"));
        }
        bar.set_message(what.to_owned());
        Progress(bar)
    }

    /// Nothing is ever drawn: for a library.
    pub(crate) fn hidden() -> Self {
        Progress(ProgressBar::hidden())
    }

    /// So many more are to be done.
    pub(crate) fn expect(&self, more: u64) {
        self.0.inc_length(more);
    }

    /// So many more are done. Rather a few hundred at once than one by one.
    pub(crate) fn add(&self, done: u64) {
        self.0.inc(done);
    }

    /// A line above the moving one, on stderr; without a terminal just a line.
    pub(crate) fn tell(&self, text: &str) {
        self.0.suspend(|| eprintln!("{text}"));
    }

    /// The line disappears.
    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }
}
