//! The lanes of a term: what to send next on each, which may have more in the table, which are held.
//!
//! Pure bookkeeping; the term does the reading and sending.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::lanes::Lane;
use crate::relay::acked::Acked;
use crate::relay::course::{Course, Offer};
use crate::relay::cursor::Wanted;
use crate::relay::status::{HeldLane, NamedMessage};
use crate::relay::takeover::Ready;

/// Lanes with a backlog that are read at a time: few, so that each gives a batch that is worth a request.
const DEEP_LANES: usize = 8;
/// Fewest rows that a lane may give at a time.
const LEAST_ROWS: i64 = 32;

/// A lane and how far it is sent.
#[derive(Debug)]
pub(crate) struct LaneState {
    pub(crate) ready: Ready,
    course: Course,
    /// The table may hold something that was not read.
    dirty: bool,
    /// The last read did not reach the lane's end.
    deep: bool,
    held: Option<Held>,
}

/// Why and until when a lane is not published.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    until: Instant,
    reason: String,
    message: Option<NamedMessage>,
}

impl Held {
    /// `message`: the one that is in the way, if it is known.
    pub(crate) fn now(reason: String, message: Option<NamedMessage>, hold: Duration) -> Self {
        Self { until: Instant::now() + hold, reason, message }
    }
}

impl LaneState {
    /// The sequence to be sent next.
    pub(crate) fn next(&self) -> i64 {
        self.course.next()
    }

    /// What becomes of a message; on a held lane none is sent. `skips` plants a bug.
    pub(crate) fn offer(&self, sequence: i64, skips: bool) -> Offer {
        match self.course.offer(&self.ready.epochs, sequence, skips) {
            Offer::Send if self.held.is_some() => Offer::Missing,
            offer @ (Offer::Send | Offer::Pass | Offer::Missing) => offer,
        }
    }
}

/// Lanes held by slot, kept from one term to the next.
pub(crate) type HeldLanes = HashMap<usize, Held>;

/// All lanes of a term, by slot.
#[derive(Debug)]
pub(crate) struct Board {
    lanes: Vec<LaneState>,
    slots: HashMap<Lane, usize>,
    /// Slot at which the choice of deep lanes begins, so that each gets its turn.
    turn: usize,
}

impl Board {
    pub(crate) fn new(ready: Vec<Ready>, held: &HeldLanes) -> Self {
        let slots = ready.iter().enumerate().map(|(slot, lane)| (lane.lane, slot)).collect();
        let lanes = ready.into_iter().enumerate().map(|(slot, ready)| {
            let course = Course::new(&ready.epochs, ready.done.sequence);
            LaneState { ready, course, dirty: true, deep: false, held: held.get(&slot).cloned() }
        });
        Self { lanes: lanes.collect(), slots, turn: 0 }
    }

    pub(crate) fn get(&self, slot: usize) -> Option<&LaneState> {
        self.lanes.get(slot)
    }

    pub(crate) fn slot_of(&self, lane: Lane) -> Option<usize> {
        self.slots.get(&lane).copied()
    }

    /// Whether a slot's lane is held now.
    pub(crate) fn is_held(&self, slot: usize) -> bool {
        self.lanes.get(slot).is_some_and(|lane| lane.held.is_some())
    }

    /// Notes that everything up to `sequence` was sent.
    pub(crate) fn sent(&mut self, slot: usize, sequence: i64) {
        if let Some(lane) = self.lanes.get_mut(slot) {
            lane.course.sent(&lane.ready.epochs, sequence);
        }
    }

    /// Notes that a lane may have something in the table.
    pub(crate) fn mark(&mut self, lane: Lane) {
        if let Some(slot) = self.slots.get(&lane) {
            self.mark_slot(*slot);
        }
    }

    pub(crate) fn mark_slot(&mut self, slot: usize) {
        if let Some(lane) = self.lanes.get_mut(slot) {
            lane.dirty = true;
        }
    }

    pub(crate) fn mark_all(&mut self) {
        self.lanes.iter_mut().for_each(|lane| lane.dirty = true);
    }

    /// Chooses what to read: every lane that may have something, but of those with a backlog only some, in turn.
    /// None when there is nothing to read.
    pub(crate) fn choose(&mut self, batch_rows: u32) -> Option<Wanted> {
        let count = self.lanes.len();
        let turn = self.turn;
        let mut wanted = Wanted::default();
        let mut deep = 0;
        for slot in (0..count).map(|step| (turn + step) % count) {
            let Some(lane) = self.lanes.get_mut(slot) else { continue };
            if !lane.dirty || lane.held.is_some() {
                continue;
            }
            if lane.deep {
                if deep == DEEP_LANES {
                    continue;
                }
                deep += 1;
                self.turn = (slot + 1) % count;
            }
            lane.dirty = false;
            wanted.slots.push(i32::try_from(slot).unwrap_or(i32::MAX));
            wanted.lanes.push(lane.ready.lane);
            wanted.after.push(lane.course.read_from() - 1);
        }
        let lanes = i64::try_from(wanted.slots.len()).unwrap_or(i64::MAX);
        (lanes > 0).then(|| {
            wanted.rows_per_lane = (i64::from(batch_rows) / lanes).max(LEAST_ROWS);
            wanted
        })
    }

    /// Notes what a read gave: per slot the number of rows and the last sequence. `complete` is false when the read was
    /// cut short.
    pub(crate) fn took(&mut self, wanted: &Wanted, rows: &HashMap<usize, (i64, i64)>, complete: bool) {
        for (slot, after) in wanted.slots.iter().zip(&wanted.after) {
            let Some(slot) = usize::try_from(*slot).ok().filter(|slot| *slot < self.lanes.len()) else { continue };
            let (count, last) = rows.get(&slot).copied().unwrap_or((0, *after));
            let lane = &mut self.lanes[slot];
            lane.deep = count >= wanted.rows_per_lane || (!complete && count > 0);
            lane.dirty |= lane.deep || !complete;
            lane.course.read(&lane.ready.epochs, last);
        }
    }

    /// Lets reading begin again where sending stands: rows that were read were not sent.
    pub(crate) fn rewind(&mut self, slot: usize) {
        if let Some(lane) = self.lanes.get_mut(slot) {
            lane.course.rewind();
            lane.dirty = true;
        }
    }

    /// Holds a lane for a while.
    pub(crate) fn hold(&mut self, slot: usize, reason: String, hold: Duration) {
        if let Some(lane) = self.lanes.get_mut(slot) {
            lane.held = Some(Held::now(reason, None, hold));
        }
        self.rewind(slot);
    }

    /// Lets lanes go whose time is over; returns whether there were any.
    pub(crate) fn release(&mut self) -> bool {
        let now = Instant::now();
        let mut released = false;
        for lane in &mut self.lanes {
            if lane.held.as_ref().is_some_and(|held| held.until <= now) {
                lane.held = None;
                lane.dirty = true;
                lane.course.rewind();
                released = true;
            }
        }
        released
    }

    /// The held lanes, for people.
    pub(crate) fn held(&self) -> Vec<HeldLane> {
        let held = self.lanes.iter().filter_map(|lane| {
            let Held { reason, message, .. } = lane.held.clone()?;
            let place = &lane.ready.place;
            Some(HeldLane { topic: place.topic.to_string(), partition: place.partition, reason, message })
        });
        held.collect()
    }

    /// Lanes whose acknowledged position differs from the saved one, with its epoch.
    pub(crate) fn moved(&self, acked: &[Acked], saved: &[Acked]) -> Vec<(Lane, i64, Acked)> {
        let lanes = self.lanes.iter().zip(acked.iter().zip(saved));
        let moved = lanes.filter_map(|(lane, (acked, saved))| Some((&lane.ready, acked.to_save(*saved)?)));
        moved.map(|(ready, acked)| (ready.lane, ready.epochs.of(acked.sequence).0, acked)).collect()
    }

    /// What was sent, whether acknowledged or not: for a planted bug.
    pub(crate) fn sent_so_far(&self, acked: &[Acked]) -> Vec<Acked> {
        let sent = self.lanes.iter().zip(acked);
        sent.map(|(lane, acked)| Acked { sequence: lane.next() - 1, offset: acked.offset.or(Some(0)), ..*acked })
            .collect()
    }

    /// All lanes with the first sequence that is not acknowledged.
    pub(crate) fn pending(&self, acked: &[Acked]) -> (Vec<Lane>, Vec<i64>) {
        let pending = self.lanes.iter().zip(acked);
        pending.map(|(lane, acked)| (lane.ready.lane, lane.ready.epochs.after(acked.sequence))).unzip()
    }

    /// Numbers of lanes and of epochs after the first, to notice that others have come.
    pub(crate) fn shape(&self) -> (usize, usize) {
        (self.lanes.len(), self.lanes.iter().map(|lane| lane.ready.epochs.count()).sum())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::epochs::Epochs;
    use crate::log::Partition;

    fn board(lanes: usize) -> Board {
        let ready = (0_i32..).take(lanes).map(|lane| Ready {
            lane,
            place: Partition { topic: Arc::from("t"), partition: lane },
            epochs: Epochs::default(),
            done: Acked { sequence: 0, offset: None, end: 0 },
        });
        Board::new(ready.collect(), &HeldLanes::new())
    }

    fn full(wanted: &Wanted) -> HashMap<usize, (i64, i64)> {
        let slots = wanted.slots.iter().zip(&wanted.after);
        slots
            .map(|(slot, after)| {
                (usize::try_from(*slot).unwrap(), (wanted.rows_per_lane, after + wanted.rows_per_lane))
            })
            .collect()
    }

    #[test]
    fn lanes_with_a_backlog_take_turns_and_others_do_not_wait_for_them() {
        let mut board = board(20);
        let first = board.choose(2000).unwrap();
        assert_eq!((first.slots.len(), first.rows_per_lane), (20, 100));
        board.took(&first, &full(&first), true);
        let mut seen = vec![0; 20];
        for _ in 0..5 {
            let wanted = board.choose(2000).unwrap();
            assert_eq!(wanted.slots.len(), 8);
            for slot in &wanted.slots {
                seen[usize::try_from(*slot).unwrap()] += 1;
            }
            board.took(&wanted, &full(&wanted), true);
        }
        assert!(seen.iter().all(|count| *count == 2), "{seen:?}");
    }

    #[test]
    fn reading_goes_on_ahead_of_sending_and_stops_at_the_end() {
        let mut board = board(1);
        let first = board.choose(50).unwrap();
        board.took(&first, &full(&first), true);
        let second = board.choose(50).unwrap();
        assert_eq!(second.after, [50]);
        board.took(&second, &HashMap::from([(0, (3, 53))]), true);
        assert!(board.choose(50).is_none());
        board.sent(0, 10);
        board.rewind(0);
        assert_eq!(board.choose(50).unwrap().after, [10]);
    }

    #[test]
    fn a_held_lane_is_not_read_and_begins_where_sending_stood() {
        let mut board = board(2);
        board.sent(1, 4);
        board.hold(1, "because".to_owned(), Duration::from_secs(10));
        assert_eq!(board.choose(50).unwrap().slots, [0]);
        assert_eq!(board.held().len(), 1);
        assert!(board.is_held(1) && !board.release());
    }
}
