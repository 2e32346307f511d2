//! What must hold: in every state, and wherever everything has come to rest.
//!
//! A state of rest is one in which nothing more happens but by a fault. Every fair course without further faults ends
//! in one, because each step uses something up; so what holds in all of them holds after every fair course.

use crate::model::bounds::{Bounds, Following, Variant};
use crate::model::consumer;
use crate::model::state::{Role, Stage, State, Table, Taken};

/// What is wrong with a state that may go on.
pub(super) fn always(state: &State) -> Option<String> {
    if state.refused {
        return Some("an append is refused because its sequence is taken".to_owned());
    }
    for relay in &state.relays {
        if let Role::Leading { lanes, .. } = &relay.role
            && lanes.iter().any(|lane| lane.held)
        {
            return Some("a lane is held: the table lacks a sequence".to_owned());
        }
    }
    for log in &state.logs {
        for (offset, record) in log.records.iter().enumerate().skip(log.low) {
            if state.committed & (1 << record.id) == 0 {
                return Some(format!("phantom: message {} is in the topic and was never committed", record.id));
            }
            let twice = log.records[log.low..offset]
                .iter()
                .any(|other| (other.epoch, other.sequence) == (record.epoch, record.sequence));
            if twice && !state.may_double {
                return Some(format!("doubled: sequence {} is in the topic twice without a zombie", record.sequence));
            }
        }
    }
    None
}

/// What is wrong with a state in which everything has come to rest.
pub(super) fn at_rest(state: &State, bounds: &Bounds, variant: Variant) -> Option<String> {
    for (index, writer) in state.writers.iter().enumerate() {
        if writer.stage != Stage::Idle {
            return Some(format!("writer {index} waits for ever"));
        }
    }
    (0..bounds.lanes).find_map(|lane| {
        let table = &state.tables[lane];
        let taken = match bounds.following {
            Following::Stepwise => state.consumers[lane].committed.taken.clone(),
            Following::Whole | Following::Late => consumer::follow(&state.logs[lane], variant),
        };
        out_of_order(&taken).or_else(|| match bounds.following {
            Following::Whole | Following::Stepwise => differs(table, &taken),
            Following::Late => late_differs(state, lane, &taken),
        })
    })
}

/// Whether a later epoch has voided what was taken.
fn counts(table: &Table, taken: &Taken) -> bool {
    !table.epochs.is_void(taken.sequence) && table.epochs.of(taken.sequence).0 == taken.epoch
}

fn out_of_order(taken: &[Taken]) -> Option<String> {
    let wrong = taken.windows(2).find(|pair| (pair[1].epoch, pair[1].sequence) <= (pair[0].epoch, pair[0].sequence))?;
    if wrong[1].epoch < wrong[0].epoch {
        return Some(format!(
            "stale: sequence {} of epoch {} is taken after epoch {} began",
            wrong[1].sequence, wrong[1].epoch, wrong[0].epoch
        ));
    }
    Some(format!("doubled: sequence {} is taken after sequence {}", wrong[1].sequence, wrong[0].sequence))
}

/// Compares what counts of what was taken with what was committed, in order.
fn differs(table: &Table, taken: &[Taken]) -> Option<String> {
    let effective: Vec<u8> = taken.iter().filter(|one| counts(table, one)).map(|one| one.id).collect();
    if effective == table.ledger {
        return None;
    }
    let lost = table.ledger.iter().find(|id| !effective.contains(id));
    let phantom = effective.iter().find(|id| !table.ledger.contains(id));
    Some(match (lost, phantom) {
        (Some(lost), _) => {
            format!("lost: message {lost} was committed and is never taken ({effective:?} of {:?})", table.ledger)
        }
        (None, Some(phantom)) => format!("phantom: message {phantom} counts as taken and is not in the database"),
        (None, None) => format!("reordered or doubled: {effective:?} is taken, {:?} was committed", table.ledger),
    })
}

/// For a consumer that comes when the log has lost its beginning: what the rest of the log holds, it must take.
fn late_differs(state: &State, lane: usize, taken: &[Taken]) -> Option<String> {
    let (table, log) = (&state.tables[lane], &state.logs[lane]);
    let void = taken.iter().find(|one| !counts(table, one));
    if let Some(void) = void {
        return Some(format!("phantom: void sequence {} of epoch {} is taken", void.sequence, void.epoch));
    }
    let kept = log.records.iter().skip(log.low);
    let mut kept = kept.map(|record| Taken { epoch: record.epoch, sequence: record.sequence, id: record.id });
    let lost = kept.find(|record| counts(table, record) && !taken.iter().any(|one| one.id == record.id))?;
    Some(format!("lost: message {} is in the log and never taken", lost.id))
}
