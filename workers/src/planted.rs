//! Bugs planted on purpose, so that the checker and the simulation can show that they would see them.
//!
//! Which bug is on is part of a core's policy, never a global. Without the feature `planted-bugs` the choice is a type of
//! size 0 that always says no, so that a release has neither the branch nor a way to ask for it.

/// A mistake that a core makes when asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bug {
    /// Inventory reserves without looking at what is available.
    Oversell,
    /// Order ends a declined order without releasing its stock.
    ReleaseForgotten,
    /// Order releases the stock before it voids the payment.
    CompensateInWrongOrder,
    /// Order asks for the payment before the stock is reserved.
    PayBeforeReserving,
    /// Payment takes a new idempotency key after an unknown outcome.
    DoubleCharge,
    /// Order ends a cancelled order at once and ignores the reply that was outstanding.
    IgnoreLateReply,
    /// Order does nothing when a deadline has passed.
    DeadlineIgnored,
    /// Order forgets to ask for the commit of the stock, and never completes.
    CommitForgotten,
    /// The clock of the worker's host is half an hour ahead.
    ClockAhead,
}

impl Bug {
    /// All of them.
    pub const ALL: [Bug; 9] = [
        Bug::Oversell,
        Bug::ReleaseForgotten,
        Bug::CompensateInWrongOrder,
        Bug::PayBeforeReserving,
        Bug::DoubleCharge,
        Bug::IgnoreLateReply,
        Bug::DeadlineIgnored,
        Bug::CommitForgotten,
        Bug::ClockAhead,
    ];

    /// The name to select it by.
    pub const fn as_str(self) -> &'static str {
        match self {
            Bug::Oversell => "oversell",
            Bug::ReleaseForgotten => "release-forgotten",
            Bug::CompensateInWrongOrder => "compensate-in-wrong-order",
            Bug::PayBeforeReserving => "pay-before-reserving",
            Bug::DoubleCharge => "double-charge",
            Bug::IgnoreLateReply => "ignore-late-reply",
            Bug::DeadlineIgnored => "deadline-ignored",
            Bug::CommitForgotten => "commit-forgotten",
            Bug::ClockAhead => "clock-ahead",
        }
    }
}

/// Why no bug of this name can be planted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlantError {
    /// The program was built without the feature `planted-bugs`.
    #[error("this program was built without planted bugs and refuses {0:?}")]
    NotBuiltIn(String),
    /// No bug has this name.
    #[error("no planted bug is called {0:?}; there are: {known}", known = Bug::ALL.map(Bug::as_str).join(", "))]
    NoSuchBug(String),
}

/// Which bug is on: at most one.
#[cfg(feature = "planted-bugs")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Planted(Option<Bug>);

#[cfg(feature = "planted-bugs")]
impl Planted {
    /// No bug.
    pub const NONE: Planted = Planted(None);

    /// The bug of this name.
    pub fn by_name(name: &str) -> Result<Planted, PlantError> {
        match Bug::ALL.into_iter().find(|bug| bug.as_str() == name) {
            Some(bug) => Ok(Planted(Some(bug))),
            None => Err(PlantError::NoSuchBug(name.to_owned())),
        }
    }

    /// Whether this bug is on.
    #[inline]
    pub fn has(self, bug: Bug) -> bool {
        self.0 == Some(bug)
    }
}

/// Which bug is on: none, since the feature `planted-bugs` is off.
#[cfg(not(feature = "planted-bugs"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Planted;

#[cfg(not(feature = "planted-bugs"))]
impl Planted {
    /// No bug.
    pub const NONE: Planted = Planted;

    /// Always an error: no bug is built in.
    pub fn by_name(name: &str) -> Result<Planted, PlantError> {
        Err(PlantError::NotBuiltIn(name.to_owned()))
    }

    /// No.
    #[inline]
    pub const fn has(self, _bug: Bug) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let names: std::collections::BTreeSet<_> = Bug::ALL.into_iter().map(Bug::as_str).collect();
        assert_eq!(names.len(), Bug::ALL.len());
    }

    #[cfg(not(feature = "planted-bugs"))]
    #[test]
    fn a_release_refuses_and_carries_nothing() {
        assert_eq!(size_of::<Planted>(), 0);
        assert_eq!(Planted::by_name("oversell"), Err(PlantError::NotBuiltIn("oversell".into())));
        assert!(Bug::ALL.into_iter().all(|bug| !Planted::NONE.has(bug)));
    }

    #[cfg(feature = "planted-bugs")]
    #[test]
    fn one_bug_is_on_by_its_name() {
        for bug in Bug::ALL {
            let planted = Planted::by_name(bug.as_str()).unwrap();
            assert!(Bug::ALL.into_iter().all(|other| planted.has(other) == (other == bug)));
        }
        assert!(Planted::by_name("none of these").is_err());
    }
}
