//! What following topics does not show by itself: transactions that nobody ends, and partitions that stand before their ends.
//!
//! Looked at from time to time, beside copying; each is told once when it has lasted from one look to the next, and once
//! more when it is over. A transaction of a client that works is not worth a word.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::error::ReplayError;
use crate::log::{Channel, KafkaLog, Lookout};
use crate::progress::Progress;

/// How often to look.
const LOOK_EVERY: Duration = Duration::from_secs(12);

/// The looks.
pub(super) struct Watch {
    lookout: Lookout,
    looked: Instant,
    /// What stood at the last look: where, and at which offset.
    stood: BTreeMap<(Channel, i32), Stand>,
    told: BTreeSet<(Channel, i32)>,
}

/// Where a partition stands, and why, in words.
struct Stand {
    at: i64,
    words: String,
}

impl Watch {
    pub(super) fn new(kafka: &KafkaLog) -> Result<Self, ReplayError> {
        let lookout = kafka.brief_lookout()?;
        Ok(Watch { lookout, looked: Instant::now(), stood: BTreeMap::new(), told: BTreeSet::new() })
    }

    /// Look, if it is time to: `places` are the partitions with the offsets that come next. Blocks for two seconds at most
    /// when the brokers do not answer, which is an error.
    pub(super) fn look(
        &mut self,
        places: impl FnOnce() -> Vec<(Channel, i32, i64)>,
        progress: &Progress,
    ) -> Result<(), ReplayError> {
        if self.looked.elapsed() < LOOK_EVERY {
            return Ok(());
        }
        self.looked = Instant::now();
        let stand = self.standing(&places())?;
        for (place, now) in &stand {
            let lasts = self.stood.get(place).is_some_and(|before| before.at == now.at);
            if lasts && self.told.insert(*place) {
                progress.tell(&format!("left out for now: {}", now.words));
            }
        }
        let over: Vec<(Channel, i32)> = self.told.iter().copied().filter(|place| !stand.contains_key(place)).collect();
        for place in over {
            self.told.remove(&place);
            progress.tell(&format!("{}[{}] resumes", place.0.name(), place.1));
        }
        self.stood = stand;
        Ok(())
    }

    fn standing(&self, places: &[(Channel, i32, i64)]) -> Result<BTreeMap<(Channel, i32), Stand>, ReplayError> {
        let channels: BTreeSet<Channel> = places.iter().map(|(channel, _, _)| *channel).collect();
        let mut stand = BTreeMap::new();
        for channel in channels {
            let seen = self.lookout.look(channel)?;
            for open in &seen.open {
                stand.insert((channel, open.partition), Stand { at: open.first, words: open.to_string() });
            }
            for (_, partition, next) in places.iter().filter(|(of, _, _)| *of == channel) {
                let end =
                    usize::try_from(*partition).ok().and_then(|index| seen.stable.get(index)).map_or(0, |at| at.end);
                if *next < end {
                    let words =
                        format!("{}[{partition}] stands at offset {next}, and its log ends at {end}", channel.name());
                    stand.insert((channel, *partition), Stand { at: *next, words });
                }
            }
        }
        Ok(stand)
    }
}
