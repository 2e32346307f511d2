//! A folder with an archive in it, which ends with its value.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::super::catalog::Edition;
use super::super::codec::{Codec, Compressor};
use super::super::segment::Filling;
use super::super::{ArchiveLog, ArchiveStore, Checked, check};
use crate::interrupt::Interrupt;
use crate::log::{Bounds, Channel, Record, TimestampType};
use schemas::TopicName;

/// The topic of these tests: anyone may write to it, so its records need no positions.
pub(super) const CHANNEL: Channel = Channel::Messages(TopicName::OrderCommands);

static FOLDERS: AtomicU32 = AtomicU32::new(0);

pub(super) struct Folder {
    pub(super) path: PathBuf,
    pub(super) store: ArchiveStore,
    /// How segments are written from now on.
    pub(super) codec: Codec,
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.path));
    }
}

impl Folder {
    pub(super) fn new() -> Self {
        let name = format!("archive-test-{}-{}", std::process::id(), FOLDERS.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        let store = ArchiveStore::create(&path).unwrap();
        Folder { path, store, codec: Codec::default() }
    }

    /// With two partitions, of which the first has three segments: offsets 0 to 9, 10 to 19, 20 to 29.
    pub(super) fn with_three_segments() -> Self {
        let folder = Self::new();
        edition(CHANNEL).begin(&folder.store, 2).unwrap();
        for first in [0, 10, 20] {
            folder.put(CHANNEL, 0, first, &(first..first + 10).collect::<Vec<_>>(), plain);
        }
        folder
    }

    /// Put a segment with records of these offsets.
    pub(super) fn put(
        &self,
        channel: Channel,
        partition: i32,
        first: i64,
        offsets: &[i64],
        headers: fn(i64) -> Vec<(String, Vec<u8>)>,
    ) {
        let edition = edition(channel);
        let mut compressor = Compressor::new(self.codec).unwrap();
        let mut filling = Filling::new(&edition.topic, partition, first, None, self.codec);
        for offset in offsets {
            let (key, value, headers) = (offset.to_string(), vec![7; 40], headers(*offset));
            let record = Record {
                partition,
                offset: *offset,
                timestamp_ms: 1000 + offset,
                timestamp_type: TimestampType::Create,
                key: Some(key.as_bytes()),
                payload: Some(&value),
                headers: Some(headers.iter().map(|(name, value)| (name.as_str(), Some(value.as_slice()))).collect()),
            };
            filling.push(&record, &mut compressor).unwrap();
        }
        filling.take_full(&mut compressor).unwrap().put(&edition, &self.store).unwrap();
    }

    /// The file of a segment of partition 0.
    pub(super) fn segment(&self, first: i64) -> PathBuf {
        self.path.join(edition(CHANNEL).segment_name(0, first))
    }

    pub(super) fn log(&self) -> ArchiveLog {
        ArchiveLog::new(self.store.clone(), "", &Interrupt::default())
    }

    pub(super) fn check(&self) -> Checked {
        check(&self.store, true, &Interrupt::default()).unwrap()
    }

    /// The one thing that is wrong, as text.
    pub(super) fn wrong(&self) -> String {
        let findings = self.check().findings;
        let told: Vec<_> = findings.iter().map(|finding| format!("{}: {}", finding.place, finding.detail)).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        told.concat()
    }
}

pub(super) fn edition(channel: Channel) -> Edition {
    Edition { topic: channel.name(), generation: 1 }
}

pub(super) fn plain(_: i64) -> Vec<(String, Vec<u8>)> {
    Vec::new()
}

pub(super) fn at(first: i64, end: i64) -> Bounds {
    Bounds { first, end }
}
