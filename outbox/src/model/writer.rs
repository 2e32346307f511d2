//! Writers under Postgres' rules.
//!
//! READ COMMITTED: a statement sees what was committed when it began. Waiting for a lock comes after that, so what is
//! read in the statement that locks may be old. A commit is visible before its locks are released. A key that another
//! open transaction has inserted makes an insert wait; a committed one makes it fail.

use crate::model::bounds::{Bounds, Mutant, Variant};
use crate::model::state::{Row, Stage, State};
use crate::model::step::{Step, small};
use crate::planted::PlantedBug;

/// The lanes of a transaction's messages.
fn messages<'b>(state: &State, writer: usize, bounds: &'b Bounds) -> &'b [usize] {
    bounds.transaction(writer, state.writers[writer].at).unwrap_or(&[])
}

/// The lanes that a transaction writes to, ascending, each once.
fn lanes(state: &State, writer: usize, bounds: &Bounds) -> Vec<usize> {
    let mut lanes = messages(state, writer, bounds).to_vec();
    lanes.sort_unstable();
    lanes.dedup();
    lanes
}

/// The rows of a transaction that has read its heads: lane and row.
fn rows(state: &State, writer: usize, bounds: &Bounds) -> Vec<(usize, Row)> {
    let this = &state.writers[writer];
    let lanes = lanes(state, writer, bounds);
    let mut used = this.heads.clone();
    let numbered = messages(state, writer, bounds).iter().zip(bounds.first_message(writer, this.at)..);
    let place = |(lane, id): (&usize, u8)| {
        let slot = lanes.iter().position(|one| one == lane).unwrap();
        used[slot] += 1;
        (*lane, Row { sequence: used[slot], id })
    };
    numbered.map(place).collect()
}

pub(super) fn list(state: &State, bounds: &Bounds, variant: Variant, steps: &mut Vec<Step>) {
    for (index, this) in state.writers.iter().enumerate() {
        let writer = small(index);
        let lanes = lanes(state, index, bounds);
        let all_locked = this.locked == lanes.len();
        match this.stage {
            Stage::Idle if lanes.is_empty() => {}
            Stage::Idle => steps.push(Step::Begin { writer }),
            Stage::Begun if variant.is(PlantedBug::SequenceInLockStatement) => steps.push(Step::Snapshot { writer }),
            Stage::Begun if variant.is(PlantedBug::CursorWithoutLock) => steps.push(Step::ReadHeads { writer }),
            Stage::Begun | Stage::Snapped if !all_locked => {
                if state.locks[lanes[this.locked]].is_none() {
                    steps.push(Step::Lock { writer });
                }
            }
            Stage::Begun | Stage::Locked => steps.push(Step::ReadHeads { writer }),
            Stage::Snapped | Stage::Headed => {
                if !waits_for_key(state, index, bounds) {
                    steps.push(Step::Insert { writer });
                }
            }
            Stage::Inserted if variant.lacks(Mutant::LockReleasedEarly) => steps.push(Step::Unlock { writer }),
            Stage::Inserted | Stage::Unlocked => steps.push(Step::Commit { writer }),
            Stage::Visible => steps.push(Step::Unlock { writer }),
            Stage::Released => steps.extend([Step::HandOver { writer }, Step::HintLost { writer }]),
        }
        let open = !matches!(this.stage, Stage::Idle | Stage::Visible | Stage::Released | Stage::Unlocked);
        if open && state.left.rollbacks > 0 {
            steps.push(Step::RollBack { writer });
        }
    }
}

/// Whether an open transaction of another writer has inserted a key that this one is about to insert.
fn waits_for_key(state: &State, writer: usize, bounds: &Bounds) -> bool {
    let keys: Vec<(usize, i64)> = rows(state, writer, bounds).iter().map(|(lane, row)| (*lane, row.sequence)).collect();
    let others = (0..state.writers.len()).filter(|other| *other != writer);
    let mut inserted = others.filter(|other| matches!(state.writers[*other].stage, Stage::Inserted | Stage::Unlocked));
    inserted.any(|other| rows(state, other, bounds).iter().any(|(lane, row)| keys.contains(&(*lane, row.sequence))))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "each part is given its own steps only")]
pub(super) fn apply(state: &mut State, step: Step, writer: usize, bounds: &Bounds, variant: Variant) {
    let lanes = lanes(state, writer, bounds);
    let process = writer % state.relays.len();
    match step {
        Step::Begin { .. } => {
            state.writers[writer].began = state.relays[process].term;
            state.writers[writer].stage = Stage::Begun;
        }
        Step::Snapshot { .. } | Step::ReadHeads { .. } => read_heads(state, writer, &lanes, step, variant, bounds),
        Step::Lock { .. } => {
            let this = &mut state.writers[writer];
            state.locks[lanes[this.locked]] = Some(writer);
            this.locked += 1;
            if this.locked == lanes.len() && this.stage == Stage::Begun {
                this.stage = Stage::Locked;
            }
        }
        Step::Insert { .. } => {
            let taken = rows(state, writer, bounds)
                .iter()
                .any(|(lane, row)| state.tables[*lane].rows.iter().any(|other| other.sequence == row.sequence));
            state.writers[writer].stage = Stage::Inserted;
            if taken {
                state.refused = true;
                finish(state, writer);
            }
        }
        Step::Commit { .. } => {
            for (lane, row) in rows(state, writer, bounds) {
                let table = &mut state.tables[lane];
                let place = table.rows.partition_point(|other| other.sequence < row.sequence);
                table.rows.insert(place, row);
                table.ledger.push(row.id);
                state.committed |= 1 << row.id;
            }
            let early = state.writers[writer].stage == Stage::Unlocked;
            state.writers[writer].stage = if early { Stage::Released } else { Stage::Visible };
        }
        Step::Unlock { .. } => {
            release(state, writer);
            let early = state.writers[writer].stage == Stage::Inserted;
            state.writers[writer].stage = if early { Stage::Unlocked } else { Stage::Released };
        }
        Step::HandOver { .. } => {
            let began = state.writers[writer].began;
            let relay = &state.relays[process];
            if relay.term.takes(began) || (variant.lacks(Mutant::MemoryAcrossTerms) && relay.term.leads()) {
                let rows = rows(state, writer, bounds);
                state.relays[process].hints.extend(rows);
            }
            finish(state, writer);
        }
        Step::HintLost { .. } => finish(state, writer),
        Step::RollBack { .. } => {
            state.left.rollbacks -= 1;
            finish(state, writer);
        }
        other => unreachable!("{other:?} is no step of a writer"),
    }
}

fn read_heads(state: &mut State, writer: usize, lanes: &[usize], step: Step, variant: Variant, bounds: &Bounds) {
    let mut heads = Vec::with_capacity(lanes.len());
    for lane in lanes {
        if variant.is(PlantedBug::CursorWithoutLock) {
            // A sequence object: what was drawn stays drawn, whatever becomes of the transaction.
            heads.push(state.counters[*lane]);
            let count = messages(state, writer, bounds).iter().filter(|one| *one == lane).count();
            state.counters[*lane] += i64::try_from(count).unwrap();
        } else {
            heads.push(state.tables[*lane].head());
        }
    }
    let this = &mut state.writers[writer];
    this.heads = heads;
    this.stage = if matches!(step, Step::Snapshot { .. }) { Stage::Snapped } else { Stage::Headed };
}

/// Releases the locks of a writer's transaction.
fn release(state: &mut State, writer: usize) {
    for lock in &mut state.locks {
        if *lock == Some(writer) {
            *lock = None;
        }
    }
    state.writers[writer].locked = 0;
}

/// Ends a writer's transaction, as it is; the next one comes.
pub(super) fn finish(state: &mut State, writer: usize) {
    release(state, writer);
    let this = &mut state.writers[writer];
    this.at += 1;
    this.stage = Stage::Idle;
    this.heads.clear();
    this.began = crate::hint::LeadTerm::NONE;
}

/// What becomes of a writer whose session ends: an open transaction is undone, a committed one stays.
pub(super) fn session_ends(state: &mut State, writer: usize, process_dies: bool) {
    match state.writers[writer].stage {
        Stage::Idle => {}
        Stage::Visible | Stage::Released if !process_dies => {
            release(state, writer);
            state.writers[writer].stage = Stage::Released;
        }
        Stage::Begun
        | Stage::Snapped
        | Stage::Locked
        | Stage::Headed
        | Stage::Inserted
        | Stage::Unlocked
        | Stage::Visible
        | Stage::Released => finish(state, writer),
    }
}
