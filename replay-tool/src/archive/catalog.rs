//! What the archive holds, told by the names of its objects.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::container::Header;
use super::notes;
use super::run_note;
use super::segment::{About, HEADER_BYTES};
use super::store::ArchiveStore;
use crate::error::ReplayError;
use crate::log::Span;

const FORMAT: u32 = 1;
const TOPIC_FILE: &str = "topic.json";

/// A topic as it was at one time: one that was deleted and made again is another generation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Edition {
    /// The full name.
    pub(super) topic: String,
    /// From 1.
    pub(super) generation: u32,
}

/// What no listing tells of an edition: its partitions, of which some may be empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct TopicFile {
    format: u32,
    topic: String,
    generation: u32,
    partitions: i32,
}

/// An edition's objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Listing {
    /// By partition: where its segments begin, ascending, each with its size.
    pub(super) segments: BTreeMap<i32, Vec<(i64, u64)>>,
    /// By partition: the runs that could not be read, ascending.
    pub(super) unreadable: BTreeMap<i32, Vec<Span>>,
    /// Objects that are neither segments nor `topic.json` nor notes of such runs.
    pub(super) strange: Vec<String>,
    pub(super) has_topic_file: bool,
}

impl Listing {
    /// What could not be read of a partition.
    pub(super) fn unreadable_of(&self, partition: i32) -> &[Span] {
        self.unreadable.get(&partition).map(Vec::as_slice).unwrap_or_default()
    }
}

impl Edition {
    /// `order.events.v1`, and from the second generation on `order.events.v1@2`. No topic can have an `@` in its name.
    pub(super) fn folder(&self) -> String {
        match self.generation {
            1 => self.topic.clone(),
            generation => format!("{}@{generation}", self.topic),
        }
    }

    fn of_folder(folder: &str) -> Option<Edition> {
        match folder.split_once('@') {
            None => Some(Edition { topic: folder.to_owned(), generation: 1 }),
            Some((topic, number)) => {
                let generation = number.parse().ok().filter(|generation| *generation > 1)?;
                let edition = Edition { topic: topic.to_owned(), generation };
                (edition.folder() == folder).then_some(edition)
            }
        }
    }

    pub(super) fn next_generation(&self) -> Edition {
        Edition { topic: self.topic.clone(), generation: self.generation + 1 }
    }

    pub(super) fn segment_name(&self, partition: i32, first: i64) -> String {
        format!("{}/{partition}/{first:020}.avro", self.folder())
    }

    pub(super) fn topic_file_name(&self) -> String {
        format!("{}/{TOPIC_FILE}", self.folder())
    }

    /// The editions in these folders, ascending, and the folders that are none; that of the notes is neither.
    pub(super) fn of_folders(folders: &[String]) -> (Vec<Edition>, Vec<String>) {
        let folders = || folders.iter().filter(|name| *name != notes::FOLDER);
        let mut editions: Vec<Edition> = folders().filter_map(|name| Edition::of_folder(name)).collect();
        editions.sort_unstable();
        let strange = folders().filter(|name| Edition::of_folder(name).is_none()).cloned().collect();
        (editions, strange)
    }

    /// The topic's latest edition.
    pub(super) fn latest(store: &ArchiveStore, topic: &str) -> Result<Option<Edition>, ReplayError> {
        let (editions, _) = Edition::of_folders(&store.top()?.folders);
        Ok(editions.into_iter().rfind(|edition| edition.topic == topic))
    }

    /// Begin an edition, or find that it has begun with so many partitions.
    pub(super) fn begin(&self, store: &ArchiveStore, partitions: i32) -> Result<(), ReplayError> {
        let topic_file =
            TopicFile { format: FORMAT, topic: self.topic.clone(), generation: self.generation, partitions };
        let text = serde_json::to_string(&topic_file).map_err(ReplayError::arguments)? + "\n";
        if store.put_new(&self.topic_file_name(), text.into())? {
            return Ok(());
        }
        let had = self.partitions(store)?;
        if had == partitions {
            return Ok(());
        }
        Err(ReplayError::archive(
            self.topic_file_name(),
            format!("the archived topic has {had} partitions, and now it has {partitions}"),
        ))
    }

    /// How many partitions the topic has.
    pub(super) fn partitions(&self, store: &ArchiveStore) -> Result<i32, ReplayError> {
        let name = self.topic_file_name();
        let wrong = |reason: String| ReplayError::archive(name.clone(), reason);
        let told: TopicFile =
            serde_json::from_slice(&store.get(&name)?).map_err(|error| wrong(format!("unreadable: {error}")))?;
        if told.format != FORMAT {
            return Err(wrong(format!("format {}, and this program knows {FORMAT}", told.format)));
        }
        if (told.topic.as_str(), told.generation) != (self.topic.as_str(), self.generation) || told.partitions < 1 {
            return Err(wrong(format!(
                "it is of {} generation {} with {} partitions",
                told.topic, told.generation, told.partitions
            )));
        }
        Ok(told.partitions)
    }

    /// All objects of the edition.
    pub(super) fn listing(&self, store: &ArchiveStore) -> Result<Listing, ReplayError> {
        let folder = self.folder();
        let mut listing = Listing::default();
        for (name, size) in store.list(&folder)? {
            let inner = name.strip_prefix(&folder).and_then(|rest| rest.strip_prefix('/')).unwrap_or_default();
            if inner == TOPIC_FILE {
                listing.has_topic_file = true;
            } else if let Some((partition, first)) = segment_of(inner) {
                listing.segments.entry(partition).or_default().push((first, size));
            } else if let Some((partition, span)) = run_note::span_of(inner) {
                listing.unreadable.entry(partition).or_default().push(span);
            } else {
                listing.strange.push(name);
            }
        }
        Ok(listing)
    }

    /// What a segment says of itself in its header, which must agree with its name.
    pub(super) fn about(&self, store: &ArchiveStore, partition: i32, first: i64) -> Result<About, ReplayError> {
        let name = self.segment_name(partition, first);
        let beginning = store.beginning(&name, HEADER_BYTES)?;
        self.check_about(partition, first, &beginning)
            .map(|(_, about)| about)
            .map_err(|reason| ReplayError::archive(name, reason))
    }

    /// The same, of a file's beginning or of all of it.
    pub(super) fn check_about(&self, partition: i32, first: i64, file: &[u8]) -> Result<(Header, About), String> {
        let header = Header::read(file).map_err(|error| error.to_string())?;
        let about = About::of(&header)?;
        if (about.topic.as_str(), about.partition, about.first) != (self.topic.as_str(), partition, first) {
            return Err(format!(
                "by its header it is {}[{}] from offset {}",
                about.topic, about.partition, about.first
            ));
        }
        Ok((header, about))
    }
}

/// `<partition>/<first offset>.avro`, written as we write it.
fn segment_of(inner: &str) -> Option<(i32, i64)> {
    let (partition, file) = inner.split_once('/')?;
    let (partition, first): (i32, i64) = (partition.parse().ok()?, file.strip_suffix(".avro")?.parse().ok()?);
    (partition >= 0 && first >= 0 && inner == format!("{partition}/{first:020}.avro")).then_some((partition, first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        let edition = Edition { topic: "p.order.events.v1".into(), generation: 3 };
        assert_eq!(edition.folder(), "p.order.events.v1@3");
        assert_eq!(Edition::of_folder(&edition.folder()), Some(edition.clone()));
        let name = edition.segment_name(4, 17);
        assert_eq!(segment_of(name.strip_prefix("p.order.events.v1@3/").unwrap()), Some((4, 17)));
        for strange in ["order@1", "order@02", "order@x", "order@"] {
            assert_eq!(Edition::of_folder(strange), None, "{strange}");
        }
        for strange in ["4/17.avro", "4/00000000000000000017.avro.part", "04/00000000000000000017.avro", "x"] {
            assert_eq!(segment_of(strange), None, "{strange}");
        }
    }
}
