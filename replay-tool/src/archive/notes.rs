//! Notes of how far every partition was archived, one object after each run: without them nothing tells that a partition's
//! last segments are missing.
//!
//! A note is never changed. The newest says all that the ones before it said, so only that one is read.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::catalog::Edition;
use super::store::ArchiveStore;
use crate::error::ReplayError;

/// Where notes lie, beside the topics' folders.
pub(super) const FOLDER: &str = "runs";

const FORMAT: u32 = 1;

/// By edition: the offset after the last archived record of each partition; 0 where there is none.
pub(super) type Ends = BTreeMap<Edition, Vec<i64>>;

/// What was noted.
#[derive(Debug, Default)]
pub(super) struct Noted {
    pub(super) ends: Ends,
    /// Notes after that one that cannot be read, and why.
    pub(super) damaged: Vec<(String, String)>,
    /// Objects that are no notes.
    pub(super) strange: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Note {
    format: u32,
    noted_at: Timestamp,
    topics: Vec<Topic>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Topic {
    topic: String,
    generation: u32,
    ends: Vec<i64>,
}

impl Noted {
    /// The newest note that can be read; nothing where there is none.
    pub(super) fn newest(store: &ArchiveStore) -> Result<Noted, ReplayError> {
        let names = store.list(FOLDER)?.into_iter().map(|(name, _)| name);
        let (names, strange): (Vec<String>, Vec<String>) = names.partition(|name| is_note(name));
        let mut noted = Noted { strange, ..Noted::default() };
        // A UUID of version 7 begins with the time.
        for name in names.into_iter().rev() {
            match ends(&store.get(&name)?) {
                Ok(ends) => {
                    noted.ends = ends;
                    break;
                }
                Err(reason) => noted.damaged.push((name, reason)),
            }
        }
        Ok(noted)
    }
}

/// Note these ends, unless that was done before.
pub(super) fn note(store: &ArchiveStore, ends: Ends) -> Result<(), ReplayError> {
    let before = Noted::newest(store)?.ends;
    let mut all = before.clone();
    for (edition, ends) in ends {
        let noted = all.entry(edition).or_default();
        noted.resize(noted.len().max(ends.len()), 0);
        noted.iter_mut().zip(ends).for_each(|(noted, end)| *noted = end.max(*noted));
    }
    if all == before {
        return Ok(());
    }
    let topic =
        |(edition, ends): (Edition, Vec<i64>)| Topic { topic: edition.topic, generation: edition.generation, ends };
    let note = Note { format: FORMAT, noted_at: Timestamp::now(), topics: all.into_iter().map(topic).collect() };
    let text = serde_json::to_string(&note).map_err(ReplayError::arguments)? + "\n";
    store.put_new(&format!("{FOLDER}/{}.json", Uuid::now_v7()), text.into()).map(drop)
}

fn is_note(name: &str) -> bool {
    let id = name.strip_prefix(FOLDER).and_then(|rest| rest.strip_prefix('/')?.strip_suffix(".json"));
    id.is_some_and(|id| Uuid::try_parse(id).is_ok_and(|uuid| uuid.to_string() == id))
}

fn ends(object: &[u8]) -> Result<Ends, String> {
    let note: Note = serde_json::from_slice(object).map_err(|error| format!("unreadable: {error}"))?;
    if note.format != FORMAT {
        return Err(format!("format {}, and this program knows {FORMAT}", note.format));
    }
    let ends = |topic: Topic| (Edition { topic: topic.topic, generation: topic.generation }, topic.ends);
    Ok(note.topics.into_iter().map(ends).collect())
}
