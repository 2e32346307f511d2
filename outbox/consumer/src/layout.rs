//! The topics' partition counts while the service runs: they must stay what they were at its start.
//!
//! An order's messages are found by the count. New partitions are not taken, so nothing is written where no reader would look
//! for it; what lies in them waits. A count that seems lower is believed only after a while: a broker that just came up may
//! not know all topics yet.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A topic that is missing or has fewer partitions counts after so long.
const LOWER_PATIENCE: Duration = Duration::from_secs(20);

/// What is remembered between two looks.
#[derive(Debug)]
pub(crate) struct Layout {
    lanes: i32,
    lower_since: HashMap<Arc<str>, Instant>,
    told: Vec<String>,
}

impl Layout {
    /// For a service that was started with so many partitions.
    pub(crate) fn new(lanes: i32) -> Self {
        Layout { lanes, lower_since: HashMap::new(), told: Vec::new() }
    }

    /// What is different now, a line per topic; logged when it is news.
    pub(crate) fn look(&mut self, counts: &BTreeMap<Arc<str>, i32>, now: Instant) -> Vec<String> {
        let mut words = Vec::new();
        for (topic, count) in counts {
            if *count >= self.lanes {
                self.lower_since.remove(topic);
            } else {
                let since = *self.lower_since.entry(topic.clone()).or_insert(now);
                if now.duration_since(since) < LOWER_PATIENCE {
                    continue;
                }
            }
            words.extend(words_for(topic, *count, self.lanes));
        }
        if words != self.told {
            words.iter().filter(|line| !self.told.contains(line)).for_each(|line| tracing::error!("{line}"));
            if words.is_empty() {
                tracing::info!("all topics have the partitions again that they had at the start");
            }
            self.told.clone_from(&words);
        }
        words
    }
}

fn words_for(topic: &str, count: i32, lanes: i32) -> Option<String> {
    match count {
        _ if count == lanes => None,
        0 => Some(format!("topic {topic} is missing: it was there, with {lanes} partitions, when this worker started")),
        _ if count < lanes => Some(format!(
            "topic {topic} has {count} partitions now and had {lanes} when this worker started: it was made anew; stop the workers and make it with {lanes}"
        )),
        _ => Some(format!(
            "topic {topic} has {count} partitions now and had {lanes} when this worker started: the new ones are held, what \
             lies in them waits, and no worker starts again; partition counts are fixed when the topics are created"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(of: &[(&str, i32)]) -> BTreeMap<Arc<str>, i32> {
        of.iter().map(|(topic, count)| (Arc::from(*topic), *count)).collect()
    }

    #[test]
    fn a_raised_count_is_told_at_once_with_the_topic_and_both_counts() {
        let mut layout = Layout::new(6);
        let now = Instant::now();
        assert_eq!(layout.look(&counts(&[("a", 6), ("b", 6)]), now), Vec::<String>::new());
        let words = layout.look(&counts(&[("a", 6), ("b", 8)]), now);
        assert!(words.len() == 1 && words[0].starts_with("topic b has 8 partitions now and had 6"), "{words:?}");
    }

    #[test]
    fn a_missing_topic_is_believed_after_a_while() {
        let mut layout = Layout::new(6);
        let start = Instant::now();
        let missing = counts(&[("a", 0)]);
        assert!(layout.look(&missing, start).is_empty());
        assert!(layout.look(&missing, start + LOWER_PATIENCE / 2).is_empty());
        let words = layout.look(&missing, start + LOWER_PATIENCE);
        assert!(words[0].starts_with("topic a is missing"), "{words:?}");
        assert!(layout.look(&counts(&[("a", 6)]), start + LOWER_PATIENCE).is_empty());
        assert!(layout.look(&missing, start + LOWER_PATIENCE).is_empty(), "it is counted anew");
    }
}
