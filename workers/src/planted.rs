//! What goes wrong in a daemon when a test asks for it: a bug in what its core decides, or a mishap of its surroundings.
//!
//! Without the feature `planted-bugs` the choice is a type of size 0 that always says no, so that a release has neither the
//! branch nor a way to ask for it. The bugs themselves are in `domain::planted`.

use domain::planted::{self, Bug};

/// What the daemon suffers when asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mishap {
    /// The clock of its host is half an hour ahead.
    ClockAhead,
    /// Its Kafka client cannot read a record whose key begins with `unreadable-`, and stands before it.
    RecordUnreadable,
    /// The process's first Kafka client is lost once it has seen a record whose key begins with `client-lost-`.
    ClientLost,
}

impl Mishap {
    /// All of them.
    pub const ALL: [Mishap; 3] = [Mishap::ClockAhead, Mishap::RecordUnreadable, Mishap::ClientLost];

    /// The name to select it by.
    pub const fn as_str(self) -> &'static str {
        match self {
            Mishap::ClockAhead => "clock-ahead",
            Mishap::RecordUnreadable => "record-unreadable",
            Mishap::ClientLost => "client-lost",
        }
    }

    /// How the key of a record begins that brings it about, where a record does.
    pub const fn key_prefix(self) -> Option<&'static [u8]> {
        match self {
            Mishap::ClockAhead => None,
            Mishap::RecordUnreadable => Some(b"unreadable-"),
            Mishap::ClientLost => Some(b"client-lost-"),
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
    /// In what the core decides.
    pub decisions: planted::Planted,
    mishap: Option<Mishap>,
}

#[cfg(feature = "planted-bugs")]
impl Planted {
    /// No bug.
    pub const NONE: Planted = Planted { decisions: planted::Planted::NONE, mishap: None };

    /// The bug or mishap of this name.
    pub fn by_name(name: &str) -> Result<Planted, PlantError> {
        if let Some(bug) = Bug::ALL.into_iter().find(|bug| bug.as_str() == name) {
            return Ok(Planted { decisions: planted::Planted::with(bug), ..Planted::NONE });
        }
        match Mishap::ALL.into_iter().find(|mishap| mishap.as_str() == name) {
            Some(mishap) => Ok(Planted { mishap: Some(mishap), ..Planted::NONE }),
            None => Err(PlantError::NoSuchBug(name.to_owned())),
        }
    }

    /// Whether this mishap is on.
    #[inline]
    pub fn suffers(self, mishap: Mishap) -> bool {
        self.mishap == Some(mishap)
    }

    /// Whether a record with this key brings the mishap about.
    #[inline]
    pub fn befalls(self, mishap: Mishap, key: Option<&[u8]>) -> bool {
        let is_it = |(key, prefix): (&[u8], &[u8])| key.starts_with(prefix);
        self.suffers(mishap) && key.zip(mishap.key_prefix()).is_some_and(is_it)
    }
}

/// Which bug is on: none, since the feature `planted-bugs` is off.
#[cfg(not(feature = "planted-bugs"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Planted {
    /// None.
    pub decisions: planted::Planted,
}

#[cfg(not(feature = "planted-bugs"))]
impl Planted {
    /// No bug.
    pub const NONE: Planted = Planted { decisions: planted::Planted::NONE };

    /// Always an error: no bug is built in.
    pub fn by_name(name: &str) -> Result<Planted, PlantError> {
        Err(PlantError::NotBuiltIn(name.to_owned()))
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
        assert!(Mishap::ALL.into_iter().all(|mishap| !Planted::NONE.suffers(mishap)));
    }

    #[cfg(feature = "planted-bugs")]
    #[test]
    fn one_bug_is_on_by_its_name() {
        for bug in Bug::ALL {
            let planted = Planted::by_name(bug.as_str()).unwrap();
            assert_eq!(planted, Planted { decisions: planted::Planted::with(bug), ..Planted::NONE });
        }
        for mishap in Mishap::ALL {
            let planted = Planted::by_name(mishap.as_str()).unwrap();
            assert!(planted.suffers(mishap) && !planted.befalls(mishap, Some(b"order")));
            assert_eq!(planted.befalls(mishap, mishap.key_prefix()), mishap.key_prefix().is_some());
        }
        assert!(Planted::by_name("none of these").is_err());
    }
}
