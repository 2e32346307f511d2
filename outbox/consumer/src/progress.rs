//! Whether a feed gets on, and if it does not, since when and why. Pure: time and all that was seen are inputs.
//!
//! A feed gets on when its position moves, or when there is nothing behind it. It stands when neither is so. What becomes of a
//! feed that stands is not decided here.

use std::time::{Duration, Instant};

/// Shorter than this, a feed that does not move is only busy.
pub(crate) const NAMED_AFTER: Duration = Duration::from_secs(3);

/// When nobody has looked for so long, the engine was kept from reading by something else, and what was seen before says
/// nothing.
const BLIND_AFTER: Duration = Duration::from_secs(10);

/// What keeps a feed from moving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// We hold it, until a person acts.
    Held,
    /// The client library cannot read the records that come next.
    Unreadable,
    /// A transaction is open: nothing behind its first record is handed over before it ends.
    OpenTransaction,
    /// The log goes on and the client does not bring it.
    NotFetched,
    /// The service has so much under way that it takes nothing more.
    Saturated,
}

impl Obstacle {
    /// As a metric label.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Obstacle::Held => "held",
            Obstacle::Unreadable => "unreadable",
            Obstacle::OpenTransaction => "open_transaction",
            Obstacle::NotFetched => "not_fetched",
            Obstacle::Saturated => "saturated",
        }
    }
}

/// What is seen of a feed at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sight {
    pub(crate) now: Instant,
    /// Everything before it is done with.
    pub(crate) position: i64,
    /// Up to where the log can be read, asked for before `now`.
    pub(crate) end: Option<i64>,
    /// When the client saw a transaction open at this feed's end.
    pub(crate) open: Option<Instant>,
    /// Since when we hold it.
    pub(crate) held: Option<Instant>,
    /// Whether the client complains of records that it cannot read, and this feed may be the one.
    pub(crate) is_unreadable: bool,
    /// Whether the service takes nothing more for now.
    pub(crate) is_saturated: bool,
    /// When the client had nothing more to hand over.
    pub(crate) drained: Instant,
}

/// A feed that stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) since: Instant,
    pub(crate) obstacle: Obstacle,
    /// The offset before which it stands.
    pub(crate) at: i64,
}

/// What is remembered of a feed between two looks.
#[derive(Debug)]
pub(crate) struct Progress {
    position: i64,
    moved: Instant,
    looked: Instant,
    standing: Option<Standing>,
}

impl Progress {
    /// A feed that was just taken over.
    pub(crate) fn new(position: i64, now: Instant) -> Self {
        Progress { position, moved: now, looked: now, standing: None }
    }

    /// When the feed moved last, as far as was looked.
    pub(crate) fn moved(&self) -> Instant {
        self.moved
    }

    /// Take a look; the feed's standing, once it is worth a word.
    pub(crate) fn look(&mut self, sight: &Sight) -> Option<Standing> {
        let is_blind = sight.now.duration_since(self.looked) > BLIND_AFTER;
        self.looked = sight.now;
        if sight.position != self.position {
            self.position = sight.position;
            self.moved = sight.now;
        }
        if is_blind || self.moved == sight.now {
            self.standing = None;
        }
        let seen = self.obstacle(sight).map(|obstacle| {
            let since = match (obstacle, sight.held) {
                (Obstacle::Held, Some(held)) => held,
                _ => self.standing.map_or(sight.now, |standing| standing.since),
            };
            Standing { since, obstacle, at: sight.position }
        });
        self.standing = seen;
        seen.filter(|standing| {
            standing.obstacle == Obstacle::Held || sight.now.duration_since(standing.since) >= NAMED_AFTER
        })
    }

    fn obstacle(&self, sight: &Sight) -> Option<Obstacle> {
        if sight.held.is_some() {
            return Some(Obstacle::Held);
        }
        if sight.end.is_some_and(|end| sight.position < end) {
            return match sight {
                Sight { is_saturated: true, .. } => Some(Obstacle::Saturated),
                // Under load its records may wait behind those of other feeds.
                Sight { drained, .. } if *drained <= self.moved => None,
                Sight { is_unreadable: true, .. } => Some(Obstacle::Unreadable),
                Sight { .. } => Some(Obstacle::NotFetched),
            };
        }
        // What the client saw before the feed moved may be over.
        sight.open.filter(|open| *open > self.moved).map(|_| Obstacle::OpenTransaction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Course {
        start: Instant,
        progress: Progress,
    }

    impl Course {
        fn new() -> Self {
            let start = Instant::now();
            Course { start, progress: Progress::new(10, start) }
        }

        fn at(&self, second: u64) -> Instant {
            self.start + Duration::from_secs(second)
        }

        /// A look at this second; the obstacle and for how long, in seconds.
        fn look(&mut self, second: u64, change: impl FnOnce(&mut Sight)) -> Option<(Obstacle, u64)> {
            let now = self.at(second);
            let mut sight = Sight {
                now,
                position: 10,
                end: Some(10),
                open: None,
                held: None,
                is_unreadable: false,
                is_saturated: false,
                drained: now,
            };
            change(&mut sight);
            let standing = self.progress.look(&sight)?;
            Some((standing.obstacle, now.duration_since(standing.since).as_secs()))
        }
    }

    #[test]
    fn a_feed_at_its_end_does_not_stand() {
        let mut course = Course::new();
        assert!((1..20).all(|second| course.look(second, |_| {}).is_none()));
    }

    #[test]
    fn a_feed_below_its_end_is_named_after_a_while_and_no_more_once_it_moves() {
        let mut course = Course::new();
        let behind = |sight: &mut Sight| sight.end = Some(12);
        assert_eq!(course.look(1, behind), None);
        assert_eq!(course.look(3, behind), None);
        assert_eq!(course.look(4, behind), Some((Obstacle::NotFetched, 3)));
        assert_eq!(course.look(5, |sight| (sight.end, sight.position) = (Some(12), 11)), None, "it moved");
        assert_eq!(course.look(6, |sight| (sight.end, sight.position) = (Some(12), 11)), None);
        assert_eq!(
            course.look(9, |sight| (sight.end, sight.position) = (Some(12), 11)),
            Some((Obstacle::NotFetched, 3))
        );
        assert_eq!(course.look(10, |sight| (sight.end, sight.position) = (Some(12), 12)), None);
    }

    #[test]
    fn the_obstacle_may_become_known_later_and_the_time_goes_on() {
        let mut course = Course::new();
        course.look(1, |sight| sight.end = Some(12));
        let unreadable = |sight: &mut Sight| (sight.end, sight.is_unreadable) = (Some(12), true);
        assert_eq!(course.look(6, unreadable), Some((Obstacle::Unreadable, 5)));
        assert_eq!(
            course.look(7, |sight| (sight.end, sight.is_saturated) = (Some(12), true)),
            Some((Obstacle::Saturated, 6))
        );
    }

    #[test]
    fn while_the_client_has_more_to_hand_over_no_feed_is_blamed() {
        let mut course = Course::new();
        let (start, early) = (course.start, course.at(5));
        let busy = |drained: Instant| move |sight: &mut Sight| (sight.end, sight.drained) = (Some(12), drained);
        assert!((1..9).all(|second| course.look(second, busy(start)).is_none()));
        assert_eq!(course.look(9, busy(early)), None);
        assert_eq!(course.look(12, busy(early)), Some((Obstacle::NotFetched, 3)));
    }

    #[test]
    fn a_hold_is_named_at_once_and_for_as_long_as_it_lasts() {
        let mut course = Course::new();
        let held = course.at(2);
        assert_eq!(course.look(9, |sight| sight.held = Some(held)), Some((Obstacle::Held, 7)));
    }

    #[test]
    fn an_open_transaction_counts_only_if_it_was_seen_after_the_last_move() {
        let mut course = Course::new();
        let (early, late) = (course.at(1), course.at(3));
        course.look(2, |sight| sight.position = 11);
        let open = |seen: Instant| {
            move |sight: &mut Sight| (sight.position, sight.end, sight.open) = (11, Some(11), Some(seen))
        };
        assert!((3..9).all(|second| course.look(second, open(early)).is_none()), "that one is over");
        assert_eq!(course.look(9, open(late)), None);
        assert_eq!(course.look(12, open(late)), Some((Obstacle::OpenTransaction, 3)));
    }

    #[test]
    fn a_feed_that_nobody_could_look_after_begins_anew() {
        let mut course = Course::new();
        let behind = |sight: &mut Sight| sight.end = Some(12);
        assert_eq!(course.look(1, behind), None);
        assert_eq!(course.look(40, behind), None, "the database was away for all that time");
        assert_eq!(course.look(43, behind), Some((Obstacle::NotFetched, 3)));
    }
}
