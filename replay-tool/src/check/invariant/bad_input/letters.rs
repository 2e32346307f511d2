//! Records that had to be put aside, against the dead letters.

use std::collections::{HashMap, HashSet};

use outbox::inbox::place::Place;
use schemas::{TopicName, message_id};

use super::place;
use crate::check::evidence::Evidence;
use crate::check::findings::{Findings, Invariant};
use crate::check::scan::{Broken, Letter};
use crate::log::{Channel, DROPPED, Span};

/// The cause under which a service passes over a run of records that its client library cannot read.
const UNREADABLE: &str = "unreadable";

/// Dead letters by the record that they were.
pub(super) struct LetterIndex<'e> {
    letters: HashMap<(TopicName, Place), &'e Letter>,
}

impl<'e> LetterIndex<'e> {
    pub(super) fn of(evidence: &'e Evidence, findings: &mut Findings) -> Self {
        let mut letters = HashMap::new();
        for (topic, letter) in &evidence.topics.letters {
            let subject = format!("{}[{}]@{}", topic.dead_letter(), letter.partition, letter.offset);
            let mut add = |detail: &str| findings.add(Invariant::BadInput, subject.as_str(), detail);
            let (Some((name, partition, _)), Some(lay)) = (&letter.original, letter.place) else {
                add("its headers do not say which record it was");
                continue;
            };
            let is_from_here = name.strip_prefix(evidence.prefix.as_str()) == Some(topic.as_str());
            let reader = topic.read_by();
            // A restore into another number of partitions moves both, and the headers tell where the record first lay.
            let is_moved = reader.is_some_and(|it| evidence.cuts[it].inbox.has_moved(name));
            if !is_from_here || (*partition != letter.partition && !is_moved) {
                add("it is not of this topic and partition");
                continue;
            }
            let expected = reader.map(|it| message_id::of_input(it, topic.as_str(), lay.partition, lay.offset, 0));
            if letter.id != expected {
                add("its id is not the one that follows from the record that it was");
            }
            if letters.insert((*topic, lay), letter).is_some() {
                add("the record was put aside before");
            }
        }
        LetterIndex { letters }
    }

    /// The dead letter of a record that could be read and yet was put aside.
    pub(super) fn find(&self, topic: TopicName, place: Place) -> Option<&'e Letter> {
        self.letters.get(&(topic, place)).copied()
    }

    /// The runs of a partition that letters stand for, ascending.
    pub(super) fn unreadable(&self, topic: TopicName, partition: i32) -> Vec<Span> {
        let here = self.letters.iter().filter(|((of, _), letter)| *of == topic && letter.cause == UNREADABLE);
        let spans = here.filter_map(|(_, letter)| {
            let (_, number, first) = letter.original.as_ref()?;
            (*number == partition).then_some((*first, letter.last.unwrap_or(*first)))
        });
        let mut spans: Vec<Span> = spans.collect();
        spans.sort_unstable();
        spans
    }

    pub(super) fn check(&self, evidence: &Evidence, findings: &mut Findings) {
        let mut answered: HashSet<(TopicName, Place)> = HashSet::new();
        let topics = &evidence.topics;
        for broken in &topics.broken {
            let at = (broken.topic, broken.place);
            // A service that was restored may have set it aside before, and take it once more.
            answered.insert(at);
            if broken.is_taken
                && let Some(detail) = self.mistake(broken, at, topics.are_letters_whole(broken.topic))
            {
                findings.add(Invariant::BadInput, place(broken.topic, broken.partition, broken.offset), detail);
            }
        }
        let readable = &topics.commands;
        answered.extend(readable.iter().map(|taken| (taken.topic, taken.place)));
        let is_unreadable = |topic: TopicName, partition: i32, offset: i64| {
            evidence.unreadable.iter().any(|(channel, run)| {
                *channel == Channel::Messages(topic)
                    && run.partition == partition
                    && (run.first..=run.last).contains(&offset)
            })
        };
        for (at, letter) in self.letters.iter().filter(|(at, _)| !answered.contains(*at) && topics.has_all_taken(at.0))
        {
            let Some((_, partition, offset)) = &letter.original else { continue };
            // No list of commands has what a service said.
            if letter.cause == DROPPED && at.0.written_by().is_some() {
                continue;
            }
            if !is_unreadable(at.0, *partition, *offset) {
                let detail = "there is a dead letter of it, but no such record was taken";
                findings.add(Invariant::BadInput, place(at.0, *partition, *offset), detail);
            }
        }
    }

    fn mistake(&self, broken: &Broken, at: (TopicName, Place), are_letters_whole: bool) -> Option<String> {
        let reason = &broken.reason;
        let Some(letter) = self.letters.get(&at) else {
            return are_letters_whole
                .then(|| format!("taken without a trace: there is no dead letter of it, and {reason}"));
        };
        if letter.cause.is_empty() {
            return Some("its dead letter does not say why".to_owned());
        }
        broken.difference(letter).map(|what| format!("its dead letter has another {what}"))
    }
}
