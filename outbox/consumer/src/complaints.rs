//! What the Kafka client complains of, and what is put off, told once and then now and then: during an outage the same comes
//! many times a second.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::failure::Failure;

/// The same complaint is told again after this.
const PERIOD: Duration = Duration::from_secs(10);
/// So many different ones are kept apart.
const KINDS: usize = 50;

/// The complaints of late.
#[derive(Debug, Default)]
pub(crate) struct Complaints(HashMap<String, Kept>);

#[derive(Debug)]
struct Kept {
    told: Instant,
    untold: u64,
}

impl Complaints {
    /// What failed comes again by itself; during an outage it is not told each time.
    pub(crate) fn tolerate(&mut self, failure: Failure, what: &str) -> Result<(), Failure> {
        match failure {
            Failure::Halt(reason) => Err(Failure::Halt(reason)),
            Failure::Retry(reason) | Failure::Poison(reason) | Failure::Environment(reason) => {
                if let Some(untold) = self.hear(&format!("{what}: {reason}"), Instant::now()) {
                    tracing::warn!(%reason, what, untold, "put off");
                }
                Ok(())
            }
        }
    }

    /// A complaint; how many equal ones were not told since the last, if this one is to be told.
    pub(crate) fn hear(&mut self, words: &str, now: Instant) -> Option<u64> {
        if self.0.len() >= KINDS && !self.0.contains_key(words) {
            self.0.retain(|_, kept| now.duration_since(kept.told) < PERIOD);
            if self.0.len() >= KINDS {
                return None;
            }
        }
        match self.0.get_mut(words) {
            Some(kept) if now.duration_since(kept.told) < PERIOD => {
                kept.untold += 1;
                None
            }
            Some(kept) => {
                kept.told = now;
                Some(std::mem::take(&mut kept.untold))
            }
            None => {
                self.0.insert(words.to_owned(), Kept { told: now, untold: 0 });
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_of_a_minute_is_told_every_ten_seconds_with_a_count() {
        let start = Instant::now();
        let mut complaints = Complaints::default();
        let told: Vec<(u64, u64)> = (0..2_340)
            .filter_map(|tick| {
                let passed = Duration::from_secs(60) * tick / 2_340;
                Some((passed.as_secs(), complaints.hear("all brokers are down", start + passed)?))
            })
            .collect();
        assert_eq!(told, [(0, 0), (10, 389), (20, 389), (30, 389), (40, 389), (50, 389)]);
        assert_eq!(complaints.hear("something else", start), Some(0));
    }

    #[test]
    fn ever_new_words_take_no_more_room() {
        let start = Instant::now();
        let mut complaints = Complaints::default();
        let told = (0..1_000).filter_map(|number| complaints.hear(&number.to_string(), start)).count();
        assert_eq!((told, complaints.0.len()), (KINDS, KINDS));
        assert_eq!(complaints.hear("later", start + PERIOD), Some(0));
    }
}
