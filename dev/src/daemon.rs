//! A daemon under test: a process that listens, says over HTTP whether it is ready, and drains after SIGTERM.
//!
//! Knows `/readyz` and nothing else of what the daemon is for. Everything blocks, and has an end.

use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::child::Child;
use crate::error::Result;
use crate::http;

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(20);

/// A running daemon; for everything that it is as a process, a [`Child`].
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    address: SocketAddr,
}

impl Daemon {
    /// Starts `command`, which makes it listen there. Does not wait; see [`Child::spawn`].
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(command: Command, name: impl Into<String>, log_file: &Path, address: SocketAddr) -> Result<Self> {
        Ok(Self { child: Child::spawn(command, name, log_file)?, address })
    }

    /// Starts `command` and waits until it logs a line with these words and its address as `address=…`, so that no port has
    /// to be guessed.
    ///
    /// # Errors
    /// When it cannot be started, ends, or logs no address in time; with the end of its log.
    pub fn spawn_announced(
        command: Command,
        name: impl Into<String>,
        log_file: &Path,
        words: &str,
        limit: Duration,
    ) -> Result<Self> {
        let child = Child::spawn(command, name, log_file)?;
        let line = child.wait_for_line(words, limit)?;
        let address = |line: &str| line.split_whitespace().find_map(|word| word.strip_prefix("address=")?.parse().ok());
        match line.as_deref().and_then(address) {
            Some(address) => Ok(Self { child, address }),
            None => Err(match child.try_wait()? {
                Some(status) => child.ended(status),
                None => child.not_ready(limit, "it logs no address"),
            }),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it answers: the status and the body.
    ///
    /// # Errors
    /// When it does not answer in time.
    pub fn get(&self, path: &str) -> io::Result<(u16, String)> {
        http::get(self.address, path)
    }

    /// Waits until it is ready.
    ///
    /// # Errors
    /// When it has ended, or is not ready in time; with what it says, and the end of its log.
    pub fn wait_ready(&self, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            let said = match self.get("/readyz") {
                Ok((200, _)) => return Ok(()),
                Ok((_, obstacles)) => obstacles,
                Err(error) => error.to_string(),
            };
            if let Some(status) = self.child.try_wait()? {
                return Err(self.child.ended(status));
            }
            if Instant::now() >= deadline {
                return Err(self.child.not_ready(limit, &said));
            }
            thread::sleep(PAUSE);
        }
    }
}

impl Deref for Daemon {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.child
    }
}
