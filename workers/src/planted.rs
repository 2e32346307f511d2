//! What goes wrong in a daemon when a test asks for it: a bug in what its core decides, or a mishap of its surroundings.
//!
//! Without the feature `planted-bugs` the choice is a type of size 0 that always says no, so that a release has neither the
//! branch nor a way to ask for it. The bugs themselves are in `domain::planted`, what befalls the Kafka client in
//! `consumer::planted`.

use consumer::planted::Mishap;
use domain::planted::{self, Bug};

/// The name of a host's clock that is half an hour ahead.
const CLOCK_AHEAD: &str = "clock-ahead";

/// The name of a payment service that takes a webhook's word for the provider's.
const WEBHOOK_BELIEVED: &str = "webhook-believed";

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
    let mishaps = Mishap::ALL.map(Mishap::as_str).into_iter().chain([CLOCK_AHEAD, WEBHOOK_BELIEVED]);
    Bug::ALL.map(Bug::as_str).into_iter().chain(mishaps).collect()
}

/// Which bug or mishap is on: at most one.
#[cfg(feature = "planted-bugs")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Planted {
    /// In what the core decides.
    pub decisions: planted::Planted,
    /// What befalls the Kafka client.
    pub client: consumer::planted::Planted,
    /// Whether the clock of the host is half an hour ahead.
    pub is_clock_ahead: bool,
    /// Whether the payment service believes what a webhook says.
    pub is_webhook_believed: bool,
}

#[cfg(feature = "planted-bugs")]
impl Planted {
    /// No bug.
    pub const NONE: Planted = Planted {
        decisions: planted::Planted::NONE,
        client: consumer::planted::Planted::NONE,
        is_clock_ahead: false,
        is_webhook_believed: false,
    };

    /// The bug or mishap of this name.
    pub fn by_name(name: &str) -> Result<Planted, PlantError> {
        if let Some(bug) = Bug::ALL.into_iter().find(|bug| bug.as_str() == name) {
            return Ok(Planted { decisions: planted::Planted::with(bug), ..Planted::NONE });
        }
        if let Some(mishap) = Mishap::ALL.into_iter().find(|mishap| mishap.as_str() == name) {
            return Ok(Planted { client: consumer::planted::Planted::with(mishap), ..Planted::NONE });
        }
        match name {
            CLOCK_AHEAD => Ok(Planted { is_clock_ahead: true, ..Planted::NONE }),
            WEBHOOK_BELIEVED => Ok(Planted { is_webhook_believed: true, ..Planted::NONE }),
            _ => Err(PlantError::NoSuchBug(name.to_owned())),
        }
    }
}

/// Which bug is on: none, since the feature `planted-bugs` is off.
#[cfg(not(feature = "planted-bugs"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Planted {
    /// None.
    pub decisions: planted::Planted,
    /// Nothing.
    pub client: consumer::planted::Planted,
}

#[cfg(not(feature = "planted-bugs"))]
impl Planted {
    /// No bug.
    pub const NONE: Planted = Planted { decisions: planted::Planted::NONE, client: consumer::planted::Planted::NONE };

    /// Always an error: no bug is built in.
    pub fn by_name(name: &str) -> Result<Planted, PlantError> {
        Err(PlantError::NotBuiltIn(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let distinct: std::collections::BTreeSet<_> = names().into_iter().collect();
        assert_eq!(distinct.len(), Bug::ALL.len() + Mishap::ALL.len() + 2);
    }

    #[cfg(not(feature = "planted-bugs"))]
    #[test]
    fn a_release_refuses_and_carries_nothing() {
        assert_eq!(size_of::<Planted>(), 0);
        assert_eq!(Planted::by_name("oversell"), Err(PlantError::NotBuiltIn("oversell".into())));
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
            assert_eq!(planted, Planted { client: consumer::planted::Planted::with(mishap), ..Planted::NONE });
        }
        assert!(Planted::by_name(CLOCK_AHEAD).unwrap().is_clock_ahead);
        assert!(Planted::by_name(WEBHOOK_BELIEVED).unwrap().is_webhook_believed);
        assert!(Planted::by_name("none of these").is_err());
    }
}
