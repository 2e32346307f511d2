//! The three cores together: orders on all terms, people who ship, refund, take back, hold and free what is stuck, stock and a
//! provider with faults, over a bus that duplicates and reorders, with owners that crash or sleep. Everything that happens follows
//! from a seed, which a failure prints. `SEEDS=10000 cargo test -p domain --test cores -- no_seed` runs so many of them, and
//! `SEEDS=1234..1235` that one alone.
//!
//! The rules are those of the product: they look at what was said and what is held, never into a decision.

mod bus;
mod clients;
mod customers;
mod ending;
pub(crate) mod inventory;
mod operators;
mod order;
mod payment;
mod random;
mod rules;
mod world;

use std::ops::Range;

use domain::planted::Planted;
use proptest::collection::vec;
use proptest::prelude::{any, prop_assert, proptest};

use random::Random;
use rules::Violation;
use world::{Setting, World};

/// Everything that was found wrong in one run.
fn run(random: Random, setting: Setting) -> Vec<Violation> {
    let mut world = World::new(random, setting);
    world.suffer();
    world.heal();
    world.into_violations()
}

fn run_seed(seed: u64, planted: Planted) -> Vec<Violation> {
    run(Random::seeded(seed), Setting::of_seed(seed, planted))
}

#[test]
fn no_seed_breaks_a_rule() {
    for seed in seeds() {
        let found = run_seed(seed, Planted::NONE);
        assert!(found.is_empty(), "SEEDS={seed}..{}: {found:#?}", seed + 1);
    }
}

/// The first 200, or as many as somebody asks for, or those between two numbers.
#[expect(clippy::disallowed_methods, reason = "a test's configuration, not a core's")]
fn seeds() -> Range<u64> {
    let Ok(asked) = std::env::var("SEEDS") else { return 0..200 };
    let (from, to) = asked.split_once("..").unwrap_or(("0", &asked));
    let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("SEEDS={asked} is neither N nor N..M"));
    number(from)..number(to)
}

#[test]
fn the_same_seed_is_the_same_run() {
    let history = |seed| {
        let mut world = World::new(Random::seeded(seed), Setting::of_seed(seed, Planted::NONE));
        world.suffer();
        world.heal();
        world.history()
    };
    assert!(!history(7).is_empty());
    assert_eq!(history(7), history(7));
    assert_ne!(history(7), history(8));
}

/// A simulation in which nothing happens would find nothing: every end and every detour must have been seen.
#[test]
fn the_seeds_reach_every_end() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..80 {
        let mut world = World::new(Random::seeded(seed), Setting::of_seed(seed, Planted::NONE));
        world.suffer();
        world.heal();
        seen.extend(world.sights());
    }
    for expected in [
        "completed",
        "cancelled OutOfStock",
        "cancelled PaymentDeclined",
        "cancelled DeadlinePassed",
        "cancelled Requested",
        "cancelled CaptureFailed",
        "stuck",
        "rejected",
        "looked up",
        "queued",
        "late",
        "repeated",
        "shipped",
        "refund refunded",
        "refund refused",
        "refund unknown",
        "return taken_back",
        "return expired",
        "customer acted",
        "customer refused",
        "customer acted too late",
        "cancelled CustomerActionExpired",
        "rejected",
    ] {
        assert!(seen.contains(expected), "never {expected}; only {seen:?}");
    }
}

proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 60, ..Default::default() })]

    #[test]
    fn no_schedule_breaks_a_rule(choices in vec(any::<u16>(), 0..1200)) {
        let found = run(Random::given(choices), Setting::of_seed(0, Planted::NONE));
        prop_assert!(found.is_empty(), "{found:#?}");
    }
}

#[cfg(feature = "planted-bugs")]
mod planted {
    use super::*;
    use domain::planted::Bug;

    /// The rule that a bug breaks first.
    fn rule_against(bug: Bug) -> &'static str {
        match bug {
            Bug::Oversell => "stock",
            Bug::ReleaseForgotten => "compensation",
            Bug::CompensateInWrongOrder => "order of undoing",
            Bug::PayBeforeReserving => "payment before reservation",
            Bug::DoubleCharge => "one charge",
            Bug::IgnoreLateReply => "compensation",
            Bug::DeadlineIgnored => "deadline",
            Bug::CommitForgotten => "termination",
            Bug::DoubleRefund => "one refund",
            Bug::RefundAboveCapture => "refund above capture",
            Bug::RestockTwice => "one return",
            Bug::ShipAfterCancel => "ship or cancel",
            Bug::HoldForgotten => "hold",
            Bug::PriceSlips => "deed",
            Bug::CaptureAfterCancel => "money",
            Bug::ActionDeadlineIgnored | Bug::CustomerNotAwaited => "the customer's time",
        }
    }

    #[test]
    fn every_planted_bug_is_caught_by_its_rule() {
        for bug in Bug::ALL {
            let (planted, rule) = (Planted::with(bug), rule_against(bug));
            let is_caught = (0..60).any(|seed| run_seed(seed, planted).iter().any(|found| found.rule == rule));
            assert!(is_caught, "no seed shows that {} breaks the rule on {rule}", bug.as_str());
        }
    }
}
