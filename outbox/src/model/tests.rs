//! Explorations: the protocol holds, and each rule that is broken on purpose is missed.
//!
//! `OUTBOX_MODEL_BOUNDS=large` explores more than every test run does. With `--nocapture` the numbers of
//! `docs/model.md` are printed, and the traces.

use std::time::Instant;

use crate::model::bounds::{Bounds, Faults, Following, Mutant, Variant};
use crate::model::explorer::{Outcome, explore};
use crate::model::scenarios::{self, Broken};

fn explored(bounds: &Bounds, variant: Variant) -> Outcome {
    let began = Instant::now();
    let outcome = explore(bounds, variant);
    let Outcome { states, transitions, depth, at_rest, .. } = outcome;
    let took = began.elapsed();
    eprintln!("| {} | {states} | {transitions} | {depth} | {at_rest} | {took:.1?} |", bounds.name);
    outcome
}

fn assert_holds(bounds: &Bounds) {
    let outcome = explored(bounds, Variant::default());
    if let Some(violation) = outcome.violation {
        panic!("{}: {}\n{}", bounds.name, violation.what, violation.story());
    }
    assert!(outcome.at_rest > 0, "{}: nothing ever comes to rest", bounds.name);
}

fn assert_found(broken: &Broken) {
    let Broken { variant, bounds, what } = broken;
    let name = variant.bug.map_or_else(|| format!("{:?}", variant.mutant), |bug| bug.as_str().to_owned());
    let Some(violation) = explored(bounds, *variant).violation else {
        panic!("{name} is not found in {}", bounds.name);
    };
    eprintln!("{name}: {} steps\n{}", violation.trace.len(), violation.story());
    assert!(violation.what.starts_with(what), "{name}: {}", violation.story());
}

macro_rules! holds {
    ($($name:ident)*) => { $(
        #[test]
        fn $name() {
            assert_holds(&scenarios::$name());
        }
    )* };
}

// One test each, so that they run side by side.
holds! { lanes crashes zombie restore truncation lost_tail consumer }

#[test]
fn larger_bounds_on_demand() {
    if std::env::var("OUTBOX_MODEL_BOUNDS").is_ok_and(|bounds| bounds == "large") {
        scenarios::large().iter().for_each(assert_holds);
        assert_found(&scenarios::lost_tail_and_zombie());
        // Not a rule that the protocol needs: positions are compared by epoch first. It keeps sequences alone, as SQL and
        // people compare them, telling.
        let lenient = Variant { bug: None, mutant: Some(Mutant::EpochBelowTopic) };
        assert_eq!(explored(&scenarios::restore(), lenient).violation, None);
    }
}

#[test]
fn planted_bugs_are_found() {
    scenarios::planted().iter().for_each(assert_found);
}

#[test]
fn every_rule_is_needed() {
    scenarios::mutants().iter().for_each(assert_found);
}

#[test]
fn the_same_exploration_gives_the_same_numbers_and_trace() {
    let broken = scenarios::planted().remove(0);
    assert_eq!(explore(&broken.bounds, broken.variant), explore(&broken.bounds, broken.variant));
}

/// A consumer that has never read before, on a log that has lost its beginning, takes the first message that it sees
/// for its baseline. That is right as long as the log holds nothing twice and no epoch but one.
#[test]
fn the_baseline_of_a_log_that_lost_its_beginning() {
    let writers = || vec![vec![vec![0, 0]]];
    let late = |name, faults| Bounds { writers: writers(), faults, following: Following::Late, ..Bounds::plain(name) };
    let none = Faults::default();
    assert_holds(&late("baseline, crashes", Faults { retentions: 1, kills: 1, ..none }));
    for (bounds, what) in [
        (late("baseline, zombie", Faults { retentions: 1, fences: 1, ..none }), "lost"),
        (late("baseline, restore", Faults { retentions: 1, restores: 1, ..none }), "phantom"),
    ] {
        let bounds = Bounds { late_after_restore: false, relays: 1, ..bounds };
        assert_found(&Broken { variant: Variant::default(), bounds, what });
    }
}

/// The limit of what positions can do: what a relay of a database that is no more still sends after the restored one
/// was taken over looks as if it came from the new one.
#[test]
fn a_leader_of_a_lost_database_must_have_ended() {
    let bounds = Bounds { late_after_restore: true, ..scenarios::restore() };
    assert_found(&Broken { variant: Variant::default(), bounds, what: "phantom" });
}
