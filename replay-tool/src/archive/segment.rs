//! A segment: a run of one partition's records, made in memory and described in its own header.

use std::io;
use std::time::Instant;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::catalog::Edition;
use super::codec::{Codec, Compressor};
use super::container::{self, Header, Metadata, Sync};
use super::row;
use super::store::ArchiveStore;
use crate::error::ReplayError;
use crate::log::{Record, Witness, mark};

/// A block is compressed when it holds so much.
const BLOCK_BYTES: usize = 256 * 1024;

/// A segment ends when its file would be so large, unless something else is asked for.
pub(crate) const SEGMENT_BYTES: usize = 16 * 1024 * 1024;

/// The checksum's key in the header.
const CHECKSUM: &str = "archive.sha256";

/// How much of a file to read to find its header in it.
pub(super) const HEADER_BYTES: u64 = 16 * 1024;

/// What a segment's header says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct About {
    /// The topic's full name.
    pub(super) topic: String,
    pub(super) partition: i32,
    /// The offset that it begins at, where the segment before it ended.
    pub(super) first: i64,
    /// The offset of its last record.
    pub(super) last: i64,
    pub(super) records: u64,
    /// Offsets that had no record when they were read: marks of a foreign producer's transactions.
    pub(super) absent: u64,
    /// Tells the last record from another of the same offset.
    pub(super) mark: String,
    /// Of the rest of the header and of everything after it, in hexadecimal digits.
    pub(super) sha256: String,
}

impl About {
    /// What the header says; none, where it is not one of ours, with what is missing.
    pub(super) fn of(header: &Header) -> Result<About, String> {
        let text = |key: &str| header.text(key).map(str::to_owned).ok_or_else(|| format!("its header has no {key}"));
        let number = |key: &str| text(key)?.parse::<i64>().map_err(|error| format!("{key} in its header: {error}"));
        let count = |key: &str| u64::try_from(number(key)?).map_err(|error| format!("{key} in its header: {error}"));
        let about = About {
            topic: text("archive.topic")?,
            partition: i32::try_from(number("archive.partition")?).map_err(|error| error.to_string())?,
            first: number("archive.first_offset")?,
            last: number("archive.last_offset")?,
            records: count("archive.records")?,
            absent: count("archive.absent")?,
            mark: text("archive.mark")?,
            sha256: text(CHECKSUM)?,
        };
        let span = about.last.checked_sub(about.first).and_then(|span| span.checked_add(1));
        let held = about.records.checked_add(about.absent).and_then(|held| i64::try_from(held).ok());
        if about.first < 0 || about.records == 0 || span != held {
            return Err(format!(
                "its header contradicts itself: offsets {} to {}, {} records, {} absent",
                about.first, about.last, about.records, about.absent
            ));
        }
        Ok(about)
    }

    fn metadata(&self, codec: Codec) -> Metadata {
        [
            ("avro.codec", codec.as_str().to_owned()),
            ("avro.schema", row::SCHEMA.to_owned()),
            ("archive.topic", self.topic.clone()),
            ("archive.partition", self.partition.to_string()),
            ("archive.first_offset", self.first.to_string()),
            ("archive.last_offset", self.last.to_string()),
            ("archive.records", self.records.to_string()),
            ("archive.absent", self.absent.to_string()),
            ("archive.mark", self.mark.clone()),
            (CHECKSUM, self.sha256.clone()),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.into_bytes()))
        .collect()
    }
}

/// The checksum of a segment: of its header as it would be without one, and of what comes after.
pub(super) fn checksum(metadata: &Metadata, sync: &Sync, blocks: &[u8]) -> String {
    let mut metadata = metadata.clone();
    metadata.remove(CHECKSUM);
    let mut hash = Sha256::new();
    hash.update(container::header(&metadata, sync));
    hash.update(blocks);
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A segment that is being filled.
#[derive(Debug)]
pub(super) struct Filling {
    about: About,
    codec: Codec,
    sync: Sync,
    /// Whole blocks.
    blocks: Vec<u8>,
    /// The records of the next block.
    data: Vec<u8>,
    records_in_data: i64,
    /// Where the last of them begins.
    last_at: usize,
    since: Instant,
    /// The record before its first one.
    before: Option<Witness>,
    /// Its own first record, where there is none before.
    begun: Option<Witness>,
}

impl Filling {
    /// An empty one from this offset on, behind this record.
    pub(super) fn new(topic: &str, partition: i32, first: i64, before: Option<Witness>, codec: Codec) -> Self {
        let about = About {
            topic: topic.to_owned(),
            partition,
            first,
            last: first - 1,
            records: 0,
            absent: 0,
            mark: String::new(),
            sha256: String::new(),
        };
        let digest = Sha256::digest(format!("{topic}/{partition}/{first}").as_bytes());
        let mut sync = Sync::default();
        sync.iter_mut().zip(digest.iter()).for_each(|(to, from)| *to = *from);
        Filling {
            about,
            codec,
            sync,
            blocks: Vec::new(),
            data: Vec::new(),
            records_in_data: 0,
            last_at: 0,
            since: Instant::now(),
            before,
            begun: None,
        }
    }

    /// The offset after the last record.
    pub(super) fn next(&self) -> i64 {
        self.about.last + 1
    }

    pub(super) fn is_empty(&self) -> bool {
        self.about.records == 0
    }

    /// When it was begun.
    pub(super) fn since(&self) -> Instant {
        self.since
    }

    pub(super) fn partition(&self) -> i32 {
        self.about.partition
    }

    /// The record that its topic must have, if it is all of one topic, and of that of the segment before it.
    pub(super) fn witness(&self) -> Option<&Witness> {
        self.before.as_ref().or(self.begun.as_ref())
    }

    /// What it takes in memory.
    pub(super) fn held_bytes(&self) -> usize {
        self.blocks.len() + self.data.len()
    }

    /// How large its file is at least.
    pub(super) fn file_bytes(&self) -> usize {
        self.blocks.len()
    }

    /// Take the next record of the partition. Offsets ascend.
    pub(super) fn push(&mut self, record: &Record<'_>, compressor: &mut Compressor) -> io::Result<()> {
        if self.is_empty() {
            self.since = Instant::now();
            self.begun = self.before.is_none().then(|| Witness::of(record));
        }
        self.about.absent += u64::try_from(record.offset - self.next()).unwrap_or(0);
        self.about.last = record.offset;
        self.about.records += 1;
        self.records_in_data += 1;
        self.last_at = self.data.len();
        row::encode(&mut self.data, &self.about.topic, record);
        if self.data.len() >= BLOCK_BYTES { self.end_block(compressor) } else { Ok(()) }
    }

    fn end_block(&mut self, compressor: &mut Compressor) -> io::Result<()> {
        container::put_block(&mut self.blocks, compressor, self.records_in_data, &self.data, &self.sync)?;
        // Any record may be the segment's last; only now it is known which is the block's.
        let mut headers = Vec::new();
        let last = row::Cursor::new(self.data.get(self.last_at..).unwrap_or_default()).record(&mut headers);
        self.about.mark = last.map(|(_, record)| mark(&record)).map_err(io::Error::other)?;
        self.data.clear();
        self.records_in_data = 0;
        Ok(())
    }

    /// All of it; what is left is empty and goes on behind it.
    pub(super) fn take_full(&mut self, compressor: &mut Compressor) -> Result<Filling, ReplayError> {
        if self.records_in_data > 0 {
            self.end_block(compressor).map_err(ReplayError::output("a segment"))?;
        }
        let last = Witness { offset: self.about.last, mark: self.about.mark.clone() };
        let next = Filling::new(&self.about.topic, self.about.partition, self.next(), Some(last), self.codec);
        Ok(std::mem::replace(self, next))
    }

    /// Put it into the archive: what it says of itself, and the size of its file.
    pub(super) fn put(self, edition: &Edition, store: &ArchiveStore) -> Result<(About, usize), ReplayError> {
        let (about, file) = self.finish();
        let name = edition.segment_name(about.partition, about.first);
        let bytes = file.len();
        if store.put_new(&name, file)? {
            return Ok((about, bytes));
        }
        Err(ReplayError::archive(name, "another run has just written it; only one may at a time"))
    }

    /// The file, whole, and what it says of itself.
    fn finish(mut self) -> (About, Bytes) {
        self.about.sha256 = checksum(&self.about.metadata(self.codec), &self.sync, &self.blocks);
        let mut file = container::header(&self.about.metadata(self.codec), &self.sync);
        file.extend_from_slice(&self.blocks);
        (self.about, Bytes::from(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Written;

    #[test]
    fn the_witness_is_the_record_before_a_segment_or_else_its_own_first_one() {
        let written = |offset| Written { offset, ..Written::default() }.with("number", offset.to_string());
        let codec = Codec::default();
        let mut compressor = Compressor::new(codec).unwrap();
        let mut filling = Filling::new("t", 0, 5, None, codec);
        assert_eq!(filling.witness(), None);
        for offset in [5, 6, 7] {
            filling.push(&written(offset).record(), &mut compressor).unwrap();
        }
        assert_eq!(filling.witness(), Some(&Witness::of(&written(5).record())));
        filling.take_full(&mut compressor).unwrap();
        filling.push(&written(8).record(), &mut compressor).unwrap();
        assert_eq!(filling.witness(), Some(&Witness::of(&written(7).record())));
    }
}
