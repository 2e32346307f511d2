//! Whether this instance's Kafka client is alive, and when to take another one. Pure: time and all signs are inputs.
//!
//! A client that was left without any broker after an outage may never connect again (librdkafka issue 5301), and tells
//! nobody. So: no assignment, no connection, or feeds that are not fetched although they were set to their offsets again, for
//! `PATIENCE`, and the brokers do answer another client: a new client joins the group, as often as it takes, at growing
//! intervals. While the brokers answer nobody, a new client would not help, and a restart would not either: the instance is
//! not ready, but live. It is not live only when the brokers answer and no client of this process has come back for
//! `LIFE_PATIENCE`.

use std::time::{Duration, Instant};

/// A trouble that lasts so long makes the instance not ready.
const READY_PATIENCE: Duration = Duration::from_secs(5);
/// A trouble that lasts so long calls for a new client.
const PATIENCE: Duration = Duration::from_secs(30);
/// So long the brokers must have answered before.
const REACHABLE_FOR: Duration = Duration::from_secs(10);
/// A trouble that lasts so long, whatever was tried, calls for a new process.
const LIFE_PATIENCE: Duration = Duration::from_secs(180);
/// Between two new clients: doubled each time, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(120);

/// What is wrong with the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It is connected to no broker.
    Unconnected,
    /// The group has given it no partitions, nor said that there are none.
    Unassigned,
    /// It does not bring what the logs hold.
    NotFetching,
}

impl Trouble {
    /// For people.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Trouble::Unconnected => "the Kafka client has no connection to any broker",
            Trouble::Unassigned => "no partitions assigned: the group has not decided",
            Trouble::NotFetching => "the Kafka client does not fetch what the logs hold",
        }
    }
}

/// What is seen of the client at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signs {
    pub(crate) now: Instant,
    pub(crate) is_assigned: bool,
    pub(crate) is_connected: bool,
    /// Whether feeds stand that were fetched again in vain.
    pub(crate) is_starved: bool,
    /// Since when the brokers answer another client of this process.
    pub(crate) reachable_since: Option<Instant>,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Finding {
    /// What keeps the instance from being ready, and for how long.
    pub(crate) obstacle: Option<(Trouble, Duration)>,
    /// A new client is to be made now, for this reason.
    pub(crate) renew: Option<Trouble>,
    /// Only a new process can help.
    pub(crate) is_hopeless: bool,
}

/// What is remembered between two looks.
#[derive(Debug)]
pub(crate) struct Watchdog {
    since: Option<Instant>,
    renewed: Option<Instant>,
    pause: Duration,
}

impl Watchdog {
    /// For a client that was just made.
    pub(crate) fn new() -> Self {
        Watchdog { since: None, renewed: None, pause: FIRST_PAUSE }
    }

    /// A new client was made, by this or another's finding: it gets its time before the next one.
    pub(crate) fn renewed(&mut self, now: Instant) {
        self.pause = self.renewed.map_or(FIRST_PAUSE, |_| (self.pause * 2).min(LONGEST_PAUSE));
        self.renewed = Some(now);
    }

    /// Take a look.
    pub(crate) fn look(&mut self, signs: &Signs) -> Finding {
        let Some(trouble) = trouble_of(signs) else {
            *self = Watchdog::new();
            return Finding::default();
        };
        let since = *self.since.get_or_insert(signs.now);
        let lasts = signs.now.duration_since(since);
        let reachable = signs.reachable_since.map_or(Duration::ZERO, |since| signs.now.duration_since(since));
        let is_time = self.renewed.is_none_or(|renewed| signs.now.duration_since(renewed) >= self.pause);
        let renew = (lasts >= PATIENCE && reachable >= REACHABLE_FOR && is_time).then_some(trouble);
        Finding {
            obstacle: (lasts >= READY_PATIENCE).then_some((trouble, lasts)),
            renew,
            is_hopeless: lasts >= LIFE_PATIENCE && reachable >= LIFE_PATIENCE,
        }
    }
}

fn trouble_of(signs: &Signs) -> Option<Trouble> {
    match signs {
        Signs { is_connected: false, .. } => Some(Trouble::Unconnected),
        Signs { is_assigned: false, .. } => Some(Trouble::Unassigned),
        Signs { is_starved: true, .. } => Some(Trouble::NotFetching),
        Signs { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks every second; the seconds at which a new client was called for.
    fn renewals(seconds: u64, signs: impl Fn(u64, Signs) -> Signs) -> (Vec<u64>, Finding) {
        let start = Instant::now();
        let mut watchdog = Watchdog::new();
        let mut at = Vec::new();
        let mut last = Finding::default();
        for second in 0..=seconds {
            let fine = Signs {
                now: start + Duration::from_secs(second),
                is_assigned: true,
                is_connected: true,
                is_starved: false,
                reachable_since: Some(start),
            };
            let signs = signs(second, fine);
            last = watchdog.look(&signs);
            if last.renew.is_some() {
                watchdog.renewed(signs.now);
                at.push(second);
            }
        }
        (at, last)
    }

    #[test]
    fn a_client_that_works_is_left_alone() {
        let (at, last) = renewals(1_000, |_, signs| signs);
        assert_eq!((at, last), (vec![], Finding::default()));
    }

    #[test]
    fn without_assignment_new_clients_come_at_growing_intervals_and_then_only_a_restart_helps() {
        let (at, last) = renewals(179, |_, signs| Signs { is_assigned: false, ..signs });
        assert_eq!(at, [30, 50, 90, 170]);
        assert!(!last.is_hopeless);
        assert_eq!(last.obstacle.map(|(trouble, _)| trouble), Some(Trouble::Unassigned));
        assert!(renewals(180, |_, signs| Signs { is_assigned: false, ..signs }).1.is_hopeless);
    }

    #[test]
    fn while_no_broker_answers_anybody_the_instance_is_not_ready_but_live() {
        let away = |_, signs| Signs { is_connected: false, reachable_since: None, ..signs };
        let (at, last) = renewals(600, away);
        assert!(at.is_empty(), "a new client would find nobody either");
        assert_eq!(last.obstacle, Some((Trouble::Unconnected, Duration::from_secs(600))));
        assert!(!last.is_hopeless, "a restart does not mend a broker");
        assert_eq!(renewals(4, away).1.obstacle, None, "not ready only after some seconds");
        assert!(renewals(6, away).1.obstacle.is_some());
    }

    #[test]
    fn once_the_brokers_are_back_and_the_client_is_not_it_is_replaced() {
        let (at, _) = renewals(130, |second, signs| {
            let back = signs.now - Duration::from_secs(second.saturating_sub(100));
            let reachable_since = (second >= 100).then_some(back);
            Signs { is_connected: false, reachable_since, ..signs }
        });
        assert_eq!(at, [110, 130]);
    }

    #[test]
    fn a_client_that_was_made_for_another_reason_gets_its_time_too() {
        let start = Instant::now();
        let mut watchdog = Watchdog::new();
        let signs = |second: u64| Signs {
            now: start + Duration::from_secs(second),
            is_assigned: false,
            is_connected: true,
            is_starved: false,
            reachable_since: Some(start),
        };
        watchdog.look(&signs(0));
        watchdog.renewed(start + Duration::from_secs(25));
        assert_eq!(watchdog.look(&signs(44)).renew, None);
        assert_eq!(watchdog.look(&signs(45)).renew, Some(Trouble::Unassigned));
    }

    #[test]
    fn a_trouble_that_passed_is_forgotten() {
        let (at, _) = renewals(300, |second, signs| Signs { is_starved: second % 25 != 0, ..signs });
        assert!(at.is_empty(), "{at:?}");
    }
}
