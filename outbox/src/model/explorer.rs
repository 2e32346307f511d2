//! Breadth first over every state that the bounds allow, so that the first violation found has a shortest trace.
//!
//! States are told apart by a digest of 128 bits; only those at the edge are kept whole. The order of steps is fixed, so
//! two runs find the same numbers and the same trace.

use std::collections::{HashSet, VecDeque};
use std::fmt::Write;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};

use crate::model::bounds::{Bounds, Variant};
use crate::model::property;
use crate::model::state::State;
use crate::model::step::{self, Step};

/// What an exploration came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) states: usize,
    pub(super) transitions: usize,
    /// Steps of the longest of all shortest ways to a state.
    pub(super) depth: usize,
    /// States in which everything has come to rest.
    pub(super) at_rest: usize,
    pub(super) violation: Option<Violation>,
}

/// The first violation, with a shortest way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) what: String,
    pub(super) trace: Vec<Step>,
}

impl Violation {
    /// The trace for people, a step a line.
    pub(super) fn story(&self) -> String {
        let mut text = String::new();
        for (number, step) in (1..).zip(&self.trace) {
            writeln!(text, "{number:>3}. {step:?}").unwrap();
        }
        write!(text, "  => {}", self.what).unwrap();
        text
    }
}

/// A state that was reached: by which step from which earlier one.
struct Reached {
    from: usize,
    step: Option<Step>,
    depth: usize,
}

/// Explores everything that the bounds allow, or until something is violated.
pub(super) fn explore(bounds: &Bounds, variant: Variant) -> Outcome {
    let first = State::new(bounds);
    let mut seen: HashSet<u128, BuildHasherDefault<Digested>> = HashSet::default();
    let own = digest(&first);
    seen.insert(own);
    let mut reached = vec![Reached { from: 0, step: None, depth: 0 }];
    let mut edge = VecDeque::from([(first, own, 0)]);
    let mut outcome = Outcome { states: 1, transitions: 0, depth: 0, at_rest: 0, violation: None };
    while let Some((state, own, index)) = edge.pop_front() {
        let mut rests = true;
        for step in step::list(&state, bounds, variant) {
            let next = step::apply(&state, step, bounds, variant);
            let digest = digest(&next);
            // A step that changes nothing is no step.
            if digest == own {
                continue;
            }
            outcome.transitions += 1;
            rests &= step.is_fault();
            if seen.insert(digest) {
                let depth = reached[index].depth + 1;
                reached.push(Reached { from: index, step: Some(step), depth });
                outcome.depth = depth;
                outcome.states += 1;
                let at = reached.len() - 1;
                if let Some(what) = property::always(&next) {
                    outcome.violation = Some(Violation { what, trace: trace(&reached, at) });
                    return outcome;
                }
                edge.push_back((next, digest, at));
            }
        }
        if rests {
            outcome.at_rest += 1;
            if let Some(what) = property::at_rest(&state, bounds, variant) {
                outcome.violation = Some(Violation { what, trace: trace(&reached, index) });
                return outcome;
            }
        }
    }
    outcome
}

fn trace(reached: &[Reached], mut at: usize) -> Vec<Step> {
    let mut steps = Vec::new();
    while let Reached { from, step: Some(step), .. } = reached[at] {
        steps.push(step);
        at = from;
    }
    steps.reverse();
    steps
}

fn digest(state: &State) -> u128 {
    let mut bytes = Bytes(Vec::with_capacity(256));
    state.hash(&mut bytes);
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(salt);
        hasher.write(&bytes.0);
        u128::from(hasher.finish())
    };
    half(1) << 64 | half(2)
}

/// Gathers what is hashed; all numbers of the model are small.
struct Bytes(Vec<u8>);

impl Hasher for Bytes {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn write_u8(&mut self, number: u8) {
        self.0.push(number);
    }

    fn write_i64(&mut self, number: i64) {
        self.0.push(u8::try_from(number + 1).unwrap());
    }

    fn write_u64(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn write_usize(&mut self, number: usize) {
        self.0.push(u8::try_from(number).unwrap());
    }

    fn write_isize(&mut self, number: isize) {
        self.0.push(u8::try_from(number).unwrap());
    }

    fn finish(&self) -> u64 {
        unreachable!("the bytes are digested whole")
    }
}

/// Digests are spread evenly already.
#[derive(Default)]
struct Digested(u64);

impl Hasher for Digested {
    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            self.0 ^= u64::from_le_bytes(word);
        }
    }

    fn write_u128(&mut self, number: u128) {
        self.0 = u64::try_from(number >> 64).unwrap();
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
