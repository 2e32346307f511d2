//! Which keys are parked in the lanes of this instance, and what becomes of a record on account of it. Pure: time and rows are
//! inputs.
//!
//! A record that decodes and still cannot be taken (a bug, a constraint) is parked with everything of its key that comes behind
//! it, in order, in the service's database; the rest of the partition goes on. What the rules are:
//!
//! - A key belongs to its lane. A partitioner of a stranger's may put the same key into two lanes; these have no order between
//!   them, parked or not, so each lane parks for itself.
//! - Who takes records compares, with the feed's row, how often keys of the lane were parked or freed ([`Lot::parkings`]): what
//!   another instance has parked cannot be passed by. While nothing is parked, a record costs one look at a number.
//! - Signals of a parked key are passed over: the deadline of an order whose answer is parked must not fire before it. They come
//!   again by themselves, so they need no place in the database.
//! - There is an end to it: at most so many messages of a key, and of a service; and where many keys are refused within a minute
//!   it is not they that are wrong. Then nothing more is parked, and consumption rests ([`Refusal::Flood`]).

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use outbox::inbox::parking::{ParkedKey, ParkedLanes, ParkedRun};

use crate::feed::FeedId;
use crate::item::Slot;

/// A longer key has no place in an index.
const KEY_MAX_BYTES: usize = 1024;
/// Within this, so many keys are a flood.
const FLOOD_WINDOW: Duration = Duration::from_secs(60);
/// How long consumption rests in a flood, before what was refused is tried again.
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(15);

/// How much may be parked, and when it is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parking {
    /// The most parked messages of a service; by default 10,000. 0: nothing is parked.
    pub messages: u64,
    /// The most parked messages of a key; by default 1,000.
    pub messages_of_key: u64,
    /// When more keys than this would be parked within a minute, nothing more is, and consumption rests; by default 20.
    pub flood_keys: usize,
    /// How long a parked key rests before it is tried again; each time in vain doubles it. By default a minute.
    pub first_pause: Duration,
    /// The longest rest; by default an hour.
    pub longest_pause: Duration,
    /// A key that has been parked for so long is told as an error, once; by default 15 minutes.
    pub alarm_after: Duration,
}

impl Default for Parking {
    fn default() -> Self {
        Parking {
            messages: 10_000,
            messages_of_key: 1_000,
            flood_keys: 20,
            first_pause: Duration::from_secs(60),
            longest_pause: Duration::from_secs(3600),
            alarm_after: Duration::from_secs(15 * 60),
        }
    }
}

impl Parking {
    /// How long a key rests that was tried again in vain so often.
    fn pause(&self, attempts: i32) -> Duration {
        let doublings = u32::try_from(attempts).unwrap_or(0).min(20);
        self.first_pause.saturating_mul(1 << doublings).min(self.longest_pause)
    }
}

/// What becomes of a record that cannot be taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is parked, and its key with it.
    Park,
    /// Its key cannot be parked at all.
    Unparkable,
    /// There is no room: its partition is held.
    Full(String),
    /// Too many keys are refused: it is not they that are wrong.
    Flood(String),
}

/// What a batch does to the lot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The key that it parks, with its first message.
    pub(crate) parked: Option<Box<ParkedKey>>,
    /// Keys that get further messages: lane, key, and the numbers from and to.
    pub(crate) extended: Vec<ParkedRun>,
    /// The first messages of a key that it takes, and whether the key is free then.
    pub(crate) taken: Option<(ParkedRun, bool)>,
}

impl Plan {
    /// The lane whose rows have to be compared as a whole: one of its keys is parked, or was tried again.
    pub(crate) fn fenced(&self) -> Option<i32> {
        let parked = self.parked.as_ref().map(|key| key.lane);
        parked.or(self.taken.as_ref().map(|(run, _)| run.lane))
    }

    /// Whether a key is parked or freed, so that the lane's rows count it.
    pub(crate) fn counts(&self) -> bool {
        self.parked.is_some() || self.taken.as_ref().is_some_and(|(_, frees)| *frees)
    }
}

/// A feed that rests because too many keys are refused.
#[derive(Debug)]
struct Flood<T> {
    /// What was refused.
    feed: FeedId<T>,
    offset: i64,
    rest: Duration,
    until: Instant,
}

/// What is parked in the lanes of this instance.
#[derive(Debug)]
pub(crate) struct Lot<T> {
    pub(crate) policy: Parking,
    keys: HashMap<i32, HashMap<Vec<u8>, ParkedKey>>,
    /// How many keys that are.
    count: usize,
    parkings: HashMap<FeedId<T>, i64>,
    /// Messages in the lanes of others, as of the last look.
    elsewhere: u64,
    /// When keys were parked, within the window.
    recent: VecDeque<Instant>,
    flood: Option<Flood<T>>,
    /// Counts changes, so that a look that was begun before one can be told from one begun after it.
    changes: u64,
    /// Whether the key that is parked longest was told.
    is_told: bool,
}

impl<T: Copy + Eq + Hash> Lot<T> {
    pub(crate) fn new(policy: Parking) -> Self {
        Lot {
            policy,
            keys: HashMap::new(),
            count: 0,
            parkings: HashMap::new(),
            elsewhere: 0,
            recent: VecDeque::new(),
            flood: None,
            changes: 0,
            is_told: false,
        }
    }

    /// What is parked in these lanes, as the tables have it; `find` knows the topics by their full names.
    pub(crate) fn load(&mut self, lanes: &[i32], loaded: ParkedLanes, find: impl Fn(&str) -> Option<T>) {
        self.keys.retain(|lane, _| !lanes.contains(lane));
        self.parkings.retain(|id, _| !lanes.contains(&id.partition));
        for row in loaded.parkings {
            if let Some(topic) = find(&row.topic) {
                self.parkings.insert(FeedId { topic, partition: row.partition }, row.parkings);
            }
        }
        for key in loaded.keys {
            self.keys.entry(key.lane).or_default().insert(key.key.clone(), key);
        }
        self.elsewhere = loaded.messages.saturating_sub(self.messages());
        self.changed();
    }

    /// No lane is ours any more.
    pub(crate) fn leave(&mut self) {
        *self = Lot::new(self.policy);
    }

    /// Whether nothing is parked.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether a record with this key has to wait behind others.
    pub(crate) fn holds(&self, lane: i32, key: Option<&[u8]>) -> bool {
        self.count > 0 && key.is_some_and(|key| self.find(lane, key).is_some())
    }

    /// How often keys of the feed's lane were parked or freed, as far as is known.
    pub(crate) fn parkings(&self, id: FeedId<T>) -> i64 {
        self.parkings.get(&id).copied().unwrap_or(0)
    }

    /// The number of changes so far.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// All keys, in no order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &ParkedKey> {
        self.keys.values().flat_map(HashMap::values)
    }

    /// How many messages wait in the lanes of this instance.
    pub(crate) fn messages(&self) -> u64 {
        self.keys().map(ParkedKey::messages).sum()
    }

    /// How many keys of a lane are parked.
    pub(crate) fn keys_of(&self, lane: i32) -> usize {
        self.keys.get(&lane).map_or(0, HashMap::len)
    }

    pub(crate) fn find(&self, lane: i32, key: &[u8]) -> Option<&ParkedKey> {
        self.keys.get(&lane)?.get(key)
    }

    /// What becomes of a record that is to be taken and cannot be.
    pub(crate) fn refused(&mut self, lane: i32, key: &[u8], reason: &str, now: Instant) -> Refusal {
        if key.len() > KEY_MAX_BYTES || self.policy.messages == 0 {
            return Refusal::Unparkable;
        }
        if let Err(full) = self.room(lane, key, 1) {
            return Refusal::Full(full);
        }
        while self.recent.front().is_some_and(|at| now.duration_since(*at) >= FLOOD_WINDOW) {
            self.recent.pop_front();
        }
        // Once it is a flood, it stays one until what was refused is taken.
        if self.flood.is_some() || self.recent.len() >= self.policy.flood_keys {
            let keys = self.recent.len();
            return Refusal::Flood(format!(
                "{keys} keys were parked within a minute, and another is refused: {reason}"
            ));
        }
        Refusal::Park
    }

    /// The plan of a batch that parks this key.
    pub(crate) fn park(&self, lane: i32, key: &[u8], cause: String, now: Timestamp) -> ParkedKey {
        ParkedKey {
            lane,
            key: key.to_vec(),
            first: 0,
            next: 1,
            since: now,
            cause,
            attempts: 0,
            next_attempt: later(now, self.policy.pause(0)),
            asked: None,
        }
    }

    /// The run of so many further messages of a parked key.
    ///
    /// # Errors
    /// In words, why there is no room for them.
    pub(crate) fn extend(&self, lane: i32, key: &[u8], messages: i64) -> Result<Option<ParkedRun>, String> {
        let Some(parked) = self.find(lane, key) else { return Ok(None) };
        self.room(lane, key, u64::try_from(messages).unwrap_or(0))?;
        Ok(Some(ParkedRun { lane, key: key.to_vec(), from: parked.next, to: parked.next + messages }))
    }

    /// What a batch takes of the lot that tries these again: the messages of one key, in their order.
    pub(crate) fn taken<'s>(&self, slots: impl Iterator<Item = (i32, &'s Slot)>) -> Option<(ParkedRun, bool)> {
        let mut taken: Option<ParkedRun> = None;
        for (lane, Slot { key, number, .. }) in slots {
            let run = || ParkedRun { lane, key: key.clone(), from: *number, to: *number };
            taken.get_or_insert_with(run).to = number + 1;
        }
        let run = taken?;
        let frees = self.find(run.lane, &run.key).is_some_and(|parked| parked.next == run.to);
        Some((run, frees))
    }

    fn room(&self, lane: i32, key: &[u8], messages: u64) -> Result<(), String> {
        let of_key = self.find(lane, key).map_or(0, ParkedKey::messages);
        if of_key + messages > self.policy.messages_of_key {
            return Err(format!(
                "{of_key} messages of the key {} are parked, and no more may be",
                String::from_utf8_lossy(key).escape_debug()
            ));
        }
        let all = self.messages() + self.elsewhere;
        if all + messages > self.policy.messages {
            return Err(format!("{all} messages of the service are parked, and no more may be"));
        }
        Ok(())
    }

    /// A batch is committed that did this.
    pub(crate) fn apply(&mut self, plan: Plan, now: Instant) {
        if let (Some(lane), true) = (plan.fenced(), plan.counts()) {
            let of_lane = self.parkings.iter_mut().filter(|(id, _)| id.partition == lane);
            of_lane.for_each(|(_, parkings)| *parkings += 1);
        }
        if let Some(key) = plan.parked {
            self.recent.push_back(now);
            self.keys.entry(key.lane).or_default().insert(key.key.clone(), *key);
        }
        for ParkedRun { lane, key, to, .. } in plan.extended {
            if let Some(parked) = self.find_mut(lane, &key) {
                parked.next = to;
            }
        }
        if let Some((ParkedRun { lane, key, to, .. }, frees)) = plan.taken {
            if frees {
                self.remove(lane, &key);
            } else if let Some(parked) = self.find_mut(lane, &key) {
                (parked.first, parked.attempts) = (to, 0);
                parked.next_attempt = Timestamp::UNIX_EPOCH;
            }
        }
        self.changed();
    }

    /// The key that is to be tried again now, the most overdue first.
    pub(crate) fn due(&self, now: Timestamp) -> Option<&ParkedKey> {
        self.keys().filter(|key| key.next_attempt <= now).min_by_key(|key| (key.next_attempt, key.since))
    }

    /// It was tried again in vain; how it stands now.
    pub(crate) fn put_off(&mut self, lane: i32, key: &[u8], cause: String, now: Timestamp) -> Option<ParkedKey> {
        let policy = self.policy;
        let parked = self.find_mut(lane, key)?;
        parked.attempts = parked.attempts.saturating_add(1);
        parked.next_attempt = later(now, policy.pause(parked.attempts));
        parked.cause = cause;
        let parked = parked.clone();
        self.changes += 1;
        Some(parked)
    }

    /// It was not tried, for a reason that has nothing to do with it.
    pub(crate) fn rest(&mut self, lane: i32, key: &[u8], now: Timestamp) {
        if let Some(parked) = self.find_mut(lane, key) {
            parked.next_attempt = later(now, FIRST_REST);
        }
    }

    /// Since when the key waits that has waited longest, once it is over the alarm's age and not told yet.
    pub(crate) fn alarm(&mut self, now: Timestamp) -> Option<&ParkedKey> {
        let limit = SignedDuration::try_from(self.policy.alarm_after).unwrap_or(SignedDuration::MAX);
        let is_old = self.oldest().is_some_and(|key| now.duration_since(key.since) >= limit);
        let is_news = is_old && !self.is_told;
        self.is_told = is_old;
        if is_news { self.oldest() } else { None }
    }

    /// The key that has waited longest.
    pub(crate) fn oldest(&self) -> Option<&ParkedKey> {
        self.keys().min_by_key(|key| key.since)
    }

    /// Consumption rests: this record is refused in a flood.
    pub(crate) fn flood(&mut self, feed: FeedId<T>, offset: i64, now: Instant) -> Duration {
        let rest = self.flood.as_ref().map_or(FIRST_REST, |flood| (flood.rest * 2).min(LONGEST_REST));
        self.flood = Some(Flood { feed, offset, rest, until: now + rest });
        rest
    }

    /// Whether consumption rests.
    pub(crate) fn rests(&self, now: Instant) -> bool {
        self.flood.as_ref().is_some_and(|flood| now < flood.until)
    }

    /// Whether the flood has just ended: what was refused is taken. `next_offset`: where a feed is now, if it is ours.
    pub(crate) fn ebbs(&mut self, next_offset: impl Fn(FeedId<T>) -> Option<i64>) -> bool {
        let is_over = self
            .flood
            .as_ref()
            .is_some_and(|flood| next_offset(flood.feed).is_none_or(|next_offset| next_offset > flood.offset));
        if is_over {
            self.flood = None;
            self.recent.clear();
        }
        is_over
    }

    fn find_mut(&mut self, lane: i32, key: &[u8]) -> Option<&mut ParkedKey> {
        self.keys.get_mut(&lane)?.get_mut(key)
    }

    fn remove(&mut self, lane: i32, key: &[u8]) {
        if let Some(keys) = self.keys.get_mut(&lane) {
            keys.remove(key);
        }
    }

    fn changed(&mut self) {
        self.count = self.keys.values().map(HashMap::len).sum();
        self.changes += 1;
    }
}

fn later(now: Timestamp, pause: Duration) -> Timestamp {
    now.checked_add(pause).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
