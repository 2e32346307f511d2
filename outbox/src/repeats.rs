//! Which of a series of equal warnings is logged: the first, then one every ten seconds that says how many were not.
//!
//! An outage makes every retry fail in the same way; a log that tells each of them hides everything else. Pure.

use std::time::{Duration, Instant};

/// Longest silence about something that goes on.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// The last warning, and what of it was not logged.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    last: Option<(String, Instant)>,
    untold: u64,
}

impl Repeats {
    /// Whether this warning is to be logged now; if so, how many equal ones were not since the last that was.
    pub(crate) fn tell(&mut self, warning: &str, now: Instant) -> Option<u64> {
        let is_repeated = self
            .last
            .as_ref()
            .is_some_and(|(told, at)| told == warning && now.saturating_duration_since(*at) < TELL_EVERY);
        if is_repeated {
            self.untold += 1;
            return None;
        }
        let same = self.last.as_ref().is_some_and(|(told, _)| told == warning);
        let untold = if same { self.untold } else { 0 };
        (self.last, self.untold) = (Some((warning.to_owned(), now)), 0);
        Some(untold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_at_once_and_then_every_ten_seconds_with_a_count() {
        let (mut repeats, began) = (Repeats::default(), Instant::now());
        let told: Vec<Option<u64>> =
            (0..25).map(|second| repeats.tell("away", began + Duration::from_secs(second))).collect();
        let logged: Vec<(usize, u64)> =
            told.iter().enumerate().filter_map(|(second, untold)| Some((second, (*untold)?))).collect();
        assert_eq!(logged, [(0, 0), (10, 9), (20, 9)]);
        assert_eq!(repeats.tell("another", began + Duration::from_secs(25)), Some(0));
    }
}
