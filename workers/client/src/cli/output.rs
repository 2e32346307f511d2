//! What `orders` says: results on stdout, a reader that has gone is no failure; progress and complaints on stderr.

use std::io::{self, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

use crate::ClientError;

/// Why the program cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Kafka or a file.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Anything else, in words.
    #[error("{0}")]
    Words(String),
    /// Whoever read stdout has gone.
    #[error("stdout is closed")]
    OutputClosed,
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
        let line = if self.json { json().to_string() } else { text() };
        let mut stdout = io::stdout().lock();
        let written = writeln!(stdout, "{}", line.trim_end_matches('\n')).and_then(|()| stdout.flush());
        written.map_err(|error| match error.kind() == io::ErrorKind::BrokenPipe {
            true => Failure::OutputClosed,
            false => Failure::Words(format!("cannot write to stdout: {error}")),
        })
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

/// A text table: columns as wide as their widest cell.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_align_their_columns() {
        let rows = [vec!["sku".to_owned(), "pieces".to_owned()], vec!["1095275".to_owned(), "3".to_owned()]];
        assert_eq!(table(&rows), "sku      pieces\n1095275  3\n");
        assert_eq!(table(&[]), "");
    }
}
