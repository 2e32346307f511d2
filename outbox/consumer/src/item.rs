//! What a batch is made of: one item per record or signal, already judged.
//!
//! An item of a record always carries the position to move to, also when there is nothing to do.

use outbox::inbox::Cursor;
use outbox::inbox::place::Place;

use crate::dead_letter::DeadLetter;
use crate::feed::FeedId;

/// One step of a batch.
#[derive(Debug)]
pub(crate) struct Item<T, B> {
    /// The feed that it came from; for a signal, the feed that stands for its lane.
    pub(crate) feed: FeedId<T>,
    /// Where it stood; `None` for a signal.
    pub(crate) progress: Option<Progress>,
    /// What is to be done.
    pub(crate) work: Work<T, B>,
    /// The raw record, kept where it may have to go to the dead letters later, or be parked.
    pub(crate) raw: Option<Box<DeadLetter<T>>>,
    /// Where it is parked, if it was parked before.
    pub(crate) slot: Option<Slot>,
    /// What caused it.
    pub(crate) cause: Cause,
}

/// How far a feed is once an item is done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    /// The record's offset.
    pub(crate) offset: i64,
    /// What ids are made of.
    pub(crate) place: Place,
    /// The believed source's position after it, where the topic has such a source and the record advances it.
    pub(crate) cursor: Option<Cursor>,
}

/// The place in the lot of a message that is tried again: its position was moved when it was parked.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    /// Its key.
    pub(crate) key: Vec<u8>,
    /// Its number among the key's messages.
    pub(crate) number: i64,
    /// What ids are made of.
    pub(crate) place: Place,
}

/// What an item asks for.
#[derive(Debug)]
pub(crate) enum Work<T, B> {
    /// The service decides.
    Decide {
        /// The kind of message, as a metric label.
        name: &'static str,
        body: B,
    },
    /// Nothing but the position moves.
    Skip(Skip),
    /// The record goes to the dead letters.
    DeadLetter(Box<DeadLetter<T>>),
    /// The record, which is the item's `raw`, is parked: as the first of its key, which cannot be taken for this reason, or, without
    /// one, behind others.
    Park(Option<String>),
}

impl<T, B> Item<T, B> {
    /// Where it lies for good; none for a signal.
    pub(crate) fn place(&self) -> Option<Place> {
        self.progress.map(|progress| progress.place).or(self.slot.as_ref().map(|slot| slot.place))
    }
}

/// Why a record is passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Skip {
    /// Its sequence was seen.
    Duplicate,
    /// It is of an older epoch.
    Stale,
    /// This service does not handle its type.
    Unhandled,
}

impl Skip {
    /// As a metric label.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Skip::Duplicate => "duplicate",
            Skip::Stale => "stale",
            Skip::Unhandled => "unhandled",
        }
    }
}

/// What a service decides about.
#[derive(Debug, Clone)]
pub enum Body<I, S> {
    /// A message from a topic, as the service narrows it.
    Message(I),
    /// Something of the service's own: a passed deadline, a provider's answer.
    Signal(S),
}

/// Where an input came from, for ids and traces.
#[derive(Debug, Clone, Default)]
pub struct Cause {
    /// `ce_id` of the message, when it had one.
    pub id: Option<String>,
    /// W3C trace context of the message, when it had one.
    pub trace_parent: Option<String>,
    /// `ce_causationid` of the message, when it had one: what it answers itself.
    pub caused_by: Option<String>,
}
