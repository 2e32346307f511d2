//! What befalls the Kafka client, or goes wrong in the engine, when a test asks for it: what no test could bring about otherwise.
//!
//! Without the feature `planted-bugs` the choice is a type of size 0 that always says no, so that a release has neither the
//! branch nor a way to ask for it.

/// What a consumer suffers when asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mishap {
    /// It cannot read a record whose key begins with `unreadable-`, and stands before it.
    RecordUnreadable,
    /// The process's first client is lost once it has seen a record whose key begins with `client-lost-`.
    ClientLost,
    /// A record does not wait behind a parked one of its key.
    ParkedOvertaken,
}

impl Mishap {
    /// All of them.
    pub const ALL: [Mishap; 3] = [Mishap::RecordUnreadable, Mishap::ClientLost, Mishap::ParkedOvertaken];

    /// The name to select it by.
    pub const fn as_str(self) -> &'static str {
        match self {
            Mishap::RecordUnreadable => "record-unreadable",
            Mishap::ClientLost => "client-lost",
            Mishap::ParkedOvertaken => "parked-overtaken",
        }
    }

    /// How the key of a record begins that it befalls; any key where it is empty.
    pub const fn key_prefix(self) -> &'static [u8] {
        match self {
            Mishap::RecordUnreadable => b"unreadable-",
            Mishap::ClientLost => b"client-lost-",
            Mishap::ParkedOvertaken => b"",
        }
    }
}

/// Which mishap is on: at most one.
#[cfg(feature = "planted-bugs")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Planted(Option<Mishap>);

#[cfg(feature = "planted-bugs")]
impl Planted {
    /// None.
    pub const NONE: Planted = Planted(None);

    /// This one.
    pub const fn with(mishap: Mishap) -> Self {
        Planted(Some(mishap))
    }

    /// Whether this mishap is on.
    #[inline]
    pub fn suffers(self, mishap: Mishap) -> bool {
        self.0 == Some(mishap)
    }

    /// Whether a record with this key brings the mishap about.
    #[inline]
    pub fn befalls(self, mishap: Mishap, key: Option<&[u8]>) -> bool {
        self.suffers(mishap) && key.is_some_and(|key| key.starts_with(mishap.key_prefix()))
    }
}

/// Which mishap is on: none, since the feature `planted-bugs` is off.
#[cfg(not(feature = "planted-bugs"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Planted;

#[cfg(not(feature = "planted-bugs"))]
impl Planted {
    /// None.
    pub const NONE: Planted = Planted;

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

    #[cfg(not(feature = "planted-bugs"))]
    #[test]
    fn a_release_carries_nothing() {
        assert_eq!(size_of::<Planted>(), 0);
        assert!(Mishap::ALL.into_iter().all(|mishap| !Planted::NONE.befalls(mishap, Some(mishap.key_prefix()))));
    }

    #[cfg(feature = "planted-bugs")]
    #[test]
    fn one_mishap_is_on_and_befalls_the_keys_that_ask_for_it() {
        for mishap in Mishap::ALL {
            let planted = Planted::with(mishap);
            assert!(planted.befalls(mishap, Some(mishap.key_prefix())));
            assert_eq!(planted.befalls(mishap, Some(b"order")), mishap.key_prefix().is_empty());
            assert!(Mishap::ALL.into_iter().all(|other| planted.suffers(other) == (other == mishap)));
        }
    }
}
