//! Bugs planted on purpose, so that the checker and the simulation can show that they would see them.
//!
//! Which bug is on is part of a core's policy, never a global; a mishap befalls the engine's Kafka client. Without the
//! feature `planted-bugs` the choice is a type of size 0 that always says no, so that a release has neither the branch nor
//! a way to ask for it.

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

/// What the Kafka client suffers when asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mishap {
    /// It cannot read a record whose key begins with `unreadable-`, and stands before it.
    RecordUnreadable,
    /// The process's first client is lost once it has seen a record whose key begins with `client-lost-`.
    ClientLost,
}

impl Mishap {
    /// Both of them.
    pub const ALL: [Mishap; 2] = [Mishap::RecordUnreadable, Mishap::ClientLost];

    /// The name to select it by.
    pub const fn as_str(self) -> &'static str {
        match self {
            Mishap::RecordUnreadable => "record-unreadable",
            Mishap::ClientLost => "client-lost",
        }
    }

    /// How the key of a record begins that it befalls.
    pub const fn key_prefix(self) -> &'static [u8] {
        match self {
            Mishap::RecordUnreadable => b"unreadable-",
            Mishap::ClientLost => b"client-lost-",
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
    #[error("no planted bug is called {0:?}; there are: {known}", known = names().join(", "))]
    NoSuchBug(String),
}

fn names() -> Vec<&'static str> {
    Bug::ALL.map(Bug::as_str).into_iter().chain(Mishap::ALL.map(Mishap::as_str)).collect()
}

/// Which bug or mishap is on: at most one.
#[cfg(feature = "planted-bugs")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Planted {
    bug: Option<Bug>,
    mishap: Option<Mishap>,
}

#[cfg(feature = "planted-bugs")]
impl Planted {
    /// No bug.
    pub const NONE: Planted = Planted { bug: None, mishap: None };

    /// The bug or mishap of this name.
    pub fn by_name(name: &str) -> Result<Planted, PlantError> {
        let bug = Bug::ALL.into_iter().find(|bug| bug.as_str() == name);
        let mishap = Mishap::ALL.into_iter().find(|mishap| mishap.as_str() == name);
        if bug.is_none() && mishap.is_none() {
            return Err(PlantError::NoSuchBug(name.to_owned()));
        }
        Ok(Planted { bug, mishap })
    }

    /// Whether this bug is on.
    #[inline]
    pub fn has(self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    /// Whether this mishap is on.
    #[inline]
    pub fn suffers(self, mishap: Mishap) -> bool {
        self.mishap == Some(mishap)
    }

    /// Whether a record with this key brings the mishap about.
    #[inline]
    pub fn befalls(self, mishap: Mishap, key: Option<&[u8]>) -> bool {
        self.suffers(mishap) && key.is_some_and(|key| key.starts_with(mishap.key_prefix()))
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

    /// No.
    #[inline]
    pub const fn suffers(self, _mishap: Mishap) -> bool {
        false
    }

    /// No.
    #[inline]
    pub const fn befalls(self, _mishap: Mishap, _key: Option<&[u8]>) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let distinct: std::collections::BTreeSet<_> = names().into_iter().collect();
        assert_eq!(distinct.len(), Bug::ALL.len() + Mishap::ALL.len());
    }

    #[cfg(not(feature = "planted-bugs"))]
    #[test]
    fn a_release_refuses_and_carries_nothing() {
        assert_eq!(size_of::<Planted>(), 0);
        assert_eq!(Planted::by_name("oversell"), Err(PlantError::NotBuiltIn("oversell".into())));
        assert!(Bug::ALL.into_iter().all(|bug| !Planted::NONE.has(bug)));
        assert!(Mishap::ALL.into_iter().all(|mishap| !Planted::NONE.befalls(mishap, Some(mishap.key_prefix()))));
    }

    #[cfg(feature = "planted-bugs")]
    #[test]
    fn one_bug_is_on_by_its_name() {
        for bug in Bug::ALL {
            let planted = Planted::by_name(bug.as_str()).unwrap();
            assert!(Bug::ALL.into_iter().all(|other| planted.has(other) == (other == bug)));
        }
        for mishap in Mishap::ALL {
            let planted = Planted::by_name(mishap.as_str()).unwrap();
            assert!(planted.befalls(mishap, Some(mishap.key_prefix())) && !planted.befalls(mishap, Some(b"order")));
        }
        assert!(Planted::by_name("none of these").is_err());
    }
}
