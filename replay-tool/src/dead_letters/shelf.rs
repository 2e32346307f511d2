//! All dead letters with what was done about each.

use std::collections::{BTreeMap, HashMap};

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
}

fn short_note(note: Note) -> Note {
    Note { by: short(&note.by), reason: note.reason.as_deref().map(short), ..note }
}

/// All dead letters.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    keep: Keep,
    filed: BTreeMap<Spot, Filed>,
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
    pub(crate) fn take(&mut self, topic: TopicName, record: &Record<'_>) {
        let channel = Channel::DeadLetters(topic);
        if let Some(position) = channel.writer().and_then(|writer| record.position(writer)) {
            let walk = self.walks.entry((topic, record.partition)).or_default();
            if !matches!(walk.judge(&position, record), Delivery::Duplicate | Delivery::Stale) {
                let letter = DeadLetter::of(topic, record);
                let letter = match self.keep {
                    Keep::Short(but) if but != Some(letter.spot) => letter.in_short(),
                    Keep::Whole | Keep::Short(_) => letter,
                };
                self.filed.insert(letter.spot, Filed { letter, notes: Vec::new() });
            }
            return;
        }
        let about = Note::read(record).and_then(|note| {
            let spot = Spot { channel, partition: record.partition, offset: note.letter_offset };
            Some((self.filed.get_mut(&spot)?, note))
        });
        match about {
            Some((filed, note)) => filed.notes.push(match self.keep {
                Keep::Whole => note,
                Keep::Short(_) => short_note(note),
            }),
            None => self.strangers += 1,
        }
    }

    /// Every letter that counts, by topic, partition and offset.
    pub(crate) fn finish(self) -> Vec<Filed> {
        let Shelf { filed, walks, .. } = self;
        let epochs: HashMap<_, _> = walks.into_iter().map(|(place, walk)| (place, walk.into_epochs())).collect();
        let is_void = |filed: &Filed| {
            let lane = epochs.get(&(filed.letter.topic, filed.letter.spot.partition));
            lane.zip(filed.letter.position.as_ref()).is_some_and(|(lane, position)| !lane.counts(position))
        };
        filed.into_values().filter(|filed| !is_void(filed)).collect()
    }
}
