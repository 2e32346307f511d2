//! Whether a letter may be published again, and as what. Pure.

use schemas::{Codec, ServiceName};

use super::edited::Edited;
use super::letter::DeadLetter;
use super::shelf::{Filed, State};
use crate::log::{Action, Note};

/// How often a message may be redriven unless an operator allows more.
pub const MAX_REDRIVES: u32 = 3;

/// What the operator allows beyond the ordinary.
#[derive(Debug, Clone, Copy)]
pub struct Allowances {
    /// Also what was redriven or discarded before.
    pub again: bool,
    /// Also what the service would only set aside again.
    pub unreadable: bool,
    /// How often a message may be redriven, whatever letters lie between.
    pub max_redrives: u32,
}

/// What is to be done with a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ruling {
    /// It may be published.
    Publish(Redrive),
    /// This was done about it before.
    Settled(Box<Note>),
    /// It must not.
    Refused(Objection),
}

/// A letter's way back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redrive {
    /// Which time this letter is redriven, from 1.
    pub attempt: u32,
    /// How often the message was redriven then.
    pub count: u32,
    /// A redrive that began and of which nobody knows how it ended.
    pub begun: Option<Note>,
}

/// Why a letter must not be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Objection {
    /// Only this service writes its topic.
    NotForOperators {
        /// The service.
        writer: ServiceName,
    },
    /// Its body, of so many bytes, was not kept.
    NotKept {
        /// How many, in words.
        bytes: String,
    },
    /// The service would set it aside again.
    WouldComeBack {
        /// Why.
        fault: String,
    },
    /// It was redriven so often already.
    TooOften {
        /// How often.
        had: u32,
        /// How often it may be.
        most: u32,
    },
}

/// Judge a letter; `edited` is what would be published in place of it.
pub(crate) fn rule(filed: &Filed, edited: Option<&Edited>, allowed: Allowances, codec: &Codec) -> Ruling {
    let letter = &filed.letter;
    if let Some(writer) = letter.topic.written_by() {
        return Ruling::Refused(Objection::NotForOperators { writer });
    }
    let last = filed.notes.last();
    if let (true, false, Some(note)) = (filed.state().is_handled(), allowed.again, last) {
        return Ruling::Settled(Box::new(note.clone()));
    }
    if edited.is_none() {
        if let Some((bytes, _)) = &letter.left_out {
            return Ruling::Refused(Objection::NotKept { bytes: bytes.clone() });
        }
        if let (Some(fault), false) = (letter.fault(codec), allowed.unreadable) {
            return Ruling::Refused(Objection::WouldComeBack { fault });
        }
    }
    let attempt = filed.times_redriven() + 1;
    let count = letter.redrives().saturating_add(attempt);
    if count > allowed.max_redrives {
        return Ruling::Refused(Objection::TooOften { had: count - 1, most: allowed.max_redrives });
    }
    let begun = last.filter(|note| filed.state() == State::Begun && note.action == Action::RedriveBegun);
    Ruling::Publish(Redrive { attempt, count, begun: begun.cloned() })
}

/// What was done before, for whoever has the command line's flags.
pub(crate) fn settled_in_words(note: &Note) -> String {
    let (what, by, at) = (note.action.as_str(), &note.by, note.at);
    format!("it was {what} by {by} at {at:.3}; --again redrives it all the same")
}

impl Objection {
    /// For whoever has the command line's flags.
    pub(crate) fn in_words(&self, letter: &DeadLetter) -> String {
        match self {
            Objection::NotForOperators { writer } => not_for_operators(letter, *writer),
            Objection::NotKept { bytes } => format!("its body of {bytes} bytes was not kept; give one with --edited"),
            Objection::WouldComeBack { fault } => {
                format!("it would be set aside again: {fault}; correct it with --edited, or insist with --unreadable")
            }
            Objection::TooOften { had, most } => {
                format!("it was redriven {had} times already; --max-redrives allows {most}")
            }
        }
    }
}

/// Why nobody but its service may publish to a topic, and what to do instead.
fn not_for_operators(letter: &DeadLetter, writer: ServiceName) -> String {
    let topic = letter.topic;
    let harm = match topic.carries_commands() {
        true => "a request that no order has made",
        false => "an event that is not in the service's tables",
    };
    format!(
        "only the {writer} service writes {topic}, and this record is not from its outbox: published again it would be \
         {harm}. Instead: see with `dead-letters show` who sent it and stop that; if an order waits, `trace` it, and let \
         `outbox-relay audit --repair` publish what the {writer} service has said and the topic lacks; then settle this \
         with `dead-letters discard {spot} --reason …`",
        spot = letter.spot,
    )
}

#[cfg(test)]
mod tests {
    use schemas::{CancelOrder, CommandId, OrderId, TopicName};

    use super::*;
    use crate::log::Written;

    const STRICT: Allowances = Allowances { again: false, unreadable: false, max_redrives: 3 };

    fn cancel() -> Written {
        let (order_id, command_id) = (OrderId::new("o").unwrap(), CommandId::new("c").unwrap());
        Written::of(5, CancelOrder { order_id, command_id, reason_code: None, by: None, note: None })
    }

    fn filed(topic: TopicName, written: &Written, actions: &[Action]) -> Filed {
        let note = |action: &Action| Note {
            action: *action,
            letter_offset: 5,
            by: "me".to_owned(),
            at: jiff::Timestamp::UNIX_EPOCH,
            reason: None,
            attempt: 1,
            is_edited: false,
            to_partition: Some(0),
            to_offset: Some(1),
        };
        let letter = DeadLetter::of(topic, &written.record());
        Filed { letter, notes: actions.iter().map(note).collect() }
    }

    fn ruling(written: &Written, actions: &[Action], allowed: Allowances) -> Ruling {
        rule(&filed(TopicName::OrderCommands, written, actions), None, allowed, &Codec::embedded())
    }

    fn published(ruling: Ruling) -> (u32, u32, bool) {
        match &ruling {
            Ruling::Publish(Redrive { attempt, count, begun }) => (*attempt, *count, begun.is_some()),
            Ruling::Settled(_) | Ruling::Refused(_) => panic!("{ruling:?}"),
        }
    }

    #[test]
    fn what_can_be_taken_is_published_and_what_was_begun_is_ended() {
        assert_eq!(published(ruling(&cancel(), &[], STRICT)), (1, 1, false));
        assert_eq!(published(ruling(&cancel(), &[Action::RedriveBegun], STRICT)), (1, 1, true));
    }

    #[test]
    fn what_was_handled_needs_again_and_counts() {
        let done = [Action::RedriveBegun, Action::Redriven];
        assert!(matches!(ruling(&cancel(), &done, STRICT), Ruling::Settled(_)));
        assert!(matches!(ruling(&cancel(), &[Action::Discarded], STRICT), Ruling::Settled(_)));
        let again = Allowances { again: true, ..STRICT };
        assert_eq!(published(ruling(&cancel(), &done, again)), (2, 2, false));
    }

    #[test]
    fn a_message_does_not_go_round_for_ever() {
        let twice = cancel().with("redrive-count", "2");
        assert_eq!(published(ruling(&twice, &[], STRICT)), (1, 3, false));
        for count in ["3", "4294967295"] {
            let round = cancel().with("redrive-count", count);
            assert!(matches!(ruling(&round, &[], STRICT), Ruling::Refused(Objection::TooOften { most: 3, .. })));
        }
    }

    #[test]
    fn what_would_come_back_is_refused_unless_somebody_insists() {
        let garbage = Written { payload: Some(b"garbage".to_vec()), ..cancel() };
        assert!(matches!(ruling(&garbage, &[], STRICT), Ruling::Refused(Objection::WouldComeBack { .. })));
        let insisting = Allowances { unreadable: true, ..STRICT };
        assert_eq!(published(ruling(&garbage, &[], insisting)), (1, 1, false));
    }

    #[test]
    fn nobody_speaks_for_a_service() {
        let letter = filed(TopicName::PaymentEvents, &cancel(), &[]);
        let all = Allowances { again: true, unreadable: true, max_redrives: 9 };
        let Ruling::Refused(objection) = rule(&letter, None, all, &Codec::embedded()) else { panic!("it may") };
        let words = objection.in_words(&letter.letter);
        assert!(words.contains("only the payment service"), "{words}");
        assert!(words.contains("`dead-letters discard payment.events.v1-dlt[0]@5 "), "{words}");
    }
}
