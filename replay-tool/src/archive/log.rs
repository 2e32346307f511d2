//! The archive as a place to read from: bounds and ranges, of each topic's latest edition.

use std::ops::ControlFlow;

use super::catalog::Edition;
use super::codec::Codec;
use super::container::{Blocks, Header};
use super::foreign::Foreign;
use super::notes::Noted;
use super::row::{Cursor, SCHEMA};
use super::run_note;
use super::segment::{About, checksum};
use super::store::ArchiveStore;
use crate::error::{ReplayError, UnreadableRun};
use crate::interrupt::Interrupt;
use crate::log::{Bounds, Channel, Range, Record, Sink, Span, Witness, past_spans};

/// Where missing records should be.
const IN_ARCHIVE: &str = "missing in the archive";

/// The archive of one deployment's topics.
#[derive(Debug, Clone)]
pub(crate) struct ArchiveLog {
    store: ArchiveStore,
    prefix: String,
    interrupt: Interrupt,
    /// This one, and not the channel's latest.
    edition: Option<Edition>,
}

/// What there is of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Archived {
    /// Its end may lie behind the last record: behind records that could not be read.
    pub(crate) bounds: Bounds,
    /// Its last record, if it has any.
    pub(crate) last: Option<Witness>,
}

impl ArchiveLog {
    pub(crate) fn new(store: ArchiveStore, prefix: &str, interrupt: &Interrupt) -> Self {
        ArchiveLog { store, prefix: prefix.to_owned(), interrupt: interrupt.clone(), edition: None }
    }

    /// One edition of one topic, whatever channel is asked for.
    pub(super) fn of_edition(store: ArchiveStore, edition: Edition, interrupt: &Interrupt) -> Self {
        ArchiveLog { store, prefix: String::new(), interrupt: interrupt.clone(), edition: Some(edition) }
    }

    /// The channel's full name.
    pub(crate) fn topic(&self, channel: Channel) -> String {
        format!("{}{}", self.prefix, channel.name())
    }

    fn edition(&self, channel: Channel) -> Result<Edition, ReplayError> {
        if let Some(edition) = &self.edition {
            return Ok(edition.clone());
        }
        let topic = self.topic(channel);
        let latest = Edition::latest(&self.store, &topic)?;
        latest.ok_or_else(|| ReplayError::archive(topic, "the archive has no such topic; see the topic prefix"))
    }

    /// Where every partition begins and ends; an error, where the end that was noted is missing. Blocks.
    pub(crate) fn bounds(&self, channel: Channel) -> Result<Vec<Bounds>, ReplayError> {
        // Before the segments are listed: a run that is under way notes what can be listed then.
        let noted = Noted::newest(&self.store)?.ends;
        let edition = self.edition(channel)?;
        let bounds: Vec<Bounds> = self.archived(channel)?.into_iter().map(|archived| archived.bounds).collect();
        let noted = noted.get(&edition).map(Vec::as_slice).unwrap_or_default();
        match (0..).zip(bounds.iter().zip(noted)).find(|(_, (there, noted))| there.end < **noted) {
            None => Ok(bounds),
            Some((partition, (there, noted))) => Err(ReplayError::Hole {
                topic: edition.topic,
                partition,
                from: there.end,
                last: noted - 1,
                place: IN_ARCHIVE,
            }),
        }
    }

    /// What there is of every partition. Blocks.
    pub(crate) fn archived(&self, channel: Channel) -> Result<Vec<Archived>, ReplayError> {
        let edition = self.edition(channel)?;
        let listing = edition.listing(&self.store)?;
        let archived = |partition| {
            let firsts = listing.segments.get(&partition).map(Vec::as_slice).unwrap_or_default();
            let unreadable = listing.unreadable_of(partition);
            let (Some((first, _)), Some((last, _))) = (firsts.first(), firsts.last()) else {
                let first = unreadable.first().map_or(0, |(first, _)| *first);
                let bounds = Bounds { first, end: past_spans(unreadable, first) };
                return Ok(Archived { bounds, last: None });
            };
            let first = unreadable.first().map_or(*first, |(run, _)| *first.min(run));
            let about = edition.about(&self.store, partition, *last)?;
            let bounds = Bounds { first, end: past_spans(unreadable, about.last + 1) };
            Ok(Archived { bounds, last: Some(Witness { offset: about.last, mark: about.mark }) })
        };
        (0..edition.partitions(&self.store)?).map(archived).collect()
    }

    /// The first segment of a channel with offsets that have no record: partition and first offset. Blocks.
    pub(crate) fn first_with_absent(&self, channel: Channel) -> Result<Option<(i32, i64)>, ReplayError> {
        let edition = self.edition(channel)?;
        for (partition, segments) in edition.listing(&self.store)?.segments {
            for (first, _) in segments {
                if edition.about(&self.store, partition, first)?.absent > 0 {
                    return Ok(Some((partition, first)));
                }
            }
        }
        Ok(None)
    }

    /// The runs that could not be read when a channel was archived. Blocks.
    pub(crate) fn unreadable(&self, channel: Channel) -> Result<Vec<UnreadableRun>, ReplayError> {
        let edition = self.edition(channel)?;
        let runs = edition.listing(&self.store)?.unreadable;
        let spans =
            runs.into_iter().flat_map(|(partition, spans)| spans.into_iter().map(move |span| (partition, span)));
        spans.map(|(partition, span)| run_note::get(&edition, &self.store, partition, span)).collect()
    }

    /// See [`crate::log::Source::read`]. Whether the sink has broken off.
    pub(crate) fn read(
        &self,
        channel: Channel,
        ranges: &[Range],
        sink: &mut Sink<'_>,
    ) -> Result<ControlFlow<()>, ReplayError> {
        self.interrupt.check()?;
        if ranges.iter().all(Range::is_empty) {
            return Ok(ControlFlow::Continue(()));
        }
        let edition = self.edition(channel)?;
        let listing = edition.listing(&self.store)?;
        for range in ranges.iter().filter(|range| !range.is_empty()) {
            let firsts = listing.segments.get(&range.partition).map(Vec::as_slice).unwrap_or_default();
            let unreadable = listing.unreadable_of(range.partition);
            if self.read_range(&edition, firsts, unreadable, range, sink)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn read_range(
        &self,
        edition: &Edition,
        segments: &[(i64, u64)],
        unreadable: &[Span],
        range: &Range,
        sink: &mut Sink<'_>,
    ) -> Result<ControlFlow<()>, ReplayError> {
        let hole = |from: i64, until: i64| ReplayError::Hole {
            topic: edition.topic.clone(),
            partition: range.partition,
            from,
            last: until - 1,
            place: IN_ARCHIVE,
        };
        let mut next = range.from;
        let begin = segments.partition_point(|(first, _)| *first <= range.from).saturating_sub(1);
        for (first, _) in segments.get(begin..).unwrap_or_default() {
            if next >= range.until {
                break;
            }
            if *first > next {
                next = past_spans(unreadable, next);
            }
            if next >= range.until {
                break;
            }
            if *first > next {
                return Err(hole(next, range.until.min(*first)));
            }
            let name = edition.segment_name(range.partition, *first);
            let file = self.store.get(&name)?;
            let segment = Segment::open(edition, range.partition, *first, &file);
            let mut segment = segment.map_err(|reason| ReplayError::archive(&name, reason))?;
            let part = Range { from: next, ..*range };
            let ended = segment.check_bytes(&self.interrupt).and_then(|()| segment.read(&part, &self.interrupt, sink));
            if ended.map_err(|error| error.in_object(&name))?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            next = next.max(segment.about.last + 1);
        }
        next = past_spans(unreadable, next);
        if next < range.until { Err(hole(next, range.until)) } else { Ok(ControlFlow::Continue(())) }
    }
}

/// Why a segment was not read to its end.
#[derive(Debug)]
pub(super) enum Stopped {
    /// It is damaged; where and how.
    Damaged(String),
    Interrupted,
}

impl Stopped {
    fn in_object(self, name: &str) -> ReplayError {
        match self {
            Stopped::Damaged(reason) => ReplayError::archive(name, reason),
            Stopped::Interrupted => ReplayError::Interrupted,
        }
    }
}

/// A segment's file in memory.
#[derive(Debug)]
pub(super) struct Segment<'f> {
    pub(super) about: About,
    header: Header,
    file: &'f [u8],
    /// None where its schema is ours to the byte.
    foreign: Option<Foreign>,
}

impl<'f> Segment<'f> {
    /// The file under this name.
    pub(super) fn open(edition: &Edition, partition: i32, first: i64, file: &'f [u8]) -> Result<Self, String> {
        let (header, about) = edition.check_about(partition, first, file)?;
        let schema = header.text("avro.schema").ok_or("its header has no avro.schema")?;
        let foreign = if schema == SCHEMA { None } else { Some(Foreign::new(schema)?) };
        Ok(Segment { about, header, file, foreign })
    }

    /// Whether all bytes are those that were written.
    pub(super) fn is_unchanged(&self) -> bool {
        let blocks = self.file.get(self.header.length..).unwrap_or_default();
        checksum(&self.header.metadata, &self.header.sync, blocks) == self.about.sha256
    }

    /// Whether damage would be seen while reading; if not, whether there is any.
    fn check_bytes(&mut self, interrupt: &Interrupt) -> Result<(), Stopped> {
        // What another program has written again has that program's bytes.
        let is_seen = self.foreign.is_some() || self.header.codec().is_ok_and(Codec::shows_damage);
        if is_seen || self.is_unchanged() {
            return Ok(());
        }
        // Where it is, if it shows.
        let all = Range { partition: self.about.partition, from: i64::MIN, until: i64::MAX };
        self.read(&all, interrupt, &mut |_| ControlFlow::Continue(())).map(drop)?;
        Err(Stopped::Damaged("its bytes are not those of its checksum".into()))
    }

    /// Every record of the range, and whether what there is agrees with the header. Whether the sink has broken off.
    pub(super) fn read(
        &mut self,
        range: &Range,
        interrupt: &Interrupt,
        sink: &mut Sink<'_>,
    ) -> Result<ControlFlow<()>, Stopped> {
        let damaged = |error: super::container::Unreadable| Stopped::Damaged(error.to_string());
        let mut blocks = Blocks::new(self.file, &self.header).map_err(damaged)?;
        let mut data = Vec::new();
        let mut tally = Tally { next: self.about.first, records: 0 };
        loop {
            if interrupt.is_raised() {
                return Err(Stopped::Interrupted);
            }
            let at = blocks.at();
            let Some(count) = blocks.next(&mut data).map_err(damaged)? else { break };
            let in_block = |reason: String| Stopped::Damaged(format!("byte {at}: {reason}"));
            let mut take = |topic: &[u8], record: &Record<'_>| {
                tally.take(&self.about, topic, record)?;
                let is_wanted = record.offset >= range.from && record.offset < range.until;
                Ok(if is_wanted { sink(record) } else { ControlFlow::Continue(()) })
            };
            let ended = match &self.foreign {
                None => ours(&data, count, &mut take),
                Some(foreign) => theirs(foreign, &data, count, &mut take),
            };
            if ended.map_err(in_block)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            if tally.next >= range.until && tally.next <= self.about.last {
                return Ok(ControlFlow::Continue(()));
            }
        }
        tally.check(&self.about).map_err(Stopped::Damaged)?;
        Ok(ControlFlow::Continue(()))
    }
}

/// What has been read of a segment.
#[derive(Debug)]
struct Tally {
    next: i64,
    records: u64,
}

impl Tally {
    fn take(&mut self, about: &About, topic: &[u8], record: &Record<'_>) -> Result<(), String> {
        if topic != about.topic.as_bytes() || record.partition != about.partition {
            let topic = String::from_utf8_lossy(topic);
            return Err(format!("a record of {topic}[{}]@{}", record.partition, record.offset));
        }
        if record.offset < self.next || record.offset > about.last {
            return Err(format!("offset {} where {} or a later one is due", record.offset, self.next));
        }
        self.next = record.offset + 1;
        self.records += 1;
        Ok(())
    }

    fn check(&self, about: &About) -> Result<(), String> {
        if (self.records, self.next) == (about.records, about.last + 1) {
            return Ok(());
        }
        Err(format!(
            "it holds {} records up to offset {}; by its header they are {} up to {}",
            self.records,
            self.next - 1,
            about.records,
            about.last
        ))
    }
}

/// Takes a record and the topic that it names.
type Take<'t> = dyn FnMut(&[u8], &Record<'_>) -> Result<ControlFlow<()>, String> + 't;

fn ours(data: &[u8], count: usize, take: &mut Take<'_>) -> Result<ControlFlow<()>, String> {
    let mut cursor = Cursor::new(data);
    let mut headers = Vec::new();
    for _ in 0..count {
        let (topic, record) = cursor.record(&mut headers).map_err(|error| error.to_string())?;
        if take(topic, &record)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    if cursor.is_at_end() { Ok(ControlFlow::Continue(())) } else { Err("bytes after the block's last record".into()) }
}

fn theirs(foreign: &Foreign, data: &[u8], count: usize, take: &mut Take<'_>) -> Result<ControlFlow<()>, String> {
    let mut rest = data;
    for _ in 0..count {
        let owned = foreign.record(&mut rest)?;
        if take(&owned.topic, &owned.record.record())?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    if rest.is_empty() { Ok(ControlFlow::Continue(())) } else { Err("bytes after the block's last record".into()) }
}
