//! Goals that a run is held against.
//!
//! Which ones a program has is that program's affair; this is what a goal is.

use serde::Serialize;

/// One goal.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Goal {
    /// What is measured.
    pub(crate) what: String,
    /// What it is measured in.
    pub(crate) unit: &'static str,
    /// The bound.
    pub(crate) goal: f64,
    /// What was found.
    pub(crate) measured: f64,
    /// Measured by goal.
    pub(crate) ratio: f64,
    /// Whether the goal is reached.
    pub(crate) met: bool,
}

/// Bytes as people read them.
#[expect(clippy::float_arithmetic, reason = "a figure for people, not an amount")]
pub(crate) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// A goal that is reached from its bound upwards.
pub(crate) fn at_least(what: impl Into<String>, unit: &'static str, goal: f64, measured: f64) -> Goal {
    Goal { what: what.into(), unit, goal, measured, ratio: quotient(measured, goal), met: measured >= goal }
}

/// A goal that is reached up to its bound.
pub(crate) fn at_most(what: impl Into<String>, unit: &'static str, goal: f64, measured: f64) -> Goal {
    Goal { what: what.into(), unit, goal, measured, ratio: quotient(measured, goal), met: measured <= goal }
}

/// A goal that only its very value reaches.
pub(crate) fn exactly(what: impl Into<String>, unit: &'static str, goal: f64, measured: f64) -> Goal {
    let is_met = goal.total_cmp(&measured).is_eq();
    Goal { what: what.into(), unit, goal, measured, ratio: quotient(measured, goal), met: is_met }
}

/// A ratio.
#[expect(clippy::float_arithmetic, reason = "a ratio of rates, not an amount")]
pub(crate) fn quotient(value: f64, by: f64) -> f64 {
    value / by
}

/// The middle one; of an even number the higher one of the two.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
