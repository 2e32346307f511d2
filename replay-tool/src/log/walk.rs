//! The messages of one topic partition's writer, judged by their positions alone, as any consumer can that meets a new epoch
//! only on its way, with the consumers' own rule. Who knows the epochs beforehand follows a [`Lane`](super::Lane).

use outbox::Position;
use outbox::epochs::{Epochs, parse_last_equal};
use outbox::inbox::{Cursor, Delivery, LogStart, judge};
use outbox::position::LAST_EQUAL_HEADER;

use super::record::Record;

/// How far the walk along a partition has come.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    begins_later: bool,
    cursor: Option<Cursor>,
    highest: i64,
    epochs: Epochs,
}

impl Walk {
    /// Along a log whose first record has this offset.
    pub(crate) fn from(first_offset: i64) -> Self {
        Walk { begins_later: first_offset > 0, ..Walk::default() }
    }

    /// The next record with the writer's position. After a gap the walk goes on behind it.
    pub(crate) fn judge(&mut self, position: &Position, record: &Record<'_>) -> Delivery {
        let log_start = if self.begins_later { LogStart::Later } else { LogStart::AtZero };
        let delivery = judge(self.cursor, position, log_start);
        if !matches!(delivery, Delivery::Duplicate | Delivery::Stale) {
            self.cursor = Some(Cursor::from(position));
        }
        self.highest = self.highest.max(position.sequence);
        // Only later epochs say what they void.
        if position.epoch > 1 {
            self.epochs.observe(position, record.header(LAST_EQUAL_HEADER).and_then(parse_last_equal));
        }
        delivery
    }

    /// Records are missing, and that is known: what comes next is not measured by what came before.
    pub(crate) fn interrupted(&mut self) {
        self.cursor = None;
        self.begins_later = true;
    }

    /// The highest sequence that was met; 0 where there was none.
    pub(crate) fn highest(&self) -> i64 {
        self.highest
    }

    /// Whether a message counts, by all that was met.
    pub(crate) fn counts(&self, position: &Position) -> bool {
        self.epochs.counts(position)
    }

    /// Which sequences count, by all that was met.
    pub(crate) fn into_epochs(self) -> Epochs {
        self.epochs
    }
}
