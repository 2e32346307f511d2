//! The newest dead letters in memory, within bounds: what is older than there is room for goes first, topic by topic.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use schemas::TopicName;

use super::kept::Room;
use super::office::Listed;
use super::shelf::{Filed, Keep, Shelf, Shelved};
use crate::log::{Bounds, Record, Spot};

/// How far one partition is known.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    /// Where its log begins.
    first: i64,
    /// From where on letters are kept.
    from: i64,
    /// What is read next.
    next: i64,
    /// Where its log ended when it was looked at last.
    end: i64,
}

/// What is kept of one letter.
#[derive(Debug, Clone, Copy)]
struct Size {
    bytes: usize,
    is_whole: bool,
}

/// What one topic's letters take.
#[derive(Debug, Default)]
struct Taken {
    bytes: usize,
    by_age: BTreeSet<(Option<Timestamp>, Spot)>,
}

/// The newest letters.
#[derive(Debug)]
pub(super) struct Window {
    room: Room,
    shelf: Shelf,
    stretches: BTreeMap<(TopicName, i32), Stretch>,
    topics: BTreeMap<TopicName, Taken>,
    sizes: BTreeMap<Spot, Size>,
}

impl Window {
    pub(super) fn new(room: Room) -> Self {
        let shelf = Shelf::keeping(Keep::Small(room.letter_bytes));
        let (stretches, topics, sizes) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Window { room, shelf, stretches, topics, sizes }
    }

    /// A partition is about to be read from this offset on.
    pub(super) fn begin(&mut self, topic: TopicName, partition: i32, bounds: Bounds, from: i64) {
        let stretch = Stretch { first: bounds.first, from, next: from, end: bounds.end };
        self.stretches.insert((topic, partition), stretch);
        self.topics.entry(topic).or_default();
        self.shelf.begin(topic, partition, from);
    }

    /// The next record of a dead-letter partition.
    pub(super) fn take(&mut self, topic: TopicName, record: &Record<'_>) {
        self.pass(topic, record.partition, record.offset + 1);
        let taken = self.topics.entry(topic).or_default();
        match self.shelf.take(topic, record) {
            Shelved::Letter { spot, is_whole } => {
                let Some(filed) = self.shelf.get(spot) else { return };
                let bytes = filed.size();
                taken.bytes += bytes;
                taken.by_age.insert((filed.letter.set_aside_at, spot));
                self.sizes.insert(spot, Size { bytes, is_whole });
            }
            Shelved::Note { spot, size } => {
                let Some(all) = self.sizes.get_mut(&spot) else { return };
                all.bytes += size;
                taken.bytes += size;
            }
            Shelved::Nothing => {}
        }
        self.make_room(topic);
    }

    /// Nothing that is shown to anybody lies before this offset.
    pub(super) fn pass(&mut self, topic: TopicName, partition: i32, next: i64) {
        if let Some(stretch) = self.stretches.get_mut(&(topic, partition)) {
            stretch.next = stretch.next.max(next);
        }
    }

    /// Partitions that are not read to where they ended when they were looked at: which, the next offset, and that end.
    pub(super) fn unread(&self) -> impl Iterator<Item = (TopicName, i32, i64, i64)> {
        let unread = self.stretches.iter().filter(|(_, stretch)| stretch.next < stretch.end);
        unread.map(|((topic, partition), stretch)| (*topic, *partition, stretch.next, stretch.end))
    }

    /// How many records that are there are not read yet.
    pub(super) fn behind(&self) -> i64 {
        self.unread().map(|(_, _, next, end)| end - next).sum()
    }

    /// A partition begins and ends there now; what its retention has taken is kept no longer. The offset to which it was read, where
    /// it ends before that: then it is another topic.
    pub(super) fn look(&mut self, topic: TopicName, partition: i32, bounds: Bounds) -> Result<(), i64> {
        let Some(stretch) = self.stretches.get_mut(&(topic, partition)) else { return Ok(()) };
        if bounds.end < stretch.next {
            return Err(stretch.next);
        }
        (stretch.first, stretch.end) = (bounds.first, bounds.end);
        let gone =
            |filed: &&Arc<Filed>| filed.letter.spot.partition == partition && filed.letter.spot.offset < bounds.first;
        let gone: Vec<_> =
            self.shelf.of(topic).filter(gone).map(|filed| (filed.letter.set_aside_at, filed.letter.spot)).collect();
        gone.into_iter().for_each(|(at, spot)| self.drop_one(topic, at, spot));
        Ok(())
    }

    /// All that is kept of one topic.
    pub(super) fn listed(&self, topic: TopicName) -> Listed {
        let stretches = self.stretches.iter().filter(|((of, _), _)| *of == topic);
        let left = stretches.map(|(_, stretch)| (stretch.from - stretch.first).max(0)).sum();
        Listed { topic, letters: self.shelf.of(topic).cloned().collect(), left }
    }

    /// The letter that lies there, where all of it is kept.
    pub(super) fn letter(&self, spot: Spot) -> Option<&Arc<Filed>> {
        self.sizes.get(&spot).filter(|size| size.is_whole)?;
        self.shelf.get(spot)
    }

    /// The oldest ones go.
    fn make_room(&mut self, topic: TopicName) {
        loop {
            let Some(taken) = self.topics.get(&topic) else { return };
            let is_room = taken.bytes <= self.room.bytes && taken.by_age.len() <= self.room.letters as usize;
            let Some((at, spot)) = taken.by_age.first().copied().filter(|_| !is_room) else { return };
            self.drop_one(topic, at, spot);
            if let Some(stretch) = self.stretches.get_mut(&(topic, spot.partition)) {
                stretch.from = stretch.from.max(spot.offset + 1);
            }
        }
    }

    fn drop_one(&mut self, topic: TopicName, at: Option<Timestamp>, spot: Spot) {
        self.shelf.remove(spot);
        let bytes = self.sizes.remove(&spot).map_or(0, |size| size.bytes);
        if let Some(taken) = self.topics.get_mut(&topic) {
            taken.bytes = taken.bytes.saturating_sub(bytes);
            taken.by_age.remove(&(at, spot));
        }
    }
}

#[cfg(test)]
mod tests {
    use schemas::ServiceName;

    use super::*;
    use crate::log::{ACTION_HEADER, Action, Channel, Note, Written};

    const TOPIC: TopicName = TopicName::OrderCommands;
    const ROOM: Room = Room { letters: 3, bytes: 100_000, letter_bytes: 10_000 };

    fn spot(offset: i64) -> Spot {
        Spot { channel: Channel::DeadLetters(TOPIC), partition: 0, offset }
    }

    fn window(room: Room, from: i64, end: i64) -> Window {
        let mut window = Window::new(room);
        window.begin(TOPIC, 0, Bounds { first: 0, end }, from);
        window
    }

    fn take_letter(window: &mut Window, offset: i64, body: usize) {
        let written = Written { offset, payload: Some(vec![b'x'; body]), ..Written::default() };
        window.take(TOPIC, &written.at(ServiceName::Order, (1, 1, offset + 1)).record());
    }

    fn take_note(window: &mut Window, offset: i64, letter_offset: i64, reason: &str) {
        let note = Note {
            action: Action::Discarded,
            letter_offset,
            by: "kim".to_owned(),
            at: Timestamp::UNIX_EPOCH,
            reason: Some(reason.to_owned()),
            attempt: 0,
            is_edited: false,
            to_partition: None,
            to_offset: None,
        };
        let written = Written { offset, payload: serde_json::to_vec(&note).ok(), ..Written::default() };
        window.take(TOPIC, &written.with(ACTION_HEADER, note.action.as_str()).record());
    }

    fn kept(window: &Window) -> Vec<i64> {
        window.listed(TOPIC).letters.iter().map(|filed| filed.letter.spot.offset).collect()
    }

    #[test]
    fn the_newest_letters_are_kept_and_how_many_are_older_is_told() {
        let mut window = window(ROOM, 4, 9);
        (4..9).for_each(|offset| take_letter(&mut window, offset, 10));
        assert_eq!((kept(&window), window.listed(TOPIC).left), (vec![6, 7, 8], 6));
        assert!(window.letter(spot(5)).is_none() && window.letter(spot(6)).is_some());
    }

    #[test]
    fn what_all_of_them_take_is_bounded_notes_with_them() {
        let mut window = window(Room { letters: 100, ..ROOM }, 0, 99);
        (0..40).for_each(|offset| take_letter(&mut window, offset, 9_000));
        let before = kept(&window);
        assert!((8..=11).contains(&before.len()) && before.ends_with(&[38, 39]), "{before:?}");
        (40..60).for_each(|offset| take_note(&mut window, offset, 39, &"n".repeat(2_000)));
        let after = kept(&window);
        assert!(after.len() < before.len() && after.ends_with(&[39]), "{after:?}");
        assert!(window.topics[&TOPIC].bytes <= ROOM.bytes);
    }

    #[test]
    fn of_a_large_letter_no_more_is_kept_than_a_list_shows() {
        let mut window = window(ROOM, 0, 2);
        take_letter(&mut window, 0, 50_000);
        take_letter(&mut window, 1, 5_000);
        assert_eq!(kept(&window), [0, 1]);
        assert!(window.letter(spot(0)).is_none(), "its page is read on request");
        assert_eq!(window.letter(spot(1)).unwrap().letter.payload.as_ref().unwrap().len(), 5_000);
    }

    #[test]
    fn a_note_lies_beside_its_letter_and_what_is_not_read_yet_is_told() {
        let mut window = window(ROOM, 0, 3);
        take_letter(&mut window, 0, 10);
        take_letter(&mut window, 1, 10);
        assert_eq!(window.behind(), 1);
        take_note(&mut window, 2, 0, "seen to");
        assert_eq!(window.behind(), 0);
        let of = |offset| window.letter(spot(offset)).unwrap().notes.len();
        assert_eq!((of(0), of(1)), (1, 0));
    }

    #[test]
    fn what_retention_has_taken_goes_and_a_topic_that_was_made_anew_is_noticed() {
        let mut window = window(ROOM, 0, 3);
        (0..3).for_each(|offset| take_letter(&mut window, offset, 10));
        assert_eq!(window.look(TOPIC, 0, Bounds { first: 2, end: 5 }), Ok(()));
        assert_eq!((kept(&window), window.behind(), window.listed(TOPIC).left), (vec![2], 2, 0));
        assert_eq!(window.look(TOPIC, 0, Bounds { first: 0, end: 1 }), Err(3));
    }
}
