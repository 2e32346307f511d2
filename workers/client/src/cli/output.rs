//! What `orders` says: results on stdout, a reader that has gone is no failure; progress and complaints on stderr.

use std::io;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

use crate::{ClientError, HttpError};

/// Why the program cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Kafka or a file.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The API.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The order service's tables.
    #[error(transparent)]
    List(#[from] listing::ListError),
    /// A setting.
    #[error(transparent)]
    Setting(#[from] grammar::SettingError),
    /// Anything else, in words.
    #[error("{0}")]
    Words(String),
    /// Whoever read stdout has gone.
    #[error("stdout is closed")]
    OutputClosed,
}

impl From<io::Error> for Failure {
    /// Of writing a result.
    fn from(error: io::Error) -> Self {
        match error.kind() == io::ErrorKind::BrokenPipe {
            true => Failure::OutputClosed,
            false => Failure::Words(format!("cannot write to stdout: {error}")),
        }
    }
}

/// Stdout, as text or JSON.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    /// Whether JSON was asked for.
    pub(super) json: bool,
}

impl Output {
    pub(super) fn new(json: bool) -> Self {
        Self { json }
    }

    /// One result: the JSON, or the text, whichever was asked for.
    pub(super) fn say(self, json: impl FnOnce() -> Value, text: impl FnOnce() -> String) -> Result<(), Failure> {
        Ok(if self.json { grammar::say_json(&json()) } else { grammar::say(&text()) }?)
    }
}

/// A line on stderr that moves while something is going on; on a terminal only.
pub(super) fn spinner(template: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// A bar for reading topics to their ends.
pub(super) fn reading_bar() -> ProgressBar {
    spinner("{spinner} reading the topics: {pos} messages left")
}
