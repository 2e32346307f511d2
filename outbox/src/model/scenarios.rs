//! The scenarios that are explored, small enough for every test run, and larger on demand.

use crate::model::bounds::{Bounds, Faults, Following, Mutant, Variant};
use crate::planted::PlantedBug;

const NONE: Faults = Faults {
    kills: 0,
    fences: 0,
    failures: 0,
    rollbacks: 0,
    restores: 0,
    lost_tails: 0,
    truncations: 0,
    retentions: 0,
    consumer_crashes: 0,
};

/// Transactions over two lanes that cross, and one that is rolled back.
pub(super) fn lanes() -> Bounds {
    let writers = vec![vec![vec![0, 1]], vec![vec![1, 0]]];
    Bounds { lanes: 2, relays: 1, writers, faults: Faults { rollbacks: 1, ..NONE }, ..Bounds::plain("lanes") }
}

/// Processes die, producers fail, writers roll back.
pub(super) fn crashes() -> Bounds {
    let writers = vec![vec![vec![0, 0]], vec![vec![0]]];
    let faults = Faults { kills: 2, failures: 1, rollbacks: 1, ..NONE };
    Bounds { writers, faults, ..Bounds::plain("crashes") }
}

/// A leader is paused or cut off, replaced, and goes on with what it has in memory and in flight.
pub(super) fn zombie() -> Bounds {
    Bounds { faults: Faults { fences: 1, ..NONE }, ..Bounds::plain("zombie") }
}

/// The database goes back to any earlier state; the old leader has ended before the new one reads the topics.
pub(super) fn restore() -> Bounds {
    let faults = Faults { restores: 1, kills: 1, ..NONE };
    Bounds { faults, late_after_restore: false, ..Bounds::plain("restore") }
}

/// Published rows are truncated at any time, also while somebody takes over.
pub(super) fn truncation() -> Bounds {
    let writers = vec![vec![vec![0], vec![0]], vec![vec![0]]];
    Bounds { writers, faults: Faults { truncations: 1, kills: 1, ..NONE }, ..Bounds::plain("truncation") }
}

/// The broker loses the end of a log, any number of records of it.
pub(super) fn lost_tail() -> Bounds {
    let faults = Faults { lost_tails: 1, ..NONE };
    Bounds { relays: 1, faults, following: Following::Stepwise, ..Bounds::plain("lost tail") }
}

/// A consumer dies between taking and committing, and a zombie doubles what it reads.
pub(super) fn consumer() -> Bounds {
    let faults = Faults { consumer_crashes: 1, fences: 1, ..NONE };
    let writers = vec![vec![vec![0, 0]]];
    Bounds { relays: 1, writers, faults, following: Following::Stepwise, ..Bounds::plain("consumer") }
}

/// What is explored on demand: more of everything, and faults together.
pub(super) fn large() -> Vec<Bounds> {
    let three = || vec![vec![vec![0], vec![0, 0]], vec![vec![0]]];
    let named = |name, bounds: Bounds| Bounds { name, ..bounds };
    vec![
        named(
            "lanes, three transactions",
            Bounds { writers: vec![vec![vec![0, 1], vec![0]], vec![vec![1, 0]]], ..lanes() },
        ),
        named(
            "crashes, three kills",
            Bounds { writers: three(), faults: Faults { kills: 3, failures: 1, rollbacks: 1, ..NONE }, ..crashes() },
        ),
        named("two zombies", Bounds { faults: Faults { fences: 2, ..NONE }, ..zombie() }),
        named("two restores", Bounds { faults: Faults { restores: 2, ..NONE }, ..restore() }),
        named(
            "truncation, zombie",
            Bounds { faults: Faults { truncations: 2, fences: 1, ..NONE }, ..Bounds::plain("") },
        ),
        named("lost tail, kill", Bounds { faults: Faults { lost_tails: 1, kills: 1, ..NONE }, ..lost_tail() }),
        named("lost tail of four messages", Bounds { writers: three(), following: Following::Whole, ..lost_tail() }),
        named("consumer, two relays", Bounds { relays: 2, ..consumer() }),
    ]
}

/// What offsets cannot show: a zombie's late record takes the place of one that the broker lost.
pub(super) fn lost_tail_and_zombie() -> Broken {
    let faults = Faults { lost_tails: 1, fences: 1, ..NONE };
    Broken {
        variant: Variant::default(),
        bounds: Bounds { faults, ..Bounds::plain("lost tail, zombie") },
        what: "lost",
    }
}

/// A rule broken on purpose, and where that shows.
pub(super) struct Broken {
    pub(super) variant: Variant,
    pub(super) bounds: Bounds,
    /// How the violation begins.
    pub(super) what: &'static str,
}

/// All bugs that can also be planted into the running code.
pub(super) fn planted() -> Vec<Broken> {
    let truncated_early = Bounds { faults: Faults { truncations: 1, kills: 1, ..NONE }, ..Bounds::plain("truncation") };
    let longer_after_restore =
        Bounds { writers: vec![vec![vec![0]], vec![vec![0, 0]]], faults: Faults { restores: 1, ..NONE }, ..restore() };
    let with = |bug, bounds, what| Broken { variant: Variant { bug: Some(bug), mutant: None }, bounds, what };
    vec![
        with(PlantedBug::CursorWithoutLock, Bounds::plain("plain"), "lost"),
        with(PlantedBug::SequenceInLockStatement, Bounds::plain("plain"), "an append is refused"),
        with(PlantedBug::PositionBeforeAck, truncated_early, "lost"),
        with(PlantedBug::ResumeAfterMaximum, lost_tail(), "lost"),
        with(PlantedBug::HintSkipsGap, Bounds::plain("plain"), "lost"),
        with(PlantedBug::DedupeWithoutEpoch, longer_after_restore, "lost"),
        with(PlantedBug::DedupeByOffset, Bounds { relays: 1, ..zombie() }, "doubled"),
    ]
}

/// Rules that each keep the protocol right.
pub(super) fn mutants() -> Vec<Broken> {
    let with = |mutant, bounds, what| Broken { variant: Variant { bug: None, mutant: Some(mutant) }, bounds, what };
    vec![
        with(Mutant::LockReleasedEarly, Bounds::plain("plain"), "an append is refused"),
        with(Mutant::MemoryAcrossTerms, restore(), "phantom"),
        with(Mutant::TailUnread, crashes(), "doubled"),
        with(Mutant::EpochWithoutLock, restore(), "lost"),
        with(Mutant::CutIgnored, lost_tail(), "lost"),
        with(Mutant::PrunedReadEarly, truncation(), "lost"),
    ]
}
