//! Consumers: what [`judge`] makes of a log, with a store that commits effect, cursor and offset together.
//!
//! A gap makes a consumer read the log again from its start, in case the log was cut and written anew behind its back.
//! If that does not help it passes over the record, which will come again after what is missing. In logs that only
//! grow, what it takes does not depend on when it reads, so then it is enough to let it read at the end.

use crate::inbox::{Cursor, Delivery, LogStart, judge_planted};
use crate::model::bounds::Variant;
use crate::model::state::{Consumer, Log, Message, State, Taken};
use crate::model::step::{Step, small};
use crate::position::Position;

/// Judges a record.
fn judged(cursor: Option<Cursor>, record: &Message, low: usize, variant: Variant) -> Delivery {
    let Message { epoch, first, sequence, .. } = *record;
    let position = Position { source: String::new(), epoch, first, sequence };
    let start = if low == 0 { LogStart::AtZero } else { LogStart::Later };
    judge_planted(variant.bug, cursor, &position, start)
}

/// What a consumer that has never read before takes of a log.
pub(super) fn follow(log: &Log, variant: Variant) -> Vec<Taken> {
    let mut taken = Vec::new();
    let mut cursor = None;
    for record in log.records.iter().skip(log.low) {
        if judged(cursor, record, log.low, variant) == Delivery::Next {
            let Message { epoch, sequence, id, .. } = *record;
            cursor = Some(Cursor { epoch, sequence });
            taken.push(Taken { epoch, sequence, id });
        }
    }
    taken
}

pub(super) fn list(state: &State, steps: &mut Vec<Step>) {
    for (lane, consumer) in state.consumers.iter().enumerate() {
        let log = &state.logs[lane];
        let offset = consumer.working.as_ref().unwrap_or(&consumer.committed).offset;
        if offset != log.records.len() {
            steps.push(Step::Take { lane: small(lane) });
        }
        if consumer.working.is_some() {
            steps.push(Step::CommitTaken { lane: small(lane) });
        }
    }
    if state.left.consumer_crashes > 0 && state.consumers.iter().any(|consumer| consumer.working.is_some()) {
        steps.push(Step::ConsumerDies);
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "each part is given its own steps only")]
pub(super) fn apply(state: &mut State, step: Step, variant: Variant) {
    match step {
        Step::Take { lane } => {
            let lane = usize::from(lane);
            take(&mut state.consumers[lane], &state.logs[lane], variant);
        }
        Step::CommitTaken { lane } => {
            let consumer = &mut state.consumers[usize::from(lane)];
            if let Some(working) = consumer.working.take() {
                consumer.committed = working;
            }
        }
        Step::ConsumerDies => {
            state.left.consumer_crashes -= 1;
            for consumer in &mut state.consumers {
                consumer.working = None;
                consumer.read_again_to = None;
            }
        }
        other => unreachable!("{other:?} is no step of a consumer"),
    }
}

fn take(consumer: &mut Consumer, log: &Log, variant: Variant) {
    let mut progress = consumer.working.take().unwrap_or_else(|| consumer.committed.clone());
    // The log was cut, at its end or at its beginning: its records are judged again, or from further on.
    if progress.offset > log.records.len() || progress.offset < log.low {
        progress.offset = log.low;
    }
    let Some(record) = log.records.get(progress.offset) else {
        consumer.committed = progress;
        return;
    };
    match judged(progress.cursor, record, log.low, variant) {
        Delivery::Next => {
            let Message { epoch, sequence, id, .. } = *record;
            progress.cursor = Some(Cursor { epoch, sequence });
            progress.taken.push(Taken { epoch, sequence, id });
            progress.offset += 1;
            consumer.read_again_to = None;
        }
        Delivery::Duplicate | Delivery::Stale => progress.offset += 1,
        Delivery::Gap { .. } | Delivery::EpochNotAtFirst { .. } => {
            let again = Some(progress.offset);
            // What was taken before the gap is not lost by reading again: the cursor stays.
            progress.offset = if consumer.read_again_to == again { progress.offset + 1 } else { log.low };
            consumer.read_again_to = again;
        }
    }
    consumer.working = Some(progress);
}
