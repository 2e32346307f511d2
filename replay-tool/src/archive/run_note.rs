//! Notes of records that could not be read when they were due: `<partition>/<first>-<last>.unreadable.json`.
//!
//! Anyone may write to some topics, also what the client library cannot read. The archive goes on behind such a run, and
//! the note says that its offsets are not missing by mistake. Its name alone tells the offsets, as with segments.

use serde::{Deserialize, Serialize};

use super::catalog::Edition;
use super::store::ArchiveStore;
use crate::error::{ReplayError, UnreadableRun};
use crate::log::Span;

const FORMAT: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct RunNote {
    format: u32,
    #[serde(flatten)]
    run: UnreadableRun,
}

/// `<partition>/<first>-<last>.unreadable.json`, written as we write it.
pub(super) fn span_of(inner: &str) -> Option<(i32, Span)> {
    let (partition, file) = inner.split_once('/')?;
    let (first, last) = file.strip_suffix(".unreadable.json")?.split_once('-')?;
    let (partition, span): (i32, Span) = (partition.parse().ok()?, (first.parse().ok()?, last.parse().ok()?));
    let is_ours = partition >= 0 && span.0 >= 0 && span.0 <= span.1 && inner == name_in(partition, span);
    is_ours.then_some((partition, span))
}

fn name_in(partition: i32, (first, last): Span) -> String {
    format!("{partition}/{first:020}-{last:020}.unreadable.json")
}

fn name(edition: &Edition, partition: i32, span: Span) -> String {
    format!("{}/{}", edition.folder(), name_in(partition, span))
}

/// Keep a note of this run, unless there is one. Whether it is new.
pub(super) fn put(edition: &Edition, store: &ArchiveStore, run: &UnreadableRun) -> Result<bool, ReplayError> {
    let note = RunNote { format: FORMAT, run: run.clone() };
    let text = serde_json::to_string(&note).map_err(ReplayError::arguments)? + "\n";
    store.put_new(&name(edition, run.partition, (run.first, run.last)), text.into())
}

/// What the note says.
pub(super) fn get(
    edition: &Edition,
    store: &ArchiveStore,
    partition: i32,
    span: Span,
) -> Result<UnreadableRun, ReplayError> {
    let name = name(edition, partition, span);
    let wrong = |reason: String| ReplayError::archive(name.clone(), reason);
    let note: RunNote =
        serde_json::from_slice(&store.get(&name)?).map_err(|error| wrong(format!("unreadable: {error}")))?;
    if note.format != FORMAT {
        return Err(wrong(format!("format {}, and this program knows {FORMAT}", note.format)));
    }
    let told = (note.run.topic.as_str(), note.run.partition, (note.run.first, note.run.last));
    if told != (edition.topic.as_str(), partition, span) {
        return Err(wrong(format!("it is of {}", note.run)));
    }
    Ok(note.run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        assert_eq!(span_of(&name_in(4, (17, 19))), Some((4, (17, 19))));
        for strange in ["4/17-19.unreadable.json", "4/00000000000000000019-00000000000000000017.unreadable.json", "x"] {
            assert_eq!(span_of(strange), None, "{strange}");
        }
    }
}
