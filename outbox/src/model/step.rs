//! What may happen next, and what it does.
//!
//! Each step is one thing that real parts do without anybody being able to come between: a statement, a look at the
//! log, a record appended. A step that cannot happen in a state is not listed for it.

use crate::model::bounds::{Bounds, Variant};
use crate::model::state::{Role, State};
use crate::model::{consumer, relay, world, writer};

/// One step. Numbers are of writers, relays, lanes or lengths, as named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Begin {
        writer: u8,
    },
    Snapshot {
        writer: u8,
    },
    Lock {
        writer: u8,
    },
    ReadHeads {
        writer: u8,
    },
    Insert {
        writer: u8,
    },
    Commit {
        writer: u8,
    },
    Unlock {
        writer: u8,
    },
    HandOver {
        writer: u8,
    },
    HintLost {
        writer: u8,
    },
    RollBack {
        writer: u8,
    },
    Lead {
        relay: u8,
    },
    ReadTail {
        relay: u8,
    },
    BeginEpochs {
        relay: u8,
    },
    ReadRows {
        relay: u8,
    },
    SendRows {
        relay: u8,
    },
    SendHints {
        relay: u8,
    },
    Append {
        relay: u8,
        lane: u8,
    },
    Acknowledge {
        relay: u8,
        lane: u8,
    },
    SavePositions {
        relay: u8,
    },
    /// A relay without a session notices that.
    StandDown {
        relay: u8,
    },
    /// A leader looks at the topics again, because the broker lost something.
    LookAgain {
        relay: u8,
    },
    LateAppend {
        wire: u8,
        lane: u8,
    },
    LateLoss {
        wire: u8,
    },
    Take {
        lane: u8,
    },
    CommitTaken {
        lane: u8,
    },
    // What follows are faults: they need not happen.
    Kill {
        relay: u8,
        arrived: u8,
    },
    EndSession {
        relay: u8,
    },
    ProducerFails {
        relay: u8,
        arrived: u8,
    },
    SetAside,
    Restore,
    LoseTail {
        lane: u8,
        left: u8,
    },
    Truncate {
        lane: u8,
        up_to: u8,
    },
    DeleteOldest {
        lane: u8,
    },
    ConsumerDies,
}

impl Step {
    /// Whether the step need not happen: a system to which nothing more of this kind happens must come right.
    pub(super) fn is_fault(self) -> bool {
        match self {
            Self::RollBack { .. }
            | Self::Kill { .. }
            | Self::EndSession { .. }
            | Self::ProducerFails { .. }
            | Self::SetAside
            | Self::Restore
            | Self::LoseTail { .. }
            | Self::Truncate { .. }
            | Self::DeleteOldest { .. }
            | Self::ConsumerDies => true,
            Self::Begin { .. }
            | Self::Snapshot { .. }
            | Self::Lock { .. }
            | Self::ReadHeads { .. }
            | Self::Insert { .. }
            | Self::Commit { .. }
            | Self::Unlock { .. }
            | Self::HandOver { .. }
            | Self::HintLost { .. }
            | Self::Lead { .. }
            | Self::ReadTail { .. }
            | Self::BeginEpochs { .. }
            | Self::ReadRows { .. }
            | Self::SendRows { .. }
            | Self::SendHints { .. }
            | Self::Append { .. }
            | Self::Acknowledge { .. }
            | Self::SavePositions { .. }
            | Self::StandDown { .. }
            | Self::LookAgain { .. }
            | Self::LateAppend { .. }
            | Self::LateLoss { .. }
            | Self::Take { .. }
            | Self::CommitTaken { .. } => false,
        }
    }
}

/// A place in a list as a step names it.
pub(super) fn small(number: usize) -> u8 {
    u8::try_from(number).unwrap()
}

/// Everything that may happen now, always in the same order.
pub(super) fn list(state: &State, bounds: &Bounds, variant: Variant) -> Vec<Step> {
    let mut steps = Vec::with_capacity(16);
    writer::list(state, bounds, variant, &mut steps);
    relay::list(state, bounds, variant, &mut steps);
    world::list(state, &mut steps);
    consumer::list(state, &mut steps);
    steps
}

/// The state after a listed step.
pub(super) fn apply(state: &State, step: Step, bounds: &Bounds, variant: Variant) -> State {
    let mut next = state.clone();
    match step {
        Step::Begin { writer }
        | Step::Snapshot { writer }
        | Step::Lock { writer }
        | Step::ReadHeads { writer }
        | Step::Insert { writer }
        | Step::Commit { writer }
        | Step::Unlock { writer }
        | Step::HandOver { writer }
        | Step::HintLost { writer }
        | Step::RollBack { writer } => writer::apply(&mut next, step, usize::from(writer), bounds, variant),
        Step::Lead { relay }
        | Step::ReadTail { relay }
        | Step::BeginEpochs { relay }
        | Step::ReadRows { relay }
        | Step::SendRows { relay }
        | Step::SendHints { relay }
        | Step::Append { relay, .. }
        | Step::Acknowledge { relay, .. }
        | Step::SavePositions { relay }
        | Step::StandDown { relay }
        | Step::LookAgain { relay }
        | Step::Kill { relay, .. }
        | Step::EndSession { relay }
        | Step::ProducerFails { relay, .. } => relay::apply(&mut next, step, usize::from(relay), bounds, variant),
        Step::LateAppend { .. }
        | Step::LateLoss { .. }
        | Step::SetAside
        | Step::Restore
        | Step::LoseTail { .. }
        | Step::Truncate { .. }
        | Step::DeleteOldest { .. } => world::apply(&mut next, step),
        Step::Take { .. } | Step::CommitTaken { .. } | Step::ConsumerDies => {
            consumer::apply(&mut next, step, variant);
        }
    }
    next
}

/// Whether some other relay still publishes what it has in memory, or one that ended has something in flight.
pub(super) fn others_publish(state: &State, relay: usize) -> bool {
    let mut others = state.relays.iter().enumerate().filter(|(index, _)| *index != relay);
    !state.late.is_empty() || others.any(|(_, other)| matches!(other.role, Role::Leading { .. }))
}
