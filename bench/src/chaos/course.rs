//! The course of faults: which one comes next, to whom, and how long it lasts. Pure: the seed decides all of it.
//!
//! Faults are drawn from a deck that holds each of them at least once and is shuffled anew when it is empty, so that every
//! fault comes up in a run of any length worth the name.

use std::time::Duration;

/// Something that happens to a worker or a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// SIGKILL; the supervisor starts it again at once.
    WorkerKill,
    /// SIGKILL, and nobody starts it again for 7 to 12 s: longer than its session.
    WorkerAway,
    /// SIGSTOP for 3 to 15 s.
    WorkerPause,
    /// SIGTERM; the supervisor starts it again when it has drained.
    WorkerTerminate,
    /// SIGKILL, and a restart after 0 to 4 s.
    KafkaKill,
    /// SIGSTOP for 3 to 15 s.
    KafkaPause,
    /// SIGTERM, and a restart after 0 to 4 s.
    KafkaTerminate,
    /// Postgres' immediate shutdown, and a restart after 0 to 4 s.
    PostgresImmediate,
    /// SIGKILL to all of Postgres, and a restart after 0 to 4 s.
    PostgresKill,
    /// SIGSTOP to all of Postgres for 3 to 15 s.
    PostgresPause,
}

/// One step of the course.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Strike {
    /// From 1.
    pub(crate) number: u32,
    /// What happens.
    pub(crate) fault: Fault,
    /// A number that picks the worker, if it happens to one.
    pub(crate) pick: usize,
    /// How long the fault lasts.
    pub(crate) length: Duration,
    /// How long everything is left alone before.
    pub(crate) rest: Duration,
}

/// Steps without end.
#[derive(Debug, Clone)]
pub(crate) struct Course {
    random: u64,
    deck: Vec<Fault>,
    number: u32,
}

impl Fault {
    /// All of them.
    pub(crate) const ALL: [Fault; 10] = [
        Fault::WorkerKill,
        Fault::WorkerAway,
        Fault::WorkerPause,
        Fault::WorkerTerminate,
        Fault::KafkaKill,
        Fault::KafkaPause,
        Fault::KafkaTerminate,
        Fault::PostgresImmediate,
        Fault::PostgresKill,
        Fault::PostgresPause,
    ];

    /// Its name in reports.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Fault::WorkerKill => "worker kill -9",
            Fault::WorkerAway => "worker kill -9 and away",
            Fault::WorkerPause => "worker pause",
            Fault::WorkerTerminate => "worker SIGTERM",
            Fault::KafkaKill => "Kafka kill -9",
            Fault::KafkaPause => "Kafka pause",
            Fault::KafkaTerminate => "Kafka SIGTERM",
            Fault::PostgresImmediate => "Postgres immediate stop",
            Fault::PostgresKill => "Postgres kill -9",
            Fault::PostgresPause => "Postgres pause",
        }
    }

    /// How often it is in a deck.
    const fn cards(self) -> usize {
        match self {
            Fault::WorkerKill | Fault::WorkerAway | Fault::WorkerPause | Fault::WorkerTerminate => 2,
            // What left clients without a broker for ever in the field.
            Fault::KafkaTerminate => 2,
            Fault::KafkaKill | Fault::KafkaPause => 1,
            Fault::PostgresImmediate | Fault::PostgresKill | Fault::PostgresPause => 1,
        }
    }

    /// The shortest and the longest time that it lasts, in milliseconds.
    const fn lasts_ms(self) -> (u64, u64) {
        match self {
            Fault::WorkerKill | Fault::WorkerTerminate => (0, 0),
            Fault::WorkerAway => (7_000, 12_000),
            Fault::WorkerPause | Fault::KafkaPause | Fault::PostgresPause => (3_000, 15_000),
            Fault::KafkaKill | Fault::KafkaTerminate | Fault::PostgresImmediate | Fault::PostgresKill => (0, 4_000),
        }
    }
}

impl Course {
    /// The course of this seed.
    pub(crate) fn new(seed: u64) -> Self {
        Course { random: seed, deck: Vec::new(), number: 0 }
    }

    /// SplitMix64 (Steele, Lea, Flood 2014): enough for a course, and the same everywhere.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn between(&mut self, (shortest_ms, longest_ms): (u64, u64)) -> Duration {
        Duration::from_millis(shortest_ms + self.draw() % (longest_ms - shortest_ms + 1))
    }

    fn index(&mut self, length: usize) -> usize {
        let length = u64::try_from(length).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.draw() % length).unwrap_or(0)
    }
}

impl Iterator for Course {
    type Item = Strike;

    fn next(&mut self) -> Option<Strike> {
        if self.deck.is_empty() {
            self.deck = Fault::ALL.into_iter().flat_map(|fault| vec![fault; fault.cards()]).collect();
        }
        let drawn = self.index(self.deck.len());
        let fault = self.deck.swap_remove(drawn);
        self.number += 1;
        Some(Strike {
            number: self.number,
            fault,
            pick: self.index(usize::MAX),
            length: self.between(fault.lasts_ms()),
            rest: self.between((500, 3_000)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_course_and_another_seed_another() {
        let course = |seed| Course::new(seed).take(50).collect::<Vec<_>>();
        assert_eq!(course(7), course(7));
        assert_ne!(course(7), course(8));
    }

    #[test]
    fn every_deck_holds_every_fault_and_each_lasts_as_long_as_it_says() {
        let cards: usize = Fault::ALL.into_iter().map(Fault::cards).sum();
        let steps: Vec<Strike> = Course::new(1).take(3 * cards).collect();
        for deck in steps.chunks(cards) {
            assert!(Fault::ALL.iter().all(|fault| deck.iter().any(|step| step.fault == *fault)));
        }
        for step in steps {
            let (shortest_ms, longest_ms) = step.fault.lasts_ms();
            let range = Duration::from_millis(shortest_ms)..=Duration::from_millis(longest_ms);
            assert!(range.contains(&step.length), "{step:?}");
        }
    }
}
