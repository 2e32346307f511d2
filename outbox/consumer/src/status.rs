//! What no topic tells of a consumer, for `/status` and for programs: how far each feed is and what holds it, and what is parked.
//!
//! A shape for machines; docs/status.md is held against it. No secret and no payload is in it, but keys are.

use std::hash::Hash;

use jiff::Timestamp;
use outbox::inbox::parking::ParkedKey;
use serde::{Deserialize, Serialize};

use crate::lot::Lot;

/// At most so many parked keys are told one by one.
const TOLD_KEYS: usize = 20;

/// How a consumer is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumerStatus {
    /// The lanes that this instance owns, ascending.
    pub lanes: Vec<i32>,
    /// Its feeds, by topic and partition.
    pub feeds: Vec<FeedStatus>,
    /// What is parked in its lanes.
    pub parked: ParkedStatus,
}

/// A topic partition as it is consumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedStatus {
    /// The topic, without the deployment's prefix.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset of the next record to take.
    pub next_offset: i64,
    /// The last position taken, on a topic that one service writes.
    pub position: Option<PositionStatus>,
    /// How many messages are not processed yet; none until the brokers have told where the log ends.
    pub lag: Option<i64>,
    /// What it waits for, if it waits for a person.
    pub held: Option<HeldStatus>,
}

/// A position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PositionStatus {
    /// The epoch.
    pub epoch: i64,
    /// The sequence.
    pub sequence: i64,
}

/// A feed that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldStatus {
    /// The record that cannot be taken.
    pub offset: i64,
    /// Since when.
    pub since: Timestamp,
    /// Why, for people.
    pub why: String,
}

/// What is parked in the lanes of an instance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParkedStatus {
    /// Messages.
    pub messages: u64,
    /// Keys.
    pub keys: u64,
    /// How long the oldest key has been parked, in seconds; 0 without one.
    pub oldest_s: i64,
    /// The keys that were parked first, at most 20.
    pub first: Vec<ParkedKeyStatus>,
}

/// A parked key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParkedKeyStatus {
    /// The key; bytes that are no UTF-8 are replaced.
    pub key: String,
    /// Its lane.
    pub lane: i32,
    /// How many messages wait.
    pub messages: u64,
    /// When its first message could not be taken for the first time.
    pub since: Timestamp,
    /// How long ago that is, in seconds.
    pub age_s: i64,
    /// Why the first one cannot be taken, in words.
    pub cause: String,
    /// How often it was tried again in vain.
    pub attempts: i32,
    /// When it is tried again.
    pub next_attempt: Timestamp,
}

impl ParkedStatus {
    pub(crate) fn of<T: Copy + Eq + Hash>(lot: &Lot<T>, now: Timestamp) -> Self {
        let mut keys: Vec<&ParkedKey> = lot.keys().collect();
        keys.sort_unstable_by(|one, other| (one.since, one.lane, &one.key).cmp(&(other.since, other.lane, &other.key)));
        ParkedStatus {
            messages: lot.messages(),
            keys: keys.len() as u64,
            oldest_s: keys.first().map_or(0, |key| age_s(key, now)),
            first: keys.into_iter().take(TOLD_KEYS).map(|key| ParkedKeyStatus::of(key, now)).collect(),
        }
    }
}

impl ParkedKeyStatus {
    pub(crate) fn of(parked: &ParkedKey, now: Timestamp) -> Self {
        ParkedKeyStatus {
            key: String::from_utf8_lossy(&parked.key).into_owned(),
            lane: parked.lane,
            messages: parked.messages(),
            since: parked.since,
            age_s: age_s(parked, now),
            cause: parked.cause.clone(),
            attempts: parked.attempts,
            next_attempt: parked.next_attempt,
        }
    }
}

fn age_s(parked: &ParkedKey, now: Timestamp) -> i64 {
    now.duration_since(parked.since).as_secs().max(0)
}
