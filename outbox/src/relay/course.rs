//! How far a lane is sent, and what may be sent next: the one rule that both sources of messages obey.
//!
//! Rows from the table and messages from memory come in any relation to each other; only the lane's next sequence is
//! sent. Reading runs ahead of sending and begins anew where sending stands when rows that were read were not sent.
//! Pure, so that the model explores this very code.

use crate::epochs::Epochs;

/// A lane's progress in one term.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Course {
    /// The sequence to be sent next.
    next: i64,
    /// Where the next read begins; ahead of `next` while rows that were read wait to be sent.
    read_from: i64,
}

/// What becomes of a message that is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    /// It is the next one: send it.
    Send,
    /// It was sent already, or is void.
    Pass,
    /// Something before it is missing.
    Missing,
}

impl Course {
    /// A lane of which everything up to `done` is published.
    pub(crate) fn new(epochs: &Epochs, done: i64) -> Self {
        let next = epochs.after(done);
        Self { next, read_from: next }
    }

    pub(crate) fn next(&self) -> i64 {
        self.next
    }

    pub(crate) fn read_from(&self) -> i64 {
        self.read_from
    }

    /// Judges a message by its sequence. `skips` plants a bug: what is missing before it is passed over.
    pub(crate) fn offer(&self, epochs: &Epochs, sequence: i64, skips: bool) -> Offer {
        if sequence < self.next || epochs.is_void(sequence) {
            return Offer::Pass;
        }
        if sequence > self.next && !skips {
            return Offer::Missing;
        }
        Offer::Send
    }

    /// Notes that everything up to `sequence` was sent.
    pub(crate) fn sent(&mut self, epochs: &Epochs, sequence: i64) {
        self.next = epochs.after(sequence);
        self.read_from = self.read_from.max(self.next);
    }

    /// Notes that everything up to `last` was read.
    pub(crate) fn read(&mut self, epochs: &Epochs, last: i64) {
        self.read_from = self.read_from.max(epochs.after(last));
    }

    /// Lets reading begin again where sending stands: rows that were read were not sent.
    pub(crate) fn rewind(&mut self) {
        self.read_from = self.next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epochs::Epoch;

    #[test]
    fn only_the_next_sequence_is_sent() {
        let epochs = Epochs::new(vec![Epoch { epoch: 2, first: 9, last_equal: 5 }]);
        let mut course = Course::new(&epochs, 4);
        let offers = |course: &Course| [4, 5, 6, 8, 9, 10].map(|sequence| course.offer(&epochs, sequence, false));
        use Offer::{Missing, Pass, Send};
        assert_eq!(offers(&course), [Pass, Send, Pass, Pass, Missing, Missing]);
        course.sent(&epochs, 5);
        assert_eq!(offers(&course), [Pass, Pass, Pass, Pass, Send, Missing]);
    }

    #[test]
    fn reading_is_never_behind_sending_and_can_begin_again() {
        let epochs = Epochs::default();
        let mut course = Course::new(&epochs, 0);
        course.read(&epochs, 7);
        course.sent(&epochs, 3);
        assert_eq!((course.next(), course.read_from()), (4, 8));
        course.sent(&epochs, 9);
        assert_eq!(course.read_from(), 10);
        course.read(&epochs, 12);
        course.rewind();
        assert_eq!((course.next(), course.read_from()), (10, 10));
    }
}
