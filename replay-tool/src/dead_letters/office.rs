//! Dead letters for a program that shows them and acts on them: read on request, within bounds, one act at a time.
//!
//! An office keeps nothing between two requests, and no client of its stays connected; who looks often has the newest letters kept in
//! memory besides ([`Office::keep`]). Deliberately absent: who may, and how it looks.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use schemas::{Codec, TopicName};

use super::edited::Edited;
use super::kept::{Keeper, Kept, Room};
use super::letter::DeadLetter;
use super::publishing::{Desk, Published, Signature};
use super::reading::read_newest;
use super::ruling::{Allowances, Redrive, Ruling, rule};
use super::shelf::{Filed, Keep};
use crate::error::ReplayError;
use crate::interrupt::RaiseOnDrop;
use crate::log::{Channel, KafkaLog, Spot};
use crate::source::Source;

/// How much is read for one request.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// At most so many records of one dead-letter topic: the newest.
    pub records: u32,
    /// At most so long.
    pub time: Duration,
}

/// The letters of one topic. Read for a list they are in short: without bodies and headers.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The topic that they were sent to.
    pub topic: TopicName,
    /// By partition and offset.
    pub letters: Vec<Arc<Filed>>,
    /// Records that are older than what was read.
    pub left: i64,
}

/// Where dead letters are looked at and acted on.
pub struct Office {
    kafka: ClientConfig,
    prefix: String,
    codec: Codec,
    bounds: Bounds,
}

impl Office {
    /// Of the deployment that `kafka` and the prefix lead to. Connects to nothing yet.
    pub fn new(kafka: ClientConfig, prefix: &str, codec: Codec, bounds: Bounds) -> Self {
        Office { kafka, prefix: prefix.to_owned(), codec, bounds }
    }

    /// What decodes bodies, and encodes edited ones.
    pub fn codec(&self) -> &Codec {
        &self.codec
    }

    /// The newest letters in memory, and who keeps them there once he runs.
    pub fn keep(&self, room: Room) -> (Kept, Keeper) {
        let kept = Kept::default();
        (kept.clone(), Keeper::new(self.kafka.clone(), &self.prefix, self.bounds.time, room, kept))
    }

    /// The letters of these topics, each topic's newest.
    ///
    /// # Errors
    /// The topics cannot be read, or not in time.
    pub async fn list(&self, topics: Vec<TopicName>) -> Result<Vec<Listed>, ReplayError> {
        self.read(topics, Keep::Short(None)).await
    }

    /// One letter with all that it brought; none where it is not among the newest of its topic, or is no letter.
    ///
    /// # Errors
    /// The topic cannot be read, or not in time.
    pub async fn letter(&self, spot: Spot) -> Result<Option<Arc<Filed>>, ReplayError> {
        let Channel::DeadLetters(topic) = spot.channel else { return Ok(None) };
        let listed = self.read(vec![topic], Keep::Short(Some(spot))).await?;
        Ok(listed.into_iter().flat_map(|listed| listed.letters).find(|filed| filed.letter.spot == spot))
    }

    /// Whether a letter may be published, or what it was edited to.
    pub fn rule(&self, filed: &Filed, edited: Option<&Edited>, allowed: Allowances) -> Ruling {
        rule(filed, edited, allowed, &self.codec)
    }

    /// Publish a letter, or what it was edited to, and write down that it was done.
    ///
    /// # Errors
    /// The brokers do not take it. The next redrive ends what this one has begun.
    pub async fn redrive(
        &self,
        letter: &DeadLetter,
        edited: Option<&Edited>,
        redrive: &Redrive,
        signature: Signature,
    ) -> Result<Published, ReplayError> {
        let reading = RaiseOnDrop::default();
        self.desk(&reading, signature)?.redrive(letter, edited, redrive).await
    }

    /// Settle a letter without publishing it.
    ///
    /// # Errors
    /// The brokers do not take the note.
    pub async fn discard(&self, letter: &DeadLetter, signature: Signature) -> Result<(), ReplayError> {
        let reading = RaiseOnDrop::default();
        self.desk(&reading, signature)?.discard(letter).await
    }

    fn source(&self, reading: &RaiseOnDrop) -> Result<Source, ReplayError> {
        KafkaLog::new(&self.kafka, &self.prefix, self.bounds.time, &reading.0).map(Source::Kafka)
    }

    fn desk(&self, reading: &RaiseOnDrop, signature: Signature) -> Result<Desk, ReplayError> {
        Desk::open(&self.kafka, self.source(reading)?, signature)
    }

    async fn read(&self, topics: Vec<TopicName>, keep: Keep) -> Result<Vec<Listed>, ReplayError> {
        // Dropped with this future, also where nobody waits any more, and ends the thread.
        let reading = RaiseOnDrop::default();
        let (source, most) = (self.source(&reading)?, i64::from(self.bounds.records));
        let all = tokio::task::spawn_blocking(move || {
            let one = |topic| {
                let (shelf, left) = read_newest(&source, topic, keep, most)?;
                Ok(Listed { topic, letters: shelf.finish().into_iter().map(Arc::new).collect(), left })
            };
            topics.into_iter().map(one).collect()
        });
        match tokio::time::timeout(self.bounds.time, all).await {
            Ok(read) => read.map_err(|_| ReplayError::Aborted { what: "the dead letters".to_owned() })?,
            Err(_) => {
                Err(ReplayError::TooLong { what: "dead letters".to_owned(), limit_s: self.bounds.time.as_secs() })
            }
        }
    }
}
