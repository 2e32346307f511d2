//! What a decision sends: collects messages in order and gives each its id, cause and trace.
//!
//! Ids depend on nothing but what is said (aggregate, version, place), so that a redelivery or a replay gives the same ones.

use bytes::Bytes;
use jiff::Timestamp;
use outbox::OutboxMessage;
use outbox::inbox::place::Place;
use uuid::Uuid;

use crate::contract::{Contract, Origin};
use crate::failure::Failure;
use crate::feed::FeedId;
use crate::item::Cause;
use crate::topic_names::TopicNames;

/// Collects the messages of one batch.
pub struct Emitter<C: Contract> {
    service: &'static str,
    now: Timestamp,
    input: Option<(C::Topic, Place)>,
    cause: Cause,
    transition: Option<(String, i64)>,
    index: u32,
    collected: Vec<Collected<C::Message>>,
}

struct Collected<M> {
    message: M,
    id: Uuid,
    cause_id: Option<String>,
    trace_parent: Option<String>,
}

impl<C: Contract> Emitter<C> {
    pub(crate) fn new(service: &'static str, now: Timestamp, capacity: usize) -> Self {
        Emitter {
            service,
            now,
            input: None,
            cause: Cause::default(),
            transition: None,
            index: 0,
            collected: Vec::with_capacity(capacity),
        }
    }

    /// What follows is caused by this input.
    pub(crate) fn attribute_to(&mut self, feed: FeedId<C::Topic>, place: Option<Place>, cause: &Cause) {
        self.input = place.map(|place| (feed.topic, place));
        self.cause = cause.clone();
        self.transition = None;
        self.index = 0;
    }

    /// Where the record lies that is being decided; none for a signal.
    pub fn input(&self) -> Option<(C::Topic, Place)> {
        self.input
    }

    /// What caused the input that is being decided.
    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// Send this message, after those already sent.
    ///
    /// A message with a version begins a transition; messages without one belong to the transition before them,
    /// or, where there is none (a refusal), to the input.
    pub fn emit(&mut self, message: impl Into<C::Message>) {
        let message = message.into();
        if let Some(version) = C::version(&message) {
            let transition = (C::key(&message).to_owned(), version);
            if self.transition.as_ref() != Some(&transition) {
                self.transition = Some(transition);
                self.index = 0;
            }
        }
        let id = self.next_id(&message);
        let trace_parent = Some(child_trace(self.cause.trace_parent.as_deref(), id));
        self.collected.push(Collected { message, id, cause_id: self.cause.id.clone(), trace_parent });
    }

    fn next_id(&mut self, message: &C::Message) -> Uuid {
        let index = self.index;
        self.index += 1;
        let origin = match (&self.transition, self.input) {
            (Some((aggregate, version)), _) => Origin::Version { aggregate, version: *version },
            (None, Some((topic, place))) => Origin::Record { topic: C::topic_name(topic), place },
            // A signal that changes nothing says nothing; the key keeps the id defined all the same.
            (None, None) => Origin::Version { aggregate: C::key(message), version: 0 },
        };
        C::message_id(self.service, origin, Some(message), index)
    }

    /// The messages as they were sent, each with its id.
    pub(crate) fn into_sent(self) -> Vec<(Uuid, C::Message)> {
        self.collected.into_iter().map(|one| (one.id, one.message)).collect()
    }

    /// The rows for the outbox.
    pub(crate) fn into_messages(
        self,
        contract: &C,
        topics: &TopicNames<C::Topic>,
    ) -> Result<Vec<OutboxMessage>, Failure> {
        let time = self.now;
        self.collected
            .into_iter()
            .map(|one| {
                let payload = contract
                    .encode(&one.message)
                    .map_err(|error| Failure::Poison(format!("cannot encode {}: {error}", C::ce_type(&one.message))))?;
                let topic = topics.full(C::topic(&one.message));
                let mut row = OutboxMessage::event_of(one.id, time, topic, C::ce_type(&one.message))
                    .key(Bytes::copy_from_slice(C::key(&one.message).as_bytes()))
                    .payload(payload);
                if let Some(cause_id) = one.cause_id.as_deref() {
                    row = row.caused_by(cause_id);
                }
                if let Some(trace_parent) = one.trace_parent {
                    row = row.trace_parent(trace_parent);
                }
                Ok(row)
            })
            .collect()
    }
}

/// The trace goes on with a span of its own; without a trace, one begins. W3C Trace Context, version 00.
fn child_trace(parent: Option<&str>, id: Uuid) -> String {
    let bytes = id.as_bytes();
    let span = u64::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]]);
    match parent.filter(|text| is_trace_parent(text)) {
        Some(parent) => format!("{}{span:016x}{}", &parent[..36], &parent[52..55]),
        None => format!("00-{}-{span:016x}-01", id.simple()),
    }
}

/// `00-<32 hex>-<16 hex>-<2 hex>`.
pub(crate) fn is_trace_parent(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 55
        && text.starts_with("00-")
        && bytes[35] == b'-'
        && bytes[52] == b'-'
        && bytes[3..].iter().all(|byte| *byte == b'-' || byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_goes_on_under_a_new_span() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let child = child_trace(Some(parent), Uuid::from_u128(0x0123_4567_89ab_cdef << 64));
        assert_eq!(child, "00-0af7651916cd43dd8448eb211c80319c-0123456789abcdef-01");
        assert!(is_trace_parent(&child));
    }

    #[test]
    fn a_malformed_trace_is_replaced_by_a_new_one() {
        let id = Uuid::from_u128(7);
        for bad in ["", "00-xyz", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333é-01"] {
            assert!(child_trace(Some(bad), id).starts_with("00-00000000000000000000000000000007-"), "{bad}");
        }
    }
}
