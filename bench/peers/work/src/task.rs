//! What a peer is told.

use std::path::PathBuf;

use serde::Deserialize;

use crate::Result;

/// One load of one peer, on servers that run.
#[derive(Debug, Clone, Deserialize)]
pub struct Task {
    /// Name of the load; order ids begin with it.
    pub name: String,
    /// An empty database.
    pub database_url: String,
    /// Orders a second; none: as many as it takes.
    pub per_second: Option<f64>,
    /// Load before the window, in seconds.
    pub warm_up: u64,
    /// Length of the window in seconds.
    pub seconds: u64,
    /// Where the peer can keep what it fetches.
    pub cache: PathBuf,
    /// An empty folder for what the peer writes in this run.
    pub folder: PathBuf,
}

impl Task {
    /// From the program's only argument.
    ///
    /// # Errors
    /// When it is not there or cannot be read.
    pub fn from_arguments() -> Result<Self> {
        let text = std::env::args().nth(1).ok_or("the only argument is the task as JSON")?;
        Ok(serde_json::from_str(&text)?)
    }
}
