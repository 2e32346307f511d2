//! All dead letters with what was done about each.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use outbox::inbox::Delivery;
use schemas::TopicName;

use super::letter::{DeadLetter, short};
use crate::log::{Action, Channel, Note, Record, Spot, Walk};

/// Where a letter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nobody has done anything about it.
    Open,
    /// A redrive has begun and not ended: it was interrupted, or runs now.
    Begun,
    /// It was published again.
    Redriven,
    /// It was settled without that.
    Discarded,
}

impl State {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Open => "open",
            State::Begun => "redrive-begun",
            State::Redriven => "redriven",
            State::Discarded => "discarded",
        }
    }

    /// Whether there is nothing left to do about it.
    pub const fn is_handled(self) -> bool {
        matches!(self, State::Redriven | State::Discarded)
    }
}

/// A letter with the notes about it.
#[derive(Debug, Clone)]
pub struct Filed {
    /// The letter.
    pub letter: DeadLetter,
    /// What was done about it, in the order of the log.
    pub notes: Vec<Note>,
}

impl Filed {
    /// Where it stands.
    pub fn state(&self) -> State {
        match self.notes.last().map(|note| note.action) {
            None => State::Open,
            Some(Action::RedriveBegun) => State::Begun,
            Some(Action::Redriven) => State::Redriven,
            Some(Action::Discarded) => State::Discarded,
        }
    }

    /// About how many bytes of memory it takes.
    pub(super) fn size(&self) -> usize {
        self.letter.size() + self.notes.iter().map(note_size).sum::<usize>()
    }

    /// How often this very letter was published again.
    pub fn times_redriven(&self) -> u32 {
        let redriven = self.notes.iter().filter(|note| note.action == Action::Redriven).count();
        u32::try_from(redriven).unwrap_or(u32::MAX)
    }
}

/// Which letters are meant; what is not given is not asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    /// Letters, or the records that they were.
    pub(crate) spots: Vec<Spot>,
    pub(crate) topics: Vec<TopicName>,
    pub(crate) causes: Vec<String>,
    pub(crate) key: Option<String>,
    pub(crate) partition: Option<i32>,
    /// Set aside at this time or later.
    pub(crate) since: Option<Timestamp>,
    /// Set aside before this time.
    pub(crate) until: Option<Timestamp>,
    /// Only what nobody has done anything about, or not to its end.
    pub(crate) is_open: bool,
}

impl Filter {
    /// Whether this letter is meant.
    pub(crate) fn takes(&self, filed: &Filed) -> bool {
        let letter = &filed.letter;
        let is_any = |empty: bool, found: bool| empty || found;
        let is_named = |spot: &Spot| *spot == letter.spot || Some(*spot) == letter.original;
        is_any(self.spots.is_empty(), self.spots.iter().any(is_named))
            && is_any(self.topics.is_empty(), self.topics.contains(&letter.topic))
            && is_any(self.causes.is_empty(), self.causes.contains(&letter.cause))
            && self.key.as_ref().is_none_or(|key| letter.key.as_deref() == Some(key.as_bytes()))
            && self.partition.is_none_or(|partition| letter.spot.partition == partition)
            && self.since.is_none_or(|since| letter.set_aside_at.is_some_and(|at| at >= since))
            && self.until.is_none_or(|until| letter.set_aside_at.is_some_and(|at| at < until))
            && !(self.is_open && filed.state().is_handled())
    }

    /// The topics whose letters have to be read for it.
    pub(crate) fn reading(&self) -> Vec<TopicName> {
        let is_read = |topic: &TopicName| self.topics.is_empty() || self.topics.contains(topic);
        TopicName::ALL.into_iter().filter(is_read).collect()
    }

    /// Whether nothing is asked for.
    pub(crate) fn is_everything(&self) -> bool {
        self.spots.is_empty()
            && self.topics.is_empty()
            && self.causes.is_empty()
            && self.key.is_none()
            && self.partition.is_none()
            && self.since.is_none()
            && self.until.is_none()
    }
}

/// How much is kept of what is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Keep {
    /// All of it.
    #[default]
    Whole,
    /// Letters in short, but for this one: what strangers have sent is larger than memory may be.
    Short(Option<Spot>),
    /// Letters in short that take more than so many bytes.
    Small(usize),
}

/// What a record of a dead-letter partition was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shelved {
    /// A letter, and whether all of it is kept.
    Letter { spot: Spot, is_whole: bool },
    /// A note about this letter, and how many bytes it takes.
    Note { spot: Spot, size: usize },
    /// Neither, or nothing that counts.
    Nothing,
}

/// About how many bytes of memory a note takes.
fn note_size(note: &Note) -> usize {
    size_of::<Note>() + note.by.len() + note.reason.as_ref().map_or(0, String::len)
}

fn short_note(note: Note) -> Note {
    Note { by: short(&note.by), reason: note.reason.as_deref().map(short), ..note }
}

/// All dead letters.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    keep: Keep,
    filed: BTreeMap<Spot, Arc<Filed>>,
    walks: HashMap<(TopicName, i32), Walk>,
    /// Records that are neither letters nor notes.
    pub(crate) strangers: u64,
}

impl Shelf {
    /// One that keeps so much.
    pub(crate) fn keeping(keep: Keep) -> Self {
        Shelf { keep, ..Shelf::default() }
    }

    /// A partition is about to be read from this offset on.
    pub(crate) fn begin(&mut self, topic: TopicName, partition: i32, first_offset: i64) {
        self.walks.insert((topic, partition), Walk::from(first_offset));
    }

    /// The next record of a dead-letter partition.
    pub(super) fn take(&mut self, topic: TopicName, record: &Record<'_>) -> Shelved {
        let channel = Channel::DeadLetters(topic);
        if let Some(position) = channel.writer().and_then(|writer| record.position(writer)) {
            let walk = self.walks.entry((topic, record.partition)).or_default();
            if matches!(walk.judge(&position, record), Delivery::Duplicate | Delivery::Stale) {
                return Shelved::Nothing;
            }
            let letter = DeadLetter::of(topic, record);
            let is_whole = match self.keep {
                Keep::Whole => true,
                Keep::Short(but) => but == Some(letter.spot),
                Keep::Small(most) => letter.size() <= most,
            };
            let letter = if is_whole { letter } else { letter.in_short() };
            let spot = letter.spot;
            self.filed.insert(spot, Arc::new(Filed { letter, notes: Vec::new() }));
            return Shelved::Letter { spot, is_whole };
        }
        let about = Note::read(record).and_then(|note| {
            let spot = Spot { channel, partition: record.partition, offset: note.letter_offset };
            Some((spot, self.filed.get_mut(&spot)?, note))
        });
        let Some((spot, filed, note)) = about else {
            self.strangers += 1;
            return Shelved::Nothing;
        };
        let note = match self.keep {
            Keep::Whole => note,
            Keep::Short(_) | Keep::Small(_) => short_note(note),
        };
        let size = note_size(&note);
        Arc::make_mut(filed).notes.push(note);
        Shelved::Note { spot, size }
    }

    /// The letter that lies there.
    pub(super) fn get(&self, spot: Spot) -> Option<&Arc<Filed>> {
        self.filed.get(&spot).filter(|filed| !self.is_void(filed))
    }

    /// The letters of one topic that count, by partition and offset.
    pub(super) fn of(&self, topic: TopicName) -> impl Iterator<Item = &Arc<Filed>> {
        let channel = Channel::DeadLetters(topic);
        let (first, last) =
            (Spot { channel, partition: 0, offset: 0 }, Spot { channel, partition: i32::MAX, offset: i64::MAX });
        self.filed.range(first..=last).map(|(_, filed)| filed).filter(|filed| !self.is_void(filed))
    }

    /// Keeps it no longer.
    pub(super) fn remove(&mut self, spot: Spot) {
        self.filed.remove(&spot);
    }

    /// Every letter that counts, by topic, partition and offset.
    pub(crate) fn finish(mut self) -> Vec<Filed> {
        let filed = std::mem::take(&mut self.filed);
        let counting = filed.into_values().filter(|filed| !self.is_void(filed));
        counting.map(Arc::unwrap_or_clone).collect()
    }

    /// Whether a restored database has ended it.
    fn is_void(&self, filed: &Filed) -> bool {
        let walk = self.walks.get(&(filed.letter.topic, filed.letter.spot.partition));
        walk.zip(filed.letter.position.as_ref()).is_some_and(|(walk, position)| !walk.counts(position))
    }
}
