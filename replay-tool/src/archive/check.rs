//! Whether the archive is whole: every segment readable and what its header says, none missing, no lane with a hole.
//!
//! Where a partition should end is in the notes of the runs. What was archived after the newest note, by a run that was
//! killed, may be missing without a trace; a run against the topics archives it again.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use outbox::inbox::Delivery;
use schemas::ServiceName;
use serde::Serialize;

use super::catalog::{Edition, Listing};
use super::log::{Segment, Stopped};
use super::notes::Noted;
use super::run_note;
use super::segment::About;
use super::store::ArchiveStore;
use crate::error::{ReplayError, UnreadableRun};
use crate::interrupt::Interrupt;
use crate::log::{Channel, Range, Record, Walk, past_spans};
use crate::progress::Progress;

/// Findings beyond this many are only counted.
const MOST_FINDINGS: usize = 1000;

/// What kind of thing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Offsets are missing.
    Gap,
    /// An object cannot be read, or is not what it says.
    Damaged,
    /// A service's messages are not one after the other.
    Lane,
    /// An object does not belong.
    Strange,
}

/// Something wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) kind: Kind,
    /// The object, or topic and partition.
    pub(crate) place: String,
    pub(crate) detail: String,
}

/// A partition of the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct CheckedPartition {
    pub(crate) topic: String,
    pub(crate) generation: u32,
    pub(crate) partition: i32,
    pub(crate) segments: usize,
    pub(crate) bytes: u64,
    pub(crate) records: u64,
    /// The first offset, and the one after the last.
    pub(crate) first: i64,
    pub(crate) end: i64,
}

/// What there is, and what is wrong with it.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Checked {
    pub(crate) partitions: Vec<CheckedPartition>,
    pub(crate) findings: Vec<Finding>,
    /// All, also those beyond the list.
    pub(crate) findings_found: u64,
    /// Runs of records that could not be read when they were to be archived: noted, and no gap.
    pub(crate) unreadable: Vec<UnreadableRun>,
    /// What killed runs have left half-written, or a run is writing: under no object's name, and harmless.
    pub(crate) leftovers: Vec<String>,
}

impl Checked {
    pub(crate) fn is_whole(&self) -> bool {
        self.findings_found == 0
    }

    fn add(&mut self, kind: Kind, place: impl Into<String>, detail: impl Into<String>) {
        self.findings_found += 1;
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(Finding { kind, place: place.into(), detail: detail.into() });
        }
    }
}

/// Look at everything: at every record, or only at names and headers. Blocks.
pub(crate) fn check(store: &ArchiveStore, is_thorough: bool, interrupt: &Interrupt) -> Result<Checked, ReplayError> {
    let mut checked = Checked { leftovers: store.leftovers()?, ..Checked::default() };
    let top = store.top()?;
    let (editions, strange) = Edition::of_folders(&top.folders);
    // Before the segments are listed: a run that is under way notes what can be listed then.
    let noted = Noted::newest(store)?;
    for name in top.objects.into_iter().chain(noted.strange) {
        checked.add(Kind::Strange, name, "it does not belong here");
    }
    for name in strange {
        checked.add(Kind::Strange, name, "no topic has such a name");
    }
    for (name, reason) in noted.damaged {
        checked.add(Kind::Damaged, name, reason);
    }
    let editions: BTreeSet<Edition> = editions.into_iter().chain(noted.ends.keys().cloned()).collect();
    let mut listings = Vec::with_capacity(editions.len());
    for edition in editions {
        let listing = edition.listing(store)?;
        listings.push((edition, listing));
    }
    let segments = listings.iter().flat_map(|(_, listing)| listing.segments.values());
    let bytes = segments.flatten().map(|(_, bytes)| *bytes).sum();
    let checking = Checking { store, is_thorough, interrupt, progress: Progress::new("bytes", bytes) };
    for (edition, listing) in &listings {
        let noted = noted.ends.get(edition).map(Vec::as_slice).unwrap_or_default();
        checking.edition(edition, listing, noted, &mut checked)?;
    }
    checking.progress.finish();
    Ok(checked)
}

/// How to check.
struct Checking<'c> {
    store: &'c ArchiveStore,
    is_thorough: bool,
    interrupt: &'c Interrupt,
    progress: Progress,
}

impl Checking<'_> {
    /// `noted`: where each partition should end at least.
    fn edition(
        &self,
        edition: &Edition,
        listing: &Listing,
        noted: &[i64],
        checked: &mut Checked,
    ) -> Result<(), ReplayError> {
        for name in &listing.strange {
            checked.add(Kind::Strange, name, "it does not belong here");
        }
        let partitions = match edition.partitions(self.store) {
            Ok(partitions) => Some(partitions),
            Err(error) => {
                let detail = if listing.has_topic_file { error.to_string() } else { "it is missing".to_owned() };
                checked.add(Kind::Damaged, edition.topic_file_name(), detail);
                None
            }
        };
        let noted: BTreeMap<i32, i64> = (0..).zip(noted.iter().copied()).filter(|(_, end)| *end > 0).collect();
        let all = listing.segments.keys().chain(noted.keys()).chain(listing.unreadable.keys());
        let all: BTreeSet<i32> = all.copied().collect();
        for partition in all {
            if partitions.is_some_and(|partitions| partition >= partitions) {
                let place = format!("{}/{partition}", edition.folder());
                checked.add(Kind::Strange, place, "the topic has no such partition");
            }
            let noted_end = noted.get(&partition).copied().unwrap_or(0);
            self.unreadable(edition, partition, listing, checked);
            self.partition(edition, partition, listing, noted_end, checked)?;
        }
        Ok(())
    }

    /// What the notes of runs that could not be read say.
    fn unreadable(&self, edition: &Edition, partition: i32, listing: &Listing, checked: &mut Checked) {
        for span in listing.unreadable_of(partition) {
            match run_note::get(edition, self.store, partition, *span) {
                Ok(run) => checked.unreadable.push(run),
                Err(error) => {
                    checked.add(Kind::Damaged, format!("{}[{partition}]", edition.folder()), error.to_string())
                }
            }
        }
    }

    fn partition(
        &self,
        edition: &Edition,
        partition: i32,
        listing: &Listing,
        noted_end: i64,
        checked: &mut Checked,
    ) -> Result<(), ReplayError> {
        let segments = listing.segments.get(&partition).map(Vec::as_slice).unwrap_or_default();
        let past_unreadable = |offset| past_spans(listing.unreadable_of(partition), offset);
        let place = format!("{}[{partition}]", edition.folder());
        let begins = segments.first().map_or(0, |(first, _)| *first);
        let mut numbered = Numbered::new(&edition.topic, begins);
        let mut sum = CheckedPartition {
            topic: edition.topic.clone(),
            generation: edition.generation,
            partition,
            segments: segments.len(),
            bytes: segments.iter().map(|(_, bytes)| *bytes).sum(),
            records: 0,
            first: begins,
            end: begins,
        };
        if past_unreadable(0) < begins {
            checked.add(Kind::Gap, &place, format!("offsets 0 to {} are missing: it begins at {begins}", begins - 1));
        }
        // Where the next segment should begin; none after one that cannot be read.
        let mut due = Some(begins);
        for (first, bytes) in segments {
            self.interrupt.check()?;
            match due.map(|due| if due < *first { past_unreadable(due) } else { due }) {
                Some(due) if due < *first => {
                    numbered.interrupted();
                    checked.add(
                        Kind::Gap,
                        &place,
                        format!("offsets {due} to {} are missing: no segment begins at {due}", first - 1),
                    );
                }
                Some(due) if due > *first => {
                    let detail =
                        format!("it begins at offset {first}, where the segment before it ends at {}", due - 1);
                    checked.add(Kind::Damaged, edition.segment_name(partition, *first), detail);
                }
                Some(_) | None => {}
            }
            due = self.segment(edition, partition, *first, &mut numbered, checked)?.map(|about| {
                sum.records += about.records;
                sum.end = about.last + 1;
                about.last + 1
            });
            self.progress.add(*bytes);
        }
        if let Some(due) = due.map(past_unreadable).filter(|due| *due < noted_end) {
            let detail =
                format!("offsets {due} to {} are missing: they were archived, by the newest note", noted_end - 1);
            checked.add(Kind::Gap, &place, detail);
        }
        checked.partitions.push(sum);
        Ok(())
    }

    /// What the segment says of itself; none, where it cannot be read.
    fn segment(
        &self,
        edition: &Edition,
        partition: i32,
        first: i64,
        numbered: &mut Numbered,
        checked: &mut Checked,
    ) -> Result<Option<About>, ReplayError> {
        let name = edition.segment_name(partition, first);
        if !self.is_thorough {
            return match edition.about(self.store, partition, first) {
                Ok(about) => Ok(Some(about)),
                Err(error) => {
                    checked.add(Kind::Damaged, name, error.to_string());
                    Ok(None)
                }
            };
        }
        let file = self.store.get(&name)?;
        let mut segment = match Segment::open(edition, partition, first, &file) {
            Ok(segment) => segment,
            Err(reason) => {
                numbered.interrupted();
                checked.add(Kind::Damaged, name, reason);
                return Ok(None);
            }
        };
        let all = Range { partition, from: i64::MIN, until: i64::MAX };
        let mut taken = Vec::new();
        let read = segment.read(&all, self.interrupt, &mut |record| {
            numbered.take(record, &mut taken);
            ControlFlow::Continue(())
        });
        for (offset, detail) in taken {
            checked.add(Kind::Lane, format!("{}[{partition}]@{offset}", edition.folder()), detail);
        }
        match read {
            Ok(_) if segment.is_unchanged() => {}
            Ok(_) => checked.add(Kind::Damaged, name, "its bytes are not those of its checksum"),
            Err(Stopped::Interrupted) => return Err(ReplayError::Interrupted),
            Err(Stopped::Damaged(reason)) => {
                numbered.interrupted();
                checked.add(Kind::Damaged, name, reason);
            }
        }
        Ok(Some(segment.about))
    }
}

/// The messages of a partition's only writer, which it has numbered.
struct Numbered {
    writer: Option<ServiceName>,
    walk: Walk,
}

impl Numbered {
    fn new(topic: &str, begins: i64) -> Self {
        let writer = Channel::all().find(|channel| topic.ends_with(&channel.name())).and_then(Channel::writer);
        Numbered { writer, walk: Walk::from(begins) }
    }

    /// Records are missing, which has been told: what comes next is not measured by what came before.
    fn interrupted(&mut self) {
        self.walk.interrupted();
    }

    fn take(&mut self, record: &Record<'_>, complaints: &mut Vec<(i64, String)>) {
        let Some(position) = self.writer.and_then(|writer| record.position(writer)) else { return };
        match self.walk.judge(&position, record) {
            // What the relay repeats after a crash, and what a restore has made void, is no complaint.
            Delivery::Next | Delivery::Duplicate | Delivery::Stale => {}
            Delivery::Gap { expected } => {
                complaints.push((record.offset, format!("{position}, where sequence {expected} is due")));
            }
            Delivery::EpochNotAtFirst { first } => {
                complaints.push((record.offset, format!("{position}, where the epoch's first, {first}, is due")));
            }
        }
    }
}
