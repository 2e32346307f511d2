//! Relays: leading, taking over, publishing, ending. What they decide is decided by the crate's own code.
//!
//! A relay whose session was ended goes on with what it has in memory, for as long as it likes: the model does not rely
//! on the fence that stops it soon in reality. It cannot use the database any more.

use crate::model::bounds::{Bounds, Mutant, Variant};
use crate::model::state::{Known, Message, Relay, Role, Row, State, Table, TermLane};
use crate::model::step::{Step, others_publish, small};
use crate::model::{takeover, writer};
use crate::planted::PlantedBug;
use crate::relay::acked::Acked;
use crate::relay::course::Offer;
use crate::relay::resume::Stored;

pub(super) fn list(state: &State, bounds: &Bounds, variant: Variant, steps: &mut Vec<Step>) {
    for (index, this) in state.relays.iter().enumerate() {
        let relay = small(index);
        match &this.role {
            Role::Standby if state.leader.is_none() => steps.push(Step::Lead { relay }),
            Role::Standby => {}
            Role::Loaded(_) => {
                let waits = state.unread_restore && !bounds.late_after_restore && others_publish(state, index);
                if this.session && !waits {
                    steps.push(Step::ReadTail { relay });
                }
            }
            Role::Decided(lanes) => {
                if this.session && takeover::can_begin(state, lanes, variant) {
                    steps.push(Step::BeginEpochs { relay });
                }
            }
            Role::Leading { lanes, rows } => list_leading(state, this, lanes, rows, relay, steps),
        }
        if !this.session {
            steps.push(Step::StandDown { relay });
        }
        if matches!(this.role, Role::Standby) {
            continue;
        }
        if state.left.kills > 0 {
            let lengths = 0..=longest_wire(&this.role);
            steps.extend(lengths.map(|arrived| Step::Kill { relay, arrived: small(arrived) }));
        }
        if state.left.fences > 0 && this.session {
            steps.push(Step::EndSession { relay });
        }
    }
}

fn longest_wire(role: &Role) -> usize {
    match role {
        Role::Leading { lanes, .. } => lanes.iter().map(|lane| lane.wire.len()).max().unwrap_or(0),
        Role::Standby | Role::Loaded(_) | Role::Decided(_) => 0,
    }
}

fn list_leading(
    state: &State,
    this: &Relay,
    lanes: &[TermLane],
    rows: &[(usize, Row)],
    relay: u8,
    steps: &mut Vec<Step>,
) {
    if !rows.is_empty() {
        steps.push(Step::SendRows { relay });
    } else if this.session && lanes.iter().zip(&state.tables).any(|(lane, table)| has_more(lane, table)) {
        steps.push(Step::ReadRows { relay });
    }
    if !this.hints.is_empty() {
        steps.push(Step::SendHints { relay });
    }
    for (index, lane) in lanes.iter().enumerate() {
        if !lane.wire.is_empty() {
            steps.push(Step::Append { relay, lane: small(index) });
        }
        if !lane.answers.is_empty() {
            steps.push(Step::Acknowledge { relay, lane: small(index) });
        }
    }
    if this.session {
        if lanes.iter().any(|lane| lane.acked != lane.saved || !lane.wire.is_empty()) {
            steps.push(Step::SavePositions { relay });
        }
        let drained = lanes.iter().all(|lane| lane.wire.is_empty() && lane.answers.is_empty());
        if state.unread_loss && drained {
            steps.push(Step::LookAgain { relay });
        }
        if state.left.failures > 0 {
            let lengths = 0..=lanes.iter().map(|lane| lane.wire.len()).max().unwrap_or(0);
            steps.extend(lengths.map(|arrived| Step::ProducerFails { relay, arrived: small(arrived) }));
        }
    }
}

/// Whether a read would bring something.
fn has_more(lane: &TermLane, table: &Table) -> bool {
    !lane.held && table.rows.last().is_some_and(|row| row.sequence >= lane.course.read_from())
}

#[expect(clippy::wildcard_enum_match_arm, reason = "each part is given its own steps only")]
pub(super) fn apply(state: &mut State, step: Step, relay: usize, bounds: &Bounds, variant: Variant) {
    match step {
        Step::Lead { .. } => {
            state.leader = Some(relay);
            state.relays[relay].session = true;
            load(state, relay);
        }
        Step::ReadTail { .. } => takeover::read_tail(state, relay, variant),
        Step::BeginEpochs { .. } => takeover::begin_epochs(state, relay, variant),
        Step::ReadRows { .. } => read_rows(state, relay, bounds.batch),
        Step::SendRows { .. } => {
            let rows = with_term(state, relay, |_, rows| std::mem::take(rows));
            offer(state, relay, &rows, variant.is(PlantedBug::CursorWithoutLock), true);
        }
        Step::SendHints { .. } => {
            let mut hints = std::mem::take(&mut state.relays[relay].hints);
            hints.sort_unstable_by_key(|(lane, row)| (*lane, row.sequence));
            offer(state, relay, &hints, variant.is(PlantedBug::HintSkipsGap), false);
        }
        Step::Append { lane, .. } => {
            let lane = usize::from(lane);
            let offset = i64::try_from(state.logs[lane].records.len()).unwrap();
            let message = with_term(state, relay, |lanes, _| {
                let message = lanes[lane].wire.remove(0);
                lanes[lane].answers.push((message.sequence, offset));
                Some(message)
            });
            state.logs[lane].records.extend(message);
        }
        Step::Acknowledge { lane, .. } => acknowledge(state, relay, usize::from(lane), variant),
        Step::SavePositions { .. } => save(state, relay, variant),
        Step::StandDown { .. } => stand_down(state, relay),
        Step::LookAgain { .. } => {
            state.relays[relay].hints.clear();
            load(state, relay);
        }
        Step::Kill { arrived, .. } => kill(state, relay, usize::from(arrived)),
        Step::EndSession { .. } => {
            state.left.fences -= 1;
            state.relays[relay].session = false;
            state.leader = None;
            state.may_double = true;
        }
        Step::ProducerFails { arrived, .. } => {
            state.left.failures -= 1;
            arrive(state, relay, usize::from(arrived));
            load(state, relay);
        }
        other => unreachable!("{other:?} is no step of a relay"),
    }
}

/// Does something with the term of a relay that leads; a default otherwise.
fn with_term<T: Default>(
    state: &mut State,
    relay: usize,
    work: impl FnOnce(&mut Vec<TermLane>, &mut Vec<(usize, Row)>) -> T,
) -> T {
    match &mut state.relays[relay].role {
        Role::Leading { lanes, rows } => work(lanes, rows),
        Role::Standby | Role::Loaded(_) | Role::Decided(_) => T::default(),
    }
}

/// Begins a take-over: what the database knows of the lanes. Memory is not trusted from here on.
fn load(state: &mut State, relay: usize) {
    let known = state.tables.iter().map(|table| Known {
        epochs: table.epochs.clone(),
        pruned: table.pruned,
        stored: table.stored,
    });
    let known = known.collect();
    let this = &mut state.relays[relay];
    this.role = Role::Loaded(known);
    this.term = this.term.lead(false);
    this.hints.clear();
}

/// A plain `sequence > position` per lane, in one snapshot.
fn read_rows(state: &mut State, relay: usize, batch: usize) {
    let State { tables, relays, .. } = state;
    let Role::Leading { lanes, rows } = &mut relays[relay].role else { return };
    for (index, lane) in lanes.iter_mut().enumerate().filter(|(_, lane)| !lane.held) {
        let from = lane.course.read_from();
        let found = tables[index].rows.iter().filter(|row| row.sequence >= from).take(batch);
        rows.extend(found.map(|row| (index, *row)));
        if let Some((_, last)) = rows.last().filter(|(of, _)| *of == index) {
            lane.course.read(&lane.epochs, last.sequence);
        }
    }
}

/// Offers rows to the producer: those whose turn it is are sent.
fn offer(state: &mut State, relay: usize, rows: &[(usize, Row)], skips: bool, from_table: bool) {
    with_term(state, relay, |lanes, _| {
        for (index, row) in rows {
            let lane = &mut lanes[*index];
            let offer = lane.course.offer(&lane.epochs, row.sequence, skips);
            match offer {
                Offer::Send if !lane.held => {
                    let (epoch, first) = lane.epochs.of(row.sequence);
                    lane.wire.push(Message { epoch, first, sequence: row.sequence, id: row.id });
                    lane.course.sent(&lane.epochs, row.sequence);
                }
                // The table itself has a gap: the lane is held and shown to people.
                Offer::Missing if from_table => {
                    lane.held = true;
                    lane.course.rewind();
                }
                Offer::Send | Offer::Missing | Offer::Pass => {}
            }
        }
    });
}

fn acknowledge(state: &mut State, relay: usize, lane: usize, variant: Variant) {
    let answer = with_term(state, relay, |lanes, _| {
        let lane = &mut lanes[lane];
        let (sequence, offset) = lane.answers.remove(0);
        if variant.lacks(Mutant::CutIgnored) {
            lane.acked.end = 0;
        }
        Some(lane.acked.acknowledge(sequence, offset, false))
    });
    if answer == Some(false) {
        give_up_wires(state, relay);
        load(state, relay);
    }
}

fn save(state: &mut State, relay: usize, variant: Variant) {
    let State { tables, relays, .. } = state;
    let Role::Leading { lanes, .. } = &mut relays[relay].role else { return };
    for (table, lane) in tables.iter_mut().zip(lanes) {
        let mut acked = lane.acked;
        if variant.is(PlantedBug::PositionBeforeAck)
            && let Some(sent) = lane.wire.last()
        {
            let ahead = i64::try_from(lane.wire.len()).unwrap();
            let end = acked.end + ahead;
            acked = Acked { sequence: sent.sequence, offset: Some(end - 1), end };
        }
        if let Some(Acked { sequence, offset: Some(offset), .. }) = acked.to_save(lane.saved) {
            let epoch = lane.epochs.of(sequence).0;
            table.stored = Some(Stored { epoch, sequence, offset });
            lane.saved = acked;
        }
    }
}

/// Ends a producer whose messages in flight may still arrive.
fn give_up_wires(state: &mut State, relay: usize) {
    let wires =
        with_term(state, relay, |lanes, _| lanes.iter_mut().map(|lane| std::mem::take(&mut lane.wire)).collect());
    let wires: Vec<Vec<Message>> = wires;
    if wires.iter().any(|wire| !wire.is_empty()) {
        state.late.push(wires);
    }
}

/// Ends the term of a relay without a session.
fn stand_down(state: &mut State, relay: usize) {
    give_up_wires(state, relay);
    let this = &mut state.relays[relay];
    this.role = Role::Standby;
    this.session = true;
    this.term = this.term.lead(false);
    this.hints.clear();
}

/// The first so many messages of each wire arrive, the rest never does.
fn arrive(state: &mut State, relay: usize, arrived: usize) {
    let wires: Vec<Vec<Message>> =
        with_term(state, relay, |lanes, _| lanes.iter_mut().map(|lane| std::mem::take(&mut lane.wire)).collect());
    for (lane, wire) in wires.into_iter().enumerate() {
        state.logs[lane].records.extend(wire.into_iter().take(arrived));
    }
}

/// The process dies, and comes back with nothing in memory.
fn kill(state: &mut State, relay: usize, arrived: usize) {
    state.left.kills -= 1;
    arrive(state, relay, arrived);
    let fresh = Relay { term: crate::hint::LeadTerm::NONE, session: true, role: Role::Standby, hints: Vec::new() };
    state.relays[relay] = fresh;
    if state.leader == Some(relay) {
        state.leader = None;
    }
    let processes = state.relays.len();
    for writer in (0..state.writers.len()).filter(|writer| writer % processes == relay) {
        writer::session_ends(state, writer, true);
    }
}
