//! Every planted bug with the fault that exposes it, and what the check must then say.

use std::path::Path;
use std::time::{Duration, Instant};

use dev_stack::Stack;
use outbox::planted::PlantedBug;
use tokio::runtime::Runtime;

use crate::Outcome;
use crate::chance::Chance;
use crate::check::{Violation, Wrong};
use crate::cycle;
use crate::fault::Fault;
use crate::options::Options;
use crate::summary::seconds;
use crate::world::{Round, World};

/// What is missing for so long is lost.
const PATIENCE: Duration = Duration::from_secs(5);
/// Cycles in which a bug must show itself.
const CYCLES: u64 = 10;

/// The fault that exposes a bug, and what is found.
fn exposed_by(bug: PlantedBug) -> (Fault, Wrong) {
    match bug {
        // These need load, not faults: this one harms neither writers nor relays.
        PlantedBug::CursorWithoutLock | PlantedBug::HintSkipsGap => (Fault::ConsumerKill, Wrong::Lost),
        PlantedBug::SequenceInLockStatement => (Fault::ConsumerKill, Wrong::Broken),
        // The first messages in the new log have a gap before them.
        PlantedBug::ResumeAfterMaximum => (Fault::TopicAnew, Wrong::Lost),
        PlantedBug::PositionBeforeAck => (Fault::InFlight, Wrong::Lost),
        PlantedBug::DedupeByOffset => (Fault::TopicAnew, Wrong::Doubled),
        PlantedBug::DedupeWithoutEpoch => (Fault::Restore, Wrong::Lost),
    }
}

/// Plants one after the other; true if each was found.
pub(crate) fn all(options: &Options, stack: &Stack, runtime: &Runtime, folder: &Path) -> Outcome<bool> {
    let mut all_found = true;
    let chosen = |bug: &PlantedBug| options.bug.is_none_or(|only| only == *bug);
    for (number, bug) in (1..).zip(PlantedBug::ALL.into_iter().filter(chosen)) {
        let (fault, wrong) = exposed_by(bug);
        let mut chance = Chance::of(options.seed, bug.as_str());
        let round = Round { number, folder: folder.join(bug.as_str()), bug: Some(bug), chance: chance.clone() };
        let began = Instant::now();
        let mut world = World::new(stack, runtime, round)?;
        match find(&mut world, fault, wrong, &mut chance)? {
            Some((cycle, violation)) => {
                println!("{bug}: found in cycle {cycle} ({fault}) after {} s: {violation}", seconds(began.elapsed()));
            }
            None => {
                println!("{bug}: NOT found in {CYCLES} cycles ({fault})");
                all_found = false;
            }
        }
        world.end()?;
    }
    Ok(all_found)
}

fn find(world: &mut World<'_>, fault: Fault, wrong: Wrong, chance: &mut Chance) -> Outcome<Option<(u64, Violation)>> {
    for cycle in 1..=CYCLES {
        let report = cycle::run(world, fault, chance, PATIENCE)?;
        if let Some(found) = report.violations.into_iter().find(|violation| violation.wrong == wrong) {
            return Ok(Some((cycle, found)));
        }
    }
    Ok(None)
}
