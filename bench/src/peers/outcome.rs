//! What came of a peer under a load: what it reached, or why it did not run.

use serde::Serialize;

/// One peer under one load.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Beside<R> {
    /// Which peer.
    pub(crate) system: String,
    /// Which load; of a peer that did not run, all.
    pub(crate) load: String,
    /// What came of it.
    pub(crate) outcome: Outcome<R>,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome<R> {
    /// It ran.
    Ran {
        /// What ran, with its version.
        version: String,
        /// What it reached.
        reached: R,
    },
    /// It did not, or not to the end.
    NotRun {
        /// Why.
        reason: String,
    },
}

/// Of several lines the first that says something, for tables.
pub(crate) fn first_line(text: &str) -> &str {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no reason was given")
}
