//! Taking over: the real fold over the real facts, fed from the model's log and table.

use crate::epochs::Epoch;
use crate::log::Bounds;
use crate::model::bounds::{Mutant, Variant};
use crate::model::state::{Known, Role, Row, State, Table, TermLane};
use crate::planted::PlantedBug;
use crate::relay::acked::Acked;
use crate::relay::course::Course;
use crate::relay::restore::NewEpoch;
use crate::relay::resume::{Decision, Facts, Resume, RowMatch, Seen};

/// Reads what the topics hold behind the stored positions, compares it with the rows, and decides. Publishes at once
/// where no lane needs a new epoch.
pub(super) fn read_tail(state: &mut State, relay: usize, variant: Variant) {
    let Role::Loaded(known) = std::mem::replace(&mut state.relays[relay].role, Role::Standby) else { return };
    let decided: Vec<(Known, Decision, i64)> = known
        .into_iter()
        .enumerate()
        .map(|(lane, known)| {
            let decision = decide(state, lane, &known, variant);
            let high = i64::try_from(state.logs[lane].records.len()).unwrap();
            (known, decision, high)
        })
        .collect();
    state.unread_loss = false;
    state.unread_restore = false;
    let begins = decided.iter().any(|(_, decision, _)| matches!(decision, Decision::NewEpoch { .. }));
    state.relays[relay].role = Role::Decided(decided);
    if !begins {
        begin_epochs(state, relay, variant);
    }
}

fn decide(state: &State, lane: usize, known: &Known, variant: Variant) -> Decision {
    if variant.lacks(Mutant::TailUnread)
        && let Some(stored) = known.stored
    {
        return Decision::Resume { after: stored.sequence, offset: Some(stored.offset) };
    }
    let log = &state.logs[lane];
    let bounds = Bounds { low: i64::try_from(log.low).unwrap(), high: i64::try_from(log.records.len()).unwrap() };
    let mut step_back = None;
    loop {
        let (facts, from) = Facts::of(known.epochs.clone(), known.pruned, known.stored, bounds, step_back);
        let mut fold = Resume::new(facts, variant.is(PlantedBug::ResumeAfterMaximum));
        for (offset, record) in log.records.iter().enumerate().skip(usize::try_from(from).unwrap()) {
            let row = state.tables[lane].rows.iter().find(|row| row.sequence == record.sequence);
            // The row and how far rows are pruned come from one look: `matching::statement`.
            let pruned = if variant.lacks(Mutant::PrunedReadEarly) { 0 } else { state.tables[lane].pruned };
            let row = match row {
                Some(row) if row.id == record.id => RowMatch::Equal,
                Some(_) => RowMatch::Differs,
                None if record.sequence <= pruned => RowMatch::Equal,
                None => RowMatch::Missing,
            };
            let offset = i64::try_from(offset).unwrap();
            fold.observe(Seen { offset, epoch: record.epoch, sequence: record.sequence }, row);
        }
        match fold.decide() {
            Decision::Unanchored => step_back = Some(bounds.high - bounds.low),
            decision @ (Decision::Resume { .. } | Decision::NewEpoch { .. }) => return decision,
        }
    }
}

/// Whether all lanes that need a new epoch can be locked.
pub(super) fn can_begin(state: &State, lanes: &[(Known, Decision, i64)], variant: Variant) -> bool {
    let mut needed =
        lanes.iter().enumerate().filter(|(_, (_, decision, _))| matches!(decision, Decision::NewEpoch { .. }));
    variant.lacks(Mutant::EpochWithoutLock) || needed.all(|(lane, _)| state.locks[lane].is_none())
}

/// Carries the decisions out and publishes from here on.
pub(super) fn begin_epochs(state: &mut State, relay: usize, variant: Variant) {
    let Role::Decided(decided) = std::mem::replace(&mut state.relays[relay].role, Role::Standby) else { return };
    let mut lanes = Vec::with_capacity(decided.len());
    for (lane, (known, decision, end)) in decided.into_iter().enumerate() {
        let mut epochs = known.epochs;
        let done = match decision {
            Decision::Resume { after, offset } => Acked { sequence: after, offset, end },
            Decision::NewEpoch { epoch, last_equal, above } => {
                let above = if variant.lacks(Mutant::EpochBelowTopic) { last_equal } else { above };
                let new = NewEpoch { lane: 0, epoch, last_equal, above };
                let begun = append_again(&mut state.tables[lane], new);
                epochs.push(begun);
                Acked { sequence: begun.first - 1, offset: None, end }
            }
            Decision::Unanchored => unreachable!("all of the log was read"),
        };
        let course = Course::new(&epochs, done.sequence);
        lanes.push(TermLane {
            course,
            epochs,
            acked: done,
            saved: done,
            wire: Vec::new(),
            answers: Vec::new(),
            held: false,
        });
    }
    let this = &mut state.relays[relay];
    this.role = Role::Leading { lanes, rows: Vec::new() };
    this.term = this.term.lead(true);
}

/// What the transaction of a new epoch does to the table.
fn append_again(table: &mut Table, new: NewEpoch) -> Epoch {
    let begun = new.above_head(table.head());
    let again = table.rows.iter().filter(|row| row.sequence > begun.last_equal && !table.epochs.is_void(row.sequence));
    let moved: Vec<Row> = again.zip(begun.first..).map(|(row, sequence)| Row { sequence, id: row.id }).collect();
    table.rows.extend(moved);
    table.floor = table.floor.max(begun.first - 1);
    table.epochs.push(begun);
    begun
}
