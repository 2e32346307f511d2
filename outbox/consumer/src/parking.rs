//! What a batch does to what is parked: from its items to the changes of its transaction, and from parked rows to items again.
//!
//! Deliberately absent: the rules, which are `lot`'s, and when a key is tried again, which is `unparking`'s.

use std::collections::HashMap;

use jiff::Timestamp;
use outbox::Transaction;
use outbox::inbox::parking::{ParkedMessage, TimestampType};
use outbox::inbox::{Inbox, SourceCursor};

use crate::contract::Contract;
use crate::dead_letter::{DeadCause, DeadLetter};
use crate::failure::Failure;
use crate::feed::FeedId;
use crate::intake::{self, narrowed};
use crate::item::{Item, Slot, Work};
use crate::lot::{Lot, Plan};
use crate::service::{ItemOf, Service, TopicOf};

/// A longer name of a header is not kept.
const HEADER_NAME_MAX_BYTES: usize = 1024;

/// What these items do to the lot.
///
/// # Errors
/// In words, why there is no room for a record behind its parked key.
pub(crate) fn plan<S: Service>(lot: &Lot<TopicOf<S>>, items: &[ItemOf<S>], now: Timestamp) -> Result<Plan, String> {
    let mut plan = Plan::default();
    let mut behind: Vec<(i32, &[u8], i64)> = Vec::new();
    for item in items {
        let lane = item.feed.partition;
        match (&item.work, key_of::<S>(item)) {
            (Work::Park(Some(cause)), Some(key)) => {
                plan.parked = Some(Box::new(lot.park(lane, key, cause.clone(), now)));
            }
            (Work::Park(None), Some(key)) => {
                match behind.iter_mut().find(|(at, other, _)| (*at, *other) == (lane, key)) {
                    Some((_, _, count)) => *count += 1,
                    None => behind.push((lane, key, 1)),
                }
            }
            (Work::Park(_) | Work::Decide { .. } | Work::Skip(_) | Work::DeadLetter(_), _) => {}
        }
    }
    for (lane, key, count) in behind {
        plan.extended.extend(lot.extend(lane, key, count)?);
    }
    plan.taken = lot.taken(items.iter().filter_map(|item| Some((item.feed.partition, item.slot.as_ref()?))));
    Ok(plan)
}

/// Adds to the transaction what the plan says of these items.
pub(crate) fn carry_out<S: Service>(
    inbox: &Inbox,
    tx: &mut Transaction<'_>,
    plan: &Plan,
    items: &[ItemOf<S>],
    now: Timestamp,
) -> Result<(), Failure> {
    if let Some(key) = &plan.parked {
        inbox.park_key(tx, key);
    }
    inbox.extend_parked(tx, &plan.extended);
    let parked = plan.parked.iter().map(|key| ((key.lane, key.key.as_slice()), key.first));
    let extended = plan.extended.iter().map(|run| ((run.lane, run.key.as_slice()), run.from));
    let mut next: HashMap<(i32, &[u8]), i64> = parked.chain(extended).collect();
    let mut messages = Vec::new();
    for item in items.iter().filter(|item| matches!(item.work, Work::Park(_))) {
        let Some((raw, key)) = item.raw.as_deref().zip(key_of::<S>(item)) else { continue };
        let Some(number) = next.get_mut(&(item.feed.partition, key)) else {
            return Err(Failure::Retry("a key is parked no more; its record is judged again".to_owned()));
        };
        messages.push(stored::<S>(item, raw, *number, now));
        *number += 1;
    }
    inbox.park_messages(tx, &messages).map_err(Failure::of_outbox)?;
    if let Some((run, frees)) = &plan.taken {
        // What is behind follows at once.
        inbox.unpark(tx, run, (!frees).then_some(now));
    }
    Ok(())
}

/// The key of a record that is kept.
pub(crate) fn key_of<S: Service>(item: &ItemOf<S>) -> Option<&[u8]> {
    item.raw.as_ref()?.key.as_deref()
}

/// A record as the lot keeps it.
fn stored<S: Service>(item: &ItemOf<S>, raw: &DeadLetter<TopicOf<S>>, number: i64, now: Timestamp) -> ParkedMessage {
    let is_kept = |name: &str| name.len() <= HEADER_NAME_MAX_BYTES && !name.contains('\0');
    let headers: Vec<_> = raw.headers.iter().filter(|(name, _)| is_kept(name)).cloned().collect();
    let left_out = raw.headers_left_out + raw.headers.len() - headers.len();
    let cursor = item.progress.and_then(|progress| progress.cursor);
    let source = S::Contract::written_by(raw.topic);
    let (timestamp_type, timestamp_ms) = match raw.timestamp {
        rdkafka::Timestamp::CreateTime(ms) => (TimestampType::Created, ms),
        rdkafka::Timestamp::LogAppendTime(ms) => (TimestampType::Appended, ms),
        rdkafka::Timestamp::NotAvailable => (TimestampType::None, -1),
    };
    ParkedMessage {
        lane: item.feed.partition,
        key: raw.key.clone().unwrap_or_default(),
        number,
        topic: S::Contract::topic_name(raw.topic).to_owned(),
        partition: raw.partition,
        offset: raw.offset,
        place: raw.place,
        position: source.zip(cursor).map(|(source, cursor)| SourceCursor { source: source.to_owned(), cursor }),
        timestamp_type,
        timestamp_ms,
        payload: raw.payload.clone(),
        headers,
        headers_left_out: i32::try_from(left_out).unwrap_or(i32::MAX),
        parked_at: now,
    }
}

/// A parked record that is tried again.
///
/// # Errors
/// In words, why this program cannot read it.
pub(crate) fn item_of<S: Service>(contract: &S::Contract, parked: ParkedMessage) -> Result<ItemOf<S>, String> {
    let ParkedMessage { lane, key, number, topic, place, payload, headers, .. } = parked;
    let topic = topic_of::<S::Contract>(&topic)?;
    let message = contract.decode(topic, payload.as_deref().unwrap_or_default())?;
    Ok(Item {
        feed: FeedId { topic, partition: lane },
        progress: None,
        work: narrowed::<S>(message),
        raw: None,
        slot: Some(Slot { key, number, place }),
        cause: intake::cause_in(&headers),
    })
}

/// A parked record as it goes to the dead letters.
///
/// # Errors
/// In words, why it is none of this contract's.
pub(crate) fn letter_of<C: Contract>(parked: ParkedMessage, detail: &str) -> Result<DeadLetter<C::Topic>, String> {
    let timestamp = match parked.timestamp_type {
        TimestampType::Created => rdkafka::Timestamp::CreateTime(parked.timestamp_ms),
        TimestampType::Appended => rdkafka::Timestamp::LogAppendTime(parked.timestamp_ms),
        TimestampType::None => rdkafka::Timestamp::NotAvailable,
    };
    Ok(DeadLetter {
        topic: topic_of::<C>(&parked.topic)?,
        partition: parked.partition,
        offset: parked.offset,
        place: parked.place,
        timestamp,
        key: Some(parked.key),
        payload: parked.payload,
        headers: parked.headers,
        headers_left_out: usize::try_from(parked.headers_left_out).unwrap_or(0),
        is_reduced: false,
        cause: DeadCause::Dropped,
        detail: crate::text::detail(detail),
    })
}

fn topic_of<C: Contract>(name: &str) -> Result<C::Topic, String> {
    let found = C::TOPICS.iter().copied().find(|topic| C::topic_name(*topic) == name);
    found.ok_or_else(|| format!("the topic {name} is none of this program's"))
}
