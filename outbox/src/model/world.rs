//! What happens to the servers, and what comes late from relays that ended.

use crate::model::state::{Role, Stage, State};
use crate::model::step::{Step, small};
use crate::model::writer;

pub(super) fn list(state: &State, steps: &mut Vec<Step>) {
    for (index, wire) in state.late.iter().enumerate() {
        let flying = wire.iter().enumerate().filter(|(_, messages)| !messages.is_empty());
        steps.extend(flying.map(|(lane, _)| Step::LateAppend { wire: small(index), lane: small(lane) }));
        steps.push(Step::LateLoss { wire: small(index) });
    }
    let left = state.left;
    if left.restores > 0 {
        steps.push(if state.backup.is_none() { Step::SetAside } else { Step::Restore });
    }
    for (lane, log) in state.logs.iter().enumerate() {
        if left.lost_tails > 0 {
            let lengths = log.low..log.records.len();
            steps.extend(lengths.map(|length| Step::LoseTail { lane: small(lane), left: small(length) }));
        }
        if left.retentions > 0 && log.low < log.records.len() {
            steps.push(Step::DeleteOldest { lane: small(lane) });
        }
        if left.truncations > 0 {
            let table = &state.tables[lane];
            let published = table.stored.map_or(0, |stored| stored.sequence);
            let rows = table.rows.iter().filter(|row| row.sequence <= published);
            steps.extend(
                rows.map(|row| Step::Truncate { lane: small(lane), up_to: u8::try_from(row.sequence).unwrap() }),
            );
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "each part is given its own steps only")]
pub(super) fn apply(state: &mut State, step: Step) {
    match step {
        Step::LateAppend { wire, lane } => {
            let (wire, lane) = (usize::from(wire), usize::from(lane));
            let message = state.late[wire][lane].remove(0);
            state.logs[lane].records.push(message);
            if state.late[wire].iter().all(Vec::is_empty) {
                state.late.remove(wire);
            }
        }
        Step::LateLoss { wire } => {
            state.late.remove(usize::from(wire));
        }
        Step::SetAside => state.backup = Some(state.tables.clone()),
        Step::Restore => restore(state),
        Step::LoseTail { lane, left } => {
            state.left.lost_tails -= 1;
            state.logs[usize::from(lane)].records.truncate(usize::from(left));
            state.unread_loss = true;
            state.may_double = true;
        }
        Step::Truncate { lane, up_to } => {
            state.left.truncations -= 1;
            let (table, up_to) = (&mut state.tables[usize::from(lane)], i64::from(up_to));
            table.rows.retain(|row| row.sequence > up_to);
            table.floor = table.floor.max(up_to);
            table.pruned = table.pruned.max(up_to);
        }
        Step::DeleteOldest { lane } => {
            state.left.retentions -= 1;
            state.logs[usize::from(lane)].low += 1;
        }
        other => unreachable!("{other:?} is no step of the servers"),
    }
}

/// The database comes back as it was when it was set aside. All sessions end; who has been told of a commit was told.
fn restore(state: &mut State) {
    state.left.restores -= 1;
    if let Some(backup) = state.backup.take() {
        state.tables = backup;
    }
    state.leader = None;
    state.unread_restore = true;
    state.may_double = true;
    for relay in &mut state.relays {
        relay.session = matches!(relay.role, Role::Standby);
    }
    for writer in 0..state.writers.len() {
        if state.writers[writer].stage != Stage::Idle {
            writer::session_ends(state, writer, false);
        }
    }
}
