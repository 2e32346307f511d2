//! Whether a letter may be published again, and as what. Pure.

use schemas::{Codec, ServiceName, TopicName};

use super::edited::Edited;
use super::note::{Action, Note};
use super::shelf::{Filed, State};

/// What the operator allows beyond the ordinary.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowances {
    /// Also what was redriven or discarded before.
    pub(crate) again: bool,
    /// Also what the service would only set aside again.
    pub(crate) unreadable: bool,
    /// How often a message may be redriven, whatever letters lie between.
    pub(crate) max_redrives: u32,
}

/// What is to be done with a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// It may be published.
    Publish {
        /// Which time this letter is redriven, from 1.
        attempt: u32,
        /// How often the message was redriven then.
        count: u32,
        /// A redrive that began and of which nobody knows how it ended.
        begun: Option<Note>,
    },
    /// Something was done about it before; in words.
    Settled(String),
    /// It must not, for this reason.
    Refused(String),
}

/// Judge a letter; `edited` is what would be published in place of it.
pub(crate) fn rule(filed: &Filed, edited: Option<&Edited>, allowed: Allowances, codec: &Codec) -> Ruling {
    let letter = &filed.letter;
    let refused = |words: String| Ruling::Refused(words);
    if let Some(words) = not_for_operators(letter.topic) {
        return refused(words);
    }
    let last = filed.notes.last();
    if let (true, false, Some(note)) = (filed.state().is_handled(), allowed.again, last) {
        let (what, by, at) = (note.action.as_str(), &note.by, note.at);
        return Ruling::Settled(format!("it was {what} by {by} at {at:.3}; --again redrives it all the same"));
    }
    if edited.is_none() {
        if let Some((bytes, _)) = &letter.left_out {
            return refused(format!("its body of {bytes} bytes was not kept; give one with --edited"));
        }
        if let (Some(fault), false) = (letter.fault(codec), allowed.unreadable) {
            return refused(format!(
                "it would be set aside again: {fault}; correct it with --edited, or insist with --unreadable"
            ));
        }
    }
    let attempt = filed.times_redriven() + 1;
    let count = letter.redrives().saturating_add(attempt);
    if count > allowed.max_redrives {
        let (had, most) = (count - 1, allowed.max_redrives);
        return refused(format!("it was redriven {had} times already; --max-redrives allows {most}"));
    }
    let begun = last.filter(|note| filed.state() == State::Begun && note.action == Action::RedriveBegun);
    Ruling::Publish { attempt, count, begun: begun.cloned() }
}

/// Why nobody but its service may publish to a topic; none where anyone may.
fn not_for_operators(topic: TopicName) -> Option<String> {
    let writer = topic.written_by()?;
    let instead = match topic {
        TopicName::InventoryCommands | TopicName::PaymentCommands => {
            "the order service sends what an order needs by itself; if an order waits, trace it"
        }
        TopicName::OrderEvents
        | TopicName::InventoryEvents
        | TopicName::StockEvents
        | TopicName::PaymentEvents
        | TopicName::OrderCommands
        | TopicName::StockCommands => "an event that its service has not decided would contradict its tables",
    };
    Some(format!(
        "only the {writer} service writes {topic}, and this record was not from its outbox: {instead}; find out who sent \
         it, and discard it",
        writer = ServiceName::as_str(writer),
    ))
}
