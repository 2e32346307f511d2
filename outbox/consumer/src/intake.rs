//! Judges one record: decide, skip, dead letter, or hold.
//!
//! The table of DESIGN "What becomes of bad input" in code. What a stranger sent never blocks; what one of our own services sent
//! is never dropped; what comes behind a parked record of its key is parked too. No I/O; the only state is the feed's gathered
//! position.

use crate::text::is_storable;
use outbox::inbox::place::{Place, RESTORED_FROM_HEADER, Restoration};
use outbox::inbox::{Cursor, Delivery, judge};
use outbox::kafka::record_headers;
use outbox::position::{POSITION_HEADER as HEADER, Position};
use rdkafka::message::{BorrowedMessage, Message as _};

use crate::contract::Contract;
use crate::dead_letter::{DeadCause, DeadLetter};
use crate::emitter::is_trace_parent;
use crate::feed::{Feed, FeedId, Proof, Reread};
use crate::item::{Body, Cause, Item, Progress, Skip, Work};
use crate::lot::Lot;
use crate::planted::{Mishap, Planted};
use crate::service::{BodyOf, IdOf, MessageOf, Service, TopicOf};
use crate::{feeds, witness};

/// The longest `ce_id` that is taken over as a cause, in bytes.
const CAUSE_MAX_BYTES: usize = 256;

/// What becomes of a record.
#[derive(Debug)]
pub(crate) enum Verdict<T, B> {
    /// It is part of the batch.
    Take(Item<T, B>),
    /// It was gathered before (the consumer was set back).
    Ignore,
    /// A sequence is missing before it: read the log again from its start.
    Reread,
    /// It cannot be taken and must not be dropped.
    Hold(String),
}

/// What becomes of a record of a service.
pub(crate) type VerdictOf<S> = Verdict<TopicOf<S>, BodyOf<S>>;

/// The headers that a judgement needs, and the place that they tell.
#[derive(Default)]
struct Envelope<'m> {
    position: Option<&'m [u8]>,
    ce_id: Option<&'m [u8]>,
    ce_type: Option<&'m [u8]>,
    ce_causation_id: Option<&'m [u8]>,
    trace_parent: Option<&'m [u8]>,
    restoration: Restoration,
    place: Place,
}

impl<'m> Envelope<'m> {
    fn of(message: &'m BorrowedMessage<'_>, restoration: Restoration) -> Self {
        let (mut envelope, mut restored_from) = (Envelope { restoration, ..Envelope::default() }, None);
        record_headers::visit(message, |name, value| match name {
            // The last one is the relay's own: a dead letter's original headers stand before it.
            HEADER => envelope.position = value,
            "ce_id" => envelope.ce_id = value,
            "ce_type" => envelope.ce_type = value,
            "ce_causationid" => envelope.ce_causation_id = value,
            "traceparent" => envelope.trace_parent = value,
            RESTORED_FROM_HEADER => restored_from = value,
            _ => {}
        });
        envelope.place = restoration.place(message.partition(), message.offset(), || restored_from);
        envelope
    }

    /// What is stored beside what follows; a header that cannot be is not taken over, and the message counts all the same.
    fn cause(&self) -> Cause {
        cause_of(self.ce_id, self.ce_causation_id, self.trace_parent)
    }
}

/// The cause that a kept record's headers tell.
pub(crate) fn cause_in(headers: &[(String, Option<Vec<u8>>)]) -> Cause {
    // The last one counts, as in a record that is judged.
    let value = |name| {
        let last = headers.iter().rfind(|(found, _)| found == name);
        last.and_then(|(_, value)| value.as_deref())
    };
    cause_of(value("ce_id"), value("ce_causationid"), value("traceparent"))
}

fn cause_of(ce_id: Option<&[u8]>, ce_causation_id: Option<&[u8]>, trace_parent: Option<&[u8]>) -> Cause {
    let text = |bytes: Option<&[u8]>| {
        let text = bytes.and_then(|bytes| std::str::from_utf8(bytes).ok());
        text.filter(|text| is_storable(text)).map(str::to_owned)
    };
    let id = |bytes| text(bytes).filter(|id| id.len() <= CAUSE_MAX_BYTES);
    Cause {
        id: id(ce_id),
        caused_by: id(ce_causation_id),
        trace_parent: text(trace_parent).filter(|trace| is_trace_parent(trace)),
    }
}

/// Judge a record of this feed.
pub(crate) fn judge_record<S: Service>(
    contract: &S::Contract,
    id: IdOf<S>,
    feed: &mut Feed,
    lot: &Lot<TopicOf<S>>,
    message: &BorrowedMessage<'_>,
    planted: Planted,
) -> VerdictOf<S> {
    let offset = message.offset();
    if let Some(proof) = feed.proof {
        return prove::<S>(id, feed, proof, message);
    }
    if feed.rereading.is_none() && offset < feed.gathered_offset {
        return Verdict::Ignore;
    }
    let envelope = Envelope::of(message, feed.restoration);
    let mut verdict = match S::Contract::written_by(id.topic) {
        None => foreign::<S>(contract, id, message, &envelope),
        Some(writer) => match envelope.position.map(Position::parse) {
            Some(Ok(position)) if position.source == writer => {
                own::<S>(contract, id, feed, message, &envelope, &position)
            }
            // A log that is read again: what lies before the resume offset was set aside then.
            Some(Ok(_) | Err(_)) | None if offset < feed.next_offset => Verdict::Take(Item {
                feed: id,
                progress: Some(Progress { offset, place: envelope.place, cursor: None }),
                work: Work::Skip(Skip::Duplicate),
                raw: None,
                slot: None,
                cause: Cause::default(),
            }),
            Some(Ok(_) | Err(_)) | None => {
                let detail = format!("no {HEADER} header of {writer}, the only writer of this topic");
                dead::<S>(id, message, &envelope, DeadCause::Unpositioned, detail)
            }
        },
    };
    if let Verdict::Take(item) = &mut verdict {
        let is_parked = lot.holds(id.partition, message.key()) && !planted.suffers(Mishap::ParkedOvertaken);
        if matches!(item.work, Work::Decide { .. }) && (is_parked || feed.suspect == Some(offset)) {
            let raw_of = || Box::new(raw(id, message, &envelope, DeadCause::Refused, String::new()));
            item.raw.get_or_insert_with(raw_of);
            if is_parked {
                item.work = Work::Park(None);
            }
        }
        feed.gathered_offset = feed.gathered_offset.max(offset + 1);
        if let Some(cursor) = item.progress.and_then(|progress| progress.cursor) {
            feed.gathered = Some(cursor);
        }
        if feed.rereading.is_some_and(|reread| offset >= reread.until) {
            feed.rereading = None;
        }
    }
    verdict
}

/// The first record of a feed that has to show that its log is the one that was read before. It was taken then.
fn prove<S: Service>(id: IdOf<S>, feed: &mut Feed, proof: Proof, message: &BorrowedMessage<'_>) -> VerdictOf<S> {
    match feed.prove(proof, message.offset(), witness::digest(message)) {
        Ok(()) => Verdict::Ignore,
        Err(other) => Verdict::Hold(feeds::words_of::<S::Contract>(id, &other)),
    }
}

/// A record on a topic that anyone writes.
fn foreign<S: Service>(
    contract: &S::Contract,
    id: IdOf<S>,
    message: &BorrowedMessage<'_>,
    envelope: &Envelope<'_>,
) -> VerdictOf<S> {
    let Some(key) = message.key().filter(|key| !key.is_empty()) else {
        return dead::<S>(id, message, envelope, DeadCause::Key, "the record has no key".into());
    };
    let Some(payload) = message.payload() else {
        return dead::<S>(id, message, envelope, DeadCause::Undecodable, "the record has no value".into());
    };
    match contract.decode(id.topic, payload) {
        Err(error) => dead::<S>(id, message, envelope, DeadCause::Undecodable, error),
        Ok(decoded) if S::Contract::key(&decoded).as_bytes() != key => {
            let detail = format!("the key differs from the id in the body, {:?}", S::Contract::key(&decoded));
            dead::<S>(id, message, envelope, DeadCause::Key, detail)
        }
        Ok(decoded) => Verdict::Take(Item {
            feed: id,
            progress: Some(Progress { offset: message.offset(), place: envelope.place, cursor: None }),
            work: narrowed::<S>(decoded),
            raw: Some(Box::new(raw(id, message, envelope, DeadCause::Refused, String::new()))),
            slot: None,
            cause: envelope.cause(),
        }),
    }
}

/// A record with the position of the topic's own writer.
fn own<S: Service>(
    contract: &S::Contract,
    id: IdOf<S>,
    feed: &Feed,
    message: &BorrowedMessage<'_>,
    envelope: &Envelope<'_>,
    position: &Position,
) -> VerdictOf<S> {
    let offset = message.offset();
    let take = |work, cursor| {
        let progress = Some(Progress { offset, place: envelope.place, cursor });
        Verdict::Take(Item { feed: id, progress, work, raw: None, slot: None, cause: envelope.cause() })
    };
    match judge(feed.gathered, position, feed.log_start) {
        Delivery::Next => {}
        Delivery::Duplicate => return take(Work::Skip(Skip::Duplicate), None),
        Delivery::Stale => return take(Work::Skip(Skip::Stale), None),
        missing @ (Delivery::Gap { .. } | Delivery::EpochNotAtFirst { .. }) => {
            return match feed.rereading {
                None => Verdict::Reread,
                Some(Reread { until }) if offset < until => take(Work::Skip(Skip::Duplicate), None),
                Some(_) => {
                    Verdict::Hold(format!("the record at offset {offset} says {position}, but {}", missing_of(missing)))
                }
            };
        }
    }
    let cursor = Some(Cursor { epoch: position.epoch, sequence: position.sequence });
    let named = envelope.ce_type.and_then(|name| std::str::from_utf8(name).ok());
    let payload = message.payload().unwrap_or_default();
    if named.or_else(|| contract.type_in(payload)).is_some_and(|name| !S::Contract::belongs(name, S::INPUTS)) {
        return take(Work::Skip(Skip::Unhandled), cursor);
    }
    match contract.decode(id.topic, payload) {
        Ok(decoded) if message.key() == Some(S::Contract::key(&decoded).as_bytes()) => {
            take(narrowed::<S>(decoded), cursor)
        }
        Ok(decoded) => Verdict::Hold(format!(
            "the record at offset {offset} has another key than {:?}",
            S::Contract::key(&decoded)
        )),
        Err(error) => {
            Verdict::Hold(format!("the record at offset {offset} of {} cannot be read: {error}", position.source))
        }
    }
}

/// What the service makes of a message.
pub(crate) fn narrowed<S: Service>(message: MessageOf<S>) -> Work<TopicOf<S>, BodyOf<S>> {
    let name = S::Contract::name(&message);
    match S::narrow(message) {
        Some(input) => Work::Decide { name, body: Body::Message(input) },
        None => Work::Skip(Skip::Unhandled),
    }
}

/// What should have come instead.
fn missing_of(delivery: Delivery) -> String {
    match delivery {
        Delivery::Gap { expected } => format!("sequence {expected} never came"),
        Delivery::EpochNotAtFirst { first } => format!("its epoch's first sequence, {first}, never came"),
        Delivery::Next | Delivery::Duplicate | Delivery::Stale => String::new(),
    }
}

fn dead<S: Service>(
    id: IdOf<S>,
    message: &BorrowedMessage<'_>,
    envelope: &Envelope<'_>,
    cause: DeadCause,
    detail: String,
) -> VerdictOf<S> {
    Verdict::Take(Item {
        feed: id,
        progress: Some(Progress { offset: message.offset(), place: envelope.place, cursor: None }),
        work: Work::DeadLetter(Box::new(raw(id, message, envelope, cause, detail))),
        raw: None,
        slot: None,
        cause: envelope.cause(),
    })
}

/// The record's bytes, to be kept.
fn raw<T>(
    id: FeedId<T>,
    message: &BorrowedMessage<'_>,
    envelope: &Envelope<'_>,
    cause: DeadCause,
    detail: String,
) -> DeadLetter<T> {
    let mut headers = Vec::new();
    let headers_left_out = record_headers::visit(message, |name, value| {
        headers.push((name.to_owned(), value.map(<[u8]>::to_vec)));
    });
    envelope.restoration.strip(message.offset(), &mut headers);
    DeadLetter {
        topic: id.topic,
        partition: id.partition,
        offset: message.offset(),
        place: envelope.place,
        timestamp: message.timestamp(),
        key: message.key().map(<[u8]>::to_vec),
        payload: message.payload().map(<[u8]>::to_vec),
        headers,
        headers_left_out,
        is_reduced: false,
        cause,
        detail: crate::text::detail(&detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_text_that_can_be_stored_is_a_cause() {
        let cause = |ce_id: &[u8]| Envelope { ce_id: Some(ce_id), ..Envelope::default() }.cause().id;
        assert_eq!(cause(b"order 7").as_deref(), Some("order 7"));
        for bad in [&b"ab\0cd"[..], b"\0", b"\xff", &[b'x'; CAUSE_MAX_BYTES + 1]] {
            assert_eq!(cause(bad), None, "{bad:?}");
        }
    }
}
