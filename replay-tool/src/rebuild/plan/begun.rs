//! What a run has set out to do, as it is written down before its first unit: a run that was killed is ended as it was
//! begun.

use super::Plan;
use super::marks::Marks;
use super::vector::{Until, Vector};

/// A run's plan, without what can be looked up again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Begun {
    pub(crate) ends: Vector,
    pub(crate) marks: Marks,
    pub(crate) until_ms: Option<i64>,
    pub(crate) unit_records: u64,
}

impl Begun {
    /// Of a new run.
    pub(crate) fn of(plan: &Plan, unit_records: u64) -> Self {
        Begun { ends: plan.ends.clone(), marks: plan.marks.clone(), until_ms: plan.until_ms, unit_records }
    }

    /// Of an earlier one: vector and marks as JSON.
    pub(crate) fn read(
        ends: &str,
        marks: &str,
        until_ms: Option<i64>,
        unit_records: i64,
    ) -> Result<Self, serde_json::Error> {
        Ok(Begun {
            ends: serde_json::from_str(ends)?,
            marks: serde_json::from_str(marks)?,
            until_ms,
            unit_records: u64::try_from(unit_records).unwrap_or(1),
        })
    }

    /// Vector and marks as JSON.
    pub(crate) fn written(&self) -> Result<(String, String), serde_json::Error> {
        Ok((serde_json::to_string(&self.ends)?, serde_json::to_string(&self.marks)?))
    }

    /// For a column.
    pub(crate) fn unit_records_signed(&self) -> i64 {
        i64::try_from(self.unit_records).unwrap_or(i64::MAX)
    }

    /// As it was asked for then.
    pub(crate) fn until(&self) -> Until {
        Until::Vector(self.ends.clone())
    }
}
