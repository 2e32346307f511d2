//! From where on a lane's deadlines are looked at: pure, in memory only, and with a way back.
//!
//! Most looks begin where the last one ended; a sweep begins at the beginning of time, and finds an order that a slow
//! transaction made visible later than its deadline, or that was placed while a clock was wrong. It costs no more than there
//! are unfinished orders, because only these are in the index. No mark is stored: one that was taken while a clock was ahead
//! would hide what comes before it, for ever.

use schemas::Time;

/// How often a lane is swept.
const SWEEP_PERIOD_MS: i64 = 20_000;

/// An order that was accepted later than this from now was accepted while a clock was ahead.
const CLOCKS_AGREE_MS: i64 = 60_000;

/// How far one lane's deadlines were looked after.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LaneDeadlines {
    /// Deadlines up to this were looked at, as far as they were visible; and when the last sweep was.
    looked: Option<(Time, Time)>,
    /// Since when orders are known that were accepted while a clock was ahead.
    ahead_since: Option<Time>,
}

/// What to look at now: deadlines after `from`, up to the present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) from: Time,
    pub(super) is_sweep: bool,
}

impl LaneDeadlines {
    /// What to look at. A present before the last look is a clock that went back: then everything.
    pub(super) fn look(&self, now: Time) -> Look {
        match self.looked {
            Some((looked, swept)) if looked <= now && swept <= now && now < swept.plus_ms(SWEEP_PERIOD_MS) => {
                Look { from: looked, is_sweep: false }
            }
            Some(_) | None => Look { from: Time::EARLIEST, is_sweep: true },
        }
    }

    /// A look found nothing more.
    pub(super) fn looked(&mut self, look: Look, now: Time) {
        let swept = match self.looked {
            Some((_, swept)) if !look.is_sweep => swept,
            Some(_) | None => now,
        };
        self.looked = Some((now, swept));
    }

    /// Whether orders accepted while a clock was ahead have had their time, counted from when they were first seen by this
    /// instance: their deadlines say nothing. `seen`: whether there are any.
    pub(super) fn is_ahead_over(&mut self, seen: bool, now: Time, confirm_within_ms: i64) -> bool {
        if !seen {
            self.ahead_since = None;
            return false;
        }
        // If time went back once more it counts anew.
        let since = self.ahead_since.filter(|since| *since <= now).unwrap_or(now);
        self.ahead_since = Some(since);
        now >= since.plus_ms(confirm_within_ms)
    }

    /// Whether such orders were seen before.
    pub(super) fn knows_of_ahead(&self) -> bool {
        self.ahead_since.is_some()
    }
}

/// Orders accepted after this were accepted while a clock was ahead.
pub(super) fn ahead_of(now: Time) -> Time {
    now.plus_ms(CLOCKS_AGREE_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF_AN_HOUR_MS: i64 = 1_800_000;

    fn at(ms: i64) -> Time {
        Time::from_micros(1_800_000_000_000_000).plus_ms(ms)
    }

    /// Deadlines of a table, and the instance that looks after them at these times; what it found, in order.
    fn found(deadlines_ms: &[(i64, i64)], course_ms: &[(i64, bool)]) -> Vec<i64> {
        let (mut lane, mut done) = (LaneDeadlines::default(), Vec::new());
        for (step, (now_ms, is_restart)) in course_ms.iter().enumerate() {
            if *is_restart {
                lane = LaneDeadlines::default();
            }
            let (now, step) = (at(*now_ms), i64::try_from(step).unwrap());
            let look = lane.look(now);
            let due: Vec<i64> = deadlines_ms
                .iter()
                .filter(|(visible_from, due)| *visible_from <= step && at(*due) > look.from && at(*due) <= now)
                .map(|(_, due)| *due)
                .filter(|due| !done.contains(due))
                .collect();
            if due.is_empty() {
                lane.looked(look, now);
            }
            done.extend(due);
        }
        done
    }

    #[test]
    fn most_looks_begin_where_the_last_one_ended_and_some_at_the_beginning() {
        let mut lane = LaneDeadlines::default();
        let first = lane.look(at(0));
        assert_eq!(first, Look { from: Time::EARLIEST, is_sweep: true });
        lane.looked(first, at(0));
        let second = lane.look(at(500));
        assert_eq!(second, Look { from: at(0), is_sweep: false });
        lane.looked(second, at(500));
        assert!(!lane.look(at(19_999)).is_sweep);
        assert!(lane.look(at(20_000)).is_sweep);
    }

    #[test]
    fn a_clock_that_was_ahead_hides_no_deadline_over_restarts_and_rebalances() {
        // Ahead for a while, back; placed afterwards; found with and without a restart in between.
        let ahead = HALF_AN_HOUR_MS;
        for restart in [false, true] {
            let course = [(0, false), (ahead, false), (ahead + 25_000, false), (26_000, restart), (40_000, restart)];
            assert_eq!(found(&[(3, 30_000)], &course), [30_000], "restart: {restart}");
        }
        // Ahead, and the instance that comes next has a right clock from the beginning.
        assert_eq!(found(&[(1, 2_000)], &[(ahead, false), (1_000, true), (3_000, false)]), [2_000]);
        // Behind, then right.
        assert_eq!(found(&[(1, -500_000)], &[(-ahead, false), (0, false), (500, false)]), [-500_000]);
    }

    #[test]
    fn what_becomes_visible_late_is_found_by_the_next_sweep() {
        assert_eq!(
            found(&[(3, 100)], &[(0, false), (500, false), (1_000, false), (1_500, false), (20_500, false)]),
            [100]
        );
    }

    #[test]
    fn orders_accepted_while_a_clock_was_ahead_get_their_time_from_when_they_are_seen() {
        let mut lane = LaneDeadlines::default();
        assert!(!lane.is_ahead_over(false, at(0), 60_000));
        assert!(!lane.is_ahead_over(true, at(0), 60_000) && lane.knows_of_ahead());
        assert!(!lane.is_ahead_over(true, at(59_000), 60_000));
        assert!(lane.is_ahead_over(true, at(60_000), 60_000));
        assert!(!lane.is_ahead_over(true, at(-5_000), 60_000), "back once more: from then on");
        assert!(lane.is_ahead_over(true, at(55_000), 60_000));
        assert!(!lane.is_ahead_over(false, at(56_000), 60_000) && !lane.knows_of_ahead());
    }
}
