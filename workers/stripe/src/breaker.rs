//! The breaker of an account: after so many uncertain answers in a row nothing is sent for a while, then one request tries.
//!
//! Pure: time and randomness are inputs. Absent: what counts as uncertain (`answers`), and waiting.

/// When it opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// So many uncertain answers in a row open it.
    pub opens_after: u32,
    /// How long it stays open the first time, in milliseconds; twice as long each time that the probe fails.
    pub first_pause_ms: i64,
    /// The longest that it stays open before the next probe, in milliseconds.
    pub longest_pause_ms: i64,
}

/// Whether a request may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Sent,
    /// It may, and what comes of it decides for all.
    Probe,
    /// It may not; to be asked again after so many milliseconds, which differ from caller to caller.
    NotBefore(i64),
}

/// What came of a request that was admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// The provider answered, whatever it said.
    Answered,
    /// It did not, or with an error of its own.
    Uncertain,
    /// The request was given up by us: it says nothing of the provider.
    GivenUp,
}

/// What an answer did to the breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It opened, or opened again after a probe.
    Opened,
    /// It closed.
    Closed,
}

/// The breaker of one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaker {
    policy: Policy,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed { uncertain: u32 },
    Open { until_ms: i64, pause_ms: i64 },
    Probing { pause_ms: i64 },
}

impl Breaker {
    /// A closed one.
    pub const fn new(policy: Policy) -> Self {
        Breaker { policy, state: State::Closed { uncertain: 0 } }
    }

    /// Whether something is kept from being sent.
    pub const fn is_open(&self) -> bool {
        match self.state {
            State::Closed { .. } => false,
            State::Open { .. } | State::Probing { .. } => true,
        }
    }

    /// Whether a request may be sent at this time.
    pub fn ask(&mut self, now_ms: i64, random: u64) -> Admission {
        match self.state {
            State::Closed { .. } => Admission::Sent,
            State::Open { until_ms, pause_ms } if now_ms >= until_ms => {
                self.state = State::Probing { pause_ms };
                Admission::Probe
            }
            State::Open { until_ms, pause_ms } => {
                Admission::NotBefore(until_ms.saturating_sub(now_ms).saturating_add(part_of(pause_ms / 2, random)))
            }
            State::Probing { pause_ms } => Admission::NotBefore(pause_ms / 2 + part_of(pause_ms / 2, random)),
        }
    }

    /// What came of a request. While it is open only the probe counts: others were sent before.
    pub fn tell(&mut self, was_probe: bool, told: Told, now_ms: i64, random: u64) -> Option<Change> {
        match (self.state, told) {
            (State::Closed { .. }, Told::Answered) => {
                self.state = State::Closed { uncertain: 0 };
                None
            }
            (State::Closed { uncertain }, Told::Uncertain) => {
                let uncertain = uncertain.saturating_add(1);
                self.state = State::Closed { uncertain };
                (uncertain >= self.policy.opens_after).then(|| self.open(self.policy.first_pause_ms, now_ms, random))
            }
            (State::Probing { .. }, Told::Answered) if was_probe => {
                self.state = State::Closed { uncertain: 0 };
                Some(Change::Closed)
            }
            (State::Probing { pause_ms }, Told::Uncertain) if was_probe => {
                let pause_ms = pause_ms.saturating_mul(2).min(self.policy.longest_pause_ms);
                Some(self.open(pause_ms, now_ms, random))
            }
            // Whoever comes next is the probe.
            (State::Probing { pause_ms }, Told::GivenUp) if was_probe => {
                self.state = State::Open { until_ms: now_ms, pause_ms };
                None
            }
            (State::Closed { .. }, Told::GivenUp) | (State::Open { .. } | State::Probing { .. }, _) => None,
        }
    }

    /// Open for something between half the pause and all of it, so that instances do not come back together.
    fn open(&mut self, pause_ms: i64, now_ms: i64, random: u64) -> Change {
        let half = pause_ms / 2;
        let until_ms = now_ms.saturating_add(half).saturating_add(part_of(pause_ms - half, random));
        self.state = State::Open { until_ms, pause_ms };
        Change::Opened
    }
}

/// Something from 0 to this.
fn part_of(ms: i64, random: u64) -> i64 {
    let span = u64::try_from(ms).unwrap_or(0).saturating_add(1);
    i64::try_from(random % span).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy { opens_after: 3, first_pause_ms: 1_000, longest_pause_ms: 4_000 };

    fn opened_at(now_ms: i64) -> Breaker {
        let mut breaker = Breaker::new(POLICY);
        let changes: Vec<_> = (0..3).map(|_| breaker.tell(false, Told::Uncertain, now_ms, 0)).collect();
        assert_eq!(changes, [None, None, Some(Change::Opened)]);
        breaker
    }

    #[test]
    fn only_uncertain_answers_in_a_row_open_it() {
        let mut breaker = Breaker::new(POLICY);
        for told in [Told::Uncertain, Told::Uncertain, Told::Answered, Told::Uncertain, Told::GivenUp] {
            assert_eq!(breaker.tell(false, told, 0, 0), None);
        }
        assert_eq!(breaker.tell(false, Told::Uncertain, 0, 0), None, "two in a row");
        assert_eq!(breaker.ask(0, 0), Admission::Sent);
        assert_eq!(breaker.tell(false, Told::Uncertain, 0, 0), Some(Change::Opened));
        assert!(breaker.is_open());
    }

    #[test]
    fn while_it_is_open_nothing_is_sent_and_then_one_request_tries() {
        let mut breaker = opened_at(0);
        assert_eq!(breaker.ask(0, 0), Admission::NotBefore(500));
        assert_eq!(breaker.ask(499, 7), Admission::NotBefore(8), "each caller comes back at another time");
        assert_eq!(breaker.ask(500, 0), Admission::Probe);
        assert_eq!(breaker.ask(500, 3), Admission::NotBefore(503), "one probe at a time");
        assert_eq!(breaker.tell(true, Told::Answered, 600, 0), Some(Change::Closed));
        assert_eq!(breaker.ask(600, 0), Admission::Sent);
    }

    #[test]
    fn each_probe_that_fails_doubles_the_pause_up_to_the_longest() {
        let mut breaker = opened_at(0);
        let mut now = 0;
        for pause in [2_000, 4_000, 4_000] {
            now += 10_000;
            assert_eq!(breaker.ask(now, 0), Admission::Probe);
            assert_eq!(breaker.tell(true, Told::Uncertain, now, u64::MAX), Some(Change::Opened));
            let Admission::NotBefore(ms) = breaker.ask(now, 0) else { panic!("it is open") };
            assert!(ms >= pause / 2 && ms <= pause, "{ms}");
        }
    }

    #[test]
    fn what_was_sent_before_it_opened_neither_closes_nor_lengthens_it() {
        let mut breaker = opened_at(0);
        let before = breaker.clone();
        for told in [Told::Answered, Told::Uncertain, Told::GivenUp] {
            assert_eq!(breaker.tell(false, told, 100, 0), None);
        }
        assert_eq!(breaker, before);
        assert_eq!(breaker.ask(500, 0), Admission::Probe);
        assert_eq!(breaker.tell(false, Told::Answered, 500, 0), None);
        assert!(breaker.is_open());
    }

    #[test]
    fn a_probe_that_was_given_up_leaves_its_place_to_the_next() {
        let mut breaker = opened_at(0);
        assert_eq!(breaker.ask(500, 0), Admission::Probe);
        assert_eq!(breaker.tell(true, Told::GivenUp, 700, 0), None);
        assert_eq!(breaker.ask(700, 0), Admission::Probe);
    }
}
