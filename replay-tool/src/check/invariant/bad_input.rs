//! Whatever a service has taken has left a trace: an effect, a refusal, or a dead letter with its bytes untouched.
//!
//! And the other way round: no order, receipt, refusal or dead letter without the record that it answers. Where the end of
//! a topic is missing, that is told elsewhere, and nothing follows from what is not in it.

mod commands;
mod letters;
mod replies;
mod requests;
mod unreadable;

use crate::check::evidence::Evidence;
use crate::check::findings::Findings;
use crate::check::state::State;
use letters::LetterIndex;

pub(crate) fn check(evidence: &Evidence, state: &State<'_>, findings: &mut Findings) {
    let letters = LetterIndex::of(evidence, findings);
    letters.check(evidence, findings);
    commands::check(evidence, &letters, findings);
    requests::check(evidence, state, findings);
    replies::check(evidence, state, findings);
    unreadable::check(evidence, &letters, findings);
}

/// Where a record stands, in words.
fn place(topic: schemas::TopicName, partition: i32, offset: i64) -> String {
    format!("{topic}[{partition}]@{offset}")
}
