//! Where records come from. Every verb reads through this, whether the records lie in topics or elsewhere.
//!
//! Blocking, because the client is; async callers use blocking threads. Ends before the ranges' ends only when the sink
//! breaks off, or with an error: what should be there and is not is never passed over.

mod ends;
mod records;
mod tail;

pub(crate) use ends::{Ends, find_ends};
pub use records::Records;

use crate::archive::ArchiveLog;
use crate::error::{ReplayError, UnreadableRun};
use crate::log::{Bounds, Channel, KafkaLog, Lookout, MemoryLog, OpenTransaction, Range, Sink};

/// A place to read records from; cheap to clone, to be read by several threads at once.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// The topics.
    Kafka(KafkaLog),
    /// The archive, with no Kafka.
    Archive(ArchiveLog),
    /// The archive, and from its end on the topics.
    ArchiveThenKafka(ArchiveLog, KafkaLog),
    /// Memory.
    Memory(MemoryLog),
}

impl Source {
    /// One for each partition of the channel, as they are now. Blocks.
    pub(crate) fn bounds(&self, channel: Channel) -> Result<Vec<Bounds>, ReplayError> {
        match self {
            Source::Kafka(log) => log.bounds(channel),
            Source::Archive(log) => log.bounds(channel),
            Source::ArchiveThenKafka(archive, kafka) => tail::bounds(archive, kafka, channel),
            Source::Memory(log) => Ok(log.bounds(channel)),
        }
    }

    /// Every record of these ranges, at most one of each partition: per partition in the order of offsets, partitions in
    /// any order. Returns when all ranges are read, or the sink breaks off. Blocks.
    pub(crate) fn read(&self, channel: Channel, ranges: &[Range], sink: &mut Sink<'_>) -> Result<(), ReplayError> {
        match self {
            Source::Kafka(log) => log.read(channel, ranges, sink),
            Source::Archive(log) => log.read(channel, ranges, sink).map(|_| ()),
            Source::ArchiveThenKafka(archive, kafka) => tail::read(archive, kafka, channel, ranges, sink),
            Source::Memory(log) => {
                log.read(channel, ranges, sink);
                Ok(())
            }
        }
    }

    /// Looks behind the last stable offsets; none where there are no brokers that have any.
    pub(crate) fn lookout(&self) -> Result<Option<Lookout>, ReplayError> {
        match self {
            Source::Kafka(log) | Source::ArchiveThenKafka(_, log) => log.lookout().map(Some),
            Source::Archive(_) | Source::Memory(_) => Ok(None),
        }
    }

    /// The transactions that are open on these channels. Blocks.
    pub(crate) fn open_transactions(
        &self,
        channels: impl Iterator<Item = Channel>,
    ) -> Result<Vec<OpenTransaction>, ReplayError> {
        let Some(lookout) = self.lookout()? else { return Ok(Vec::new()) };
        let mut open = Vec::new();
        for channel in channels {
            open.extend(lookout.look(channel)?.open);
        }
        Ok(open)
    }

    /// The runs of records that cannot be read and were met on a channel, or that its archive tells of. Blocks.
    pub(crate) fn unreadable(&self, channel: Channel) -> Result<Vec<UnreadableRun>, ReplayError> {
        let (archived, met) = match self {
            Source::Kafka(log) => (Vec::new(), log.unreadable(channel)),
            Source::Archive(log) => (log.unreadable(channel)?, Vec::new()),
            Source::ArchiveThenKafka(archive, log) => (archive.unreadable(channel)?, log.unreadable(channel)),
            Source::Memory(_) => return Ok(Vec::new()),
        };
        let is_told = |run: &UnreadableRun| {
            archived
                .iter()
                .any(|told| told.partition == run.partition && told.first <= run.first && run.last <= told.last)
        };
        let more: Vec<UnreadableRun> = met.into_iter().filter(|run| !is_told(run)).collect();
        Ok(archived.into_iter().chain(more).collect())
    }

    /// Whether a reader may have taken records that are not here yet: an archive is copied from the topics.
    pub(crate) fn is_behind_readers(&self) -> bool {
        match self {
            Source::Archive(_) => true,
            Source::Kafka(_) | Source::ArchiveThenKafka(..) | Source::Memory(_) => false,
        }
    }

    /// Where records are missing that should be there, in words.
    pub(crate) fn place(&self) -> &'static str {
        match self {
            Source::Archive(_) => "archive",
            Source::Kafka(_) | Source::ArchiveThenKafka(..) | Source::Memory(_) => "topic",
        }
    }

    /// The channel's full name.
    pub(crate) fn topic(&self, channel: Channel) -> String {
        match self {
            Source::Kafka(log) | Source::ArchiveThenKafka(_, log) => log.topic(channel),
            Source::Archive(log) => log.topic(channel),
            Source::Memory(_) => channel.name(),
        }
    }
}
