//! All journals of a run as the parent has read them: every transaction, what was meant, what its writer knows.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::Outcome;
use crate::body::{Body, Name};

/// How a transaction ended, as far as its writer knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Committed,
    /// Certainly not committed.
    Undone,
    /// No answer, or no word of the writer at all.
    Unknown,
}

/// One transaction.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// When it began, in microseconds.
    pub(crate) began: i64,
    /// When its writer knew how it had ended.
    pub(crate) ended: Option<i64>,
    pub(crate) end: End,
    /// Its events if it commits.
    pub(crate) will: Vec<Body>,
}

/// Everything that the journals say.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) entries: BTreeMap<Name, Entry>,
    /// What writers say must not have happened.
    pub(crate) broken: Vec<String>,
    /// Last request to rest that each journal has answered.
    rests: HashMap<String, u64>,
    /// Last role that each relay told.
    roles: HashMap<String, String>,
    read: HashMap<PathBuf, u64>,
}

impl Book {
    /// Takes what was written since the last call.
    pub(crate) fn read(&mut self, folder: &Path) -> Outcome<()> {
        for file in fs::read_dir(folder.join("journal"))? {
            let path = file?.path();
            let journal = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let from = self.read.get(&path).copied().unwrap_or(0);
            let mut file = File::open(&path)?;
            if file.metadata()?.len() == from {
                continue;
            }
            file.seek(SeekFrom::Start(from))?;
            let mut text = String::new();
            file.read_to_string(&mut text)?;
            let whole = text.rfind('\n').map_or(0, |end| end + 1);
            for line in text[..whole].lines() {
                self.take(&journal, line).map_err(|error| format!("journal {journal}: `{line}`: {error}"))?;
            }
            self.read.insert(path, from + u64::try_from(whole)?);
        }
        Ok(())
    }

    fn take(&mut self, journal: &str, line: &str) -> Outcome<()> {
        let fields: Vec<&str> = line.split(' ').collect();
        let name = |number: &str| {
            Ok::<Name, std::num::ParseIntError>(Name { writer: journal.to_owned(), number: number.parse()? })
        };
        match fields[..] {
            ["begin", number, began, will, _] => {
                let entry = Entry { began: began.parse()?, ended: None, end: End::Unknown, will: bodies(will)? };
                self.entries.insert(name(number)?, entry);
            }
            [word @ ("committed" | "undone" | "unknown"), number, ended] => {
                let entry = self.entries.get_mut(&name(number)?).ok_or("a transaction ended that never began")?;
                entry.ended = Some(ended.parse()?);
                entry.end = match word {
                    "committed" => End::Committed,
                    "undone" => End::Undone,
                    _ => End::Unknown,
                };
            }
            ["rests", asked] => {
                self.rests.insert(journal.to_owned(), asked.parse()?);
            }
            ["role", role, _] => {
                self.roles.insert(journal.to_owned(), role.to_owned());
            }
            ["broken", ..] => self.broken.push(format!("{journal}: {}", fields[1..].join(" "))),
            _ => return Err("a line that nobody writes".into()),
        }
        Ok(())
    }

    /// Whether this journal's writer rests since it was asked for the `asked`th time.
    pub(crate) fn rests(&self, journal: &str, asked: u64) -> bool {
        self.rests.get(journal) == Some(&asked)
    }

    /// The last role that a relay told.
    pub(crate) fn role(&self, journal: &str) -> Option<&str> {
        self.roles.get(journal).map(String::as_str)
    }
}

fn bodies(list: &str) -> Outcome<Vec<Body>> {
    if list == "-" {
        return Ok(Vec::new());
    }
    Ok(list.split(',').map(str::parse).collect::<Result<_, String>>()?)
}
