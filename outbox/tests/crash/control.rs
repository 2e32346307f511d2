//! How the parent tells writers to write or to rest: one small file, replaced as a whole.
//!
//! A file, because it must be understood by processes that are killed, paused and started at any moment, and while both
//! servers are down.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Outcome;

/// What the parent wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Write,
    /// Rest, and say so; the number tells one request from another.
    Rest(u64),
}

/// The file.
#[derive(Debug, Clone)]
pub(crate) struct Control {
    path: PathBuf,
}

impl Control {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { path: folder.join("control") }
    }

    pub(crate) fn set(&self, wish: Wish) -> Outcome<()> {
        let text = match wish {
            Wish::Write => "write".to_owned(),
            Wish::Rest(asked) => format!("rest {asked}"),
        };
        let next = self.path.with_extension("next");
        fs::write(&next, text)?;
        Ok(fs::rename(next, &self.path)?)
    }

    pub(crate) fn get(&self) -> Outcome<Wish> {
        let text = fs::read_to_string(&self.path)?;
        match text.strip_prefix("rest ") {
            Some(asked) => Ok(Wish::Rest(asked.parse()?)),
            None => Ok(Wish::Write),
        }
    }
}
