//! Whether another process has this instance's id, judged from the errors that were fatal for its Kafka clients. Pure.
//!
//! A broker that restarts can fence a static member that did nothing wrong (Kafka 4.3.0: the group's state is loaded without
//! the member's last id), once per restart. So an error that follows a lost connection is no sign of a rival, however often
//! it comes; only an instance that is fenced again and again on connections that held has one.

use std::time::{Duration, Instant};

/// So many signs within `WINDOW` are a rival.
const COUNT: usize = 5;
const WINDOW: Duration = Duration::from_secs(60);

/// What speaks for a rival.
#[derive(Debug, Default)]
pub(crate) struct Rivalry {
    /// Fatal errors of clients whose connections held, lately.
    signs: Vec<Instant>,
    /// Whether a connection was lost since the last fatal error.
    has_lost_broker: bool,
}

impl Rivalry {
    /// A connection to a broker was lost.
    pub(crate) fn broker_lost(&mut self) {
        self.has_lost_broker = true;
    }

    /// A client had a fatal error. Answers with words if that means a rival.
    pub(crate) fn fatal(&mut self, now: Instant) -> Option<String> {
        if std::mem::take(&mut self.has_lost_broker) {
            return None;
        }
        self.signs.retain(|earlier| now.duration_since(*earlier) < WINDOW);
        self.signs.push(now);
        (self.signs.len() >= COUNT).then(|| {
            format!(
                "{} times within {} s without losing a broker: is there another process with this INSTANCE_ID? Each needs \
                 its own",
                self.signs.len(),
                WINDOW.as_secs()
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of the first fatal error, one every so many seconds, that is taken for a rival's.
    fn first_sign(period_s: u64, outage: bool) -> Option<u64> {
        let start = Instant::now();
        let mut rivalry = Rivalry::default();
        (1..=50).find(|number| {
            if outage {
                rivalry.broker_lost();
            }
            rivalry.fatal(start + Duration::from_secs(number * period_s)).is_some()
        })
    }

    #[test]
    fn an_instance_that_is_fenced_again_and_again_has_a_rival() {
        assert_eq!(first_sign(1, false), Some(5));
        assert_eq!(first_sign(14, false), Some(5));
        assert_eq!(first_sign(15, false), None, "too seldom");
    }

    #[test]
    fn a_broker_that_restarts_again_and_again_is_no_rival() {
        assert_eq!(first_sign(1, true), None);
    }

    #[test]
    fn one_outage_excuses_one_error() {
        let now = Instant::now();
        let mut rivalry = Rivalry::default();
        rivalry.broker_lost();
        rivalry.broker_lost();
        let signs = (0..6).filter_map(|_| rivalry.fatal(now)).count();
        assert_eq!(signs, 1, "the sixth error is the fifth sign");
    }
}
