//! Records of a topic in their order, given places in another number of partitions. Pure.
//!
//! A record goes where its key belongs; one without a key to its old partition's number modulo the new count. Dead letters and
//! notes have the key of their record, and so stay in its partition. A service's messages are numbered anew from 1, and what
//! its relay published twice is left out. Everything else stays as it was, but that a record on a topic that a service reads
//! says where it first lay, a letter names the new topic, and a note the new offset of its letter.

use std::collections::HashMap;

use outbox::Position;
use outbox::inbox::place::{Place, RESTORED_FROM_HEADER, Restoration};
use outbox::position::POSITION_HEADER;
use schemas::{ServiceName, partitioner};

use super::kept::{Kept, KeptHeader};
use super::restore::{ORIGINAL_TOPIC, renamed_origin};
use crate::error::ReplayError;
use crate::log::{Action, Channel, Note};

/// A partition of the new topic, as far as it is filled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Filled {
    pub(crate) end: i64,
    /// The last sequence of the topic's writer, and the offset of its record; zeros where there is none.
    pub(crate) sequence: i64,
    pub(crate) last_offset: i64,
}

/// A topic on its way into other partitions.
#[derive(Debug)]
pub(super) struct Renumbering<'p> {
    channel: Channel,
    /// The archived topic's full name, for words.
    topic: String,
    /// In front of the archived topics' names, and of the new ones.
    prefixes: (&'p str, &'p str),
    /// What earlier restores have made of each archived partition.
    restorations: Vec<Restoration>,
    /// The writer's last sequence in each archived partition.
    pub(super) sequences: Vec<i64>,
    pub(super) lanes: Vec<Filled>,
    /// Letters by old place: the new offset, and whether a redrive has begun that nobody knows the end of.
    letters: HashMap<(i32, i64), (i64, bool)>,
}

impl<'p> Renumbering<'p> {
    pub(super) fn new(
        channel: Channel,
        topic: String,
        prefixes: (&'p str, &'p str),
        restorations: Vec<Restoration>,
        count: usize,
    ) -> Self {
        Renumbering {
            channel,
            topic,
            prefixes,
            sequences: vec![0; restorations.len()],
            restorations,
            lanes: vec![Filled::default(); count],
            letters: HashMap::new(),
        }
    }

    /// The record at its new place; none where it is a repetition that nobody takes.
    pub(super) fn place(&mut self, mut record: Kept) -> Result<Option<Kept>, ReplayError> {
        let from = (record.partition, record.offset);
        let index = self.home(&record);
        let position = self.channel.writer().and_then(|writer| record.record().position(writer));
        if let Some(position) = &position
            && !self.is_next(from.0, position)?
        {
            return Ok(None);
        }
        let restoration = usize::try_from(from.0).ok().and_then(|old| self.restorations.get(old)).copied();
        let restoration = restoration.unwrap_or_default();
        let first = record.record().place(restoration);
        let lane = &mut self.lanes[index];
        (record.partition, record.offset) = (i32::try_from(index).unwrap_or(i32::MAX), lane.end);
        lane.end += 1;
        if position.is_some() {
            lane.sequence += 1;
            lane.last_offset = record.offset;
        }
        let sequence = position.is_some().then_some(lane.sequence);
        if self.channel.reader().is_some() {
            let headers = record.headers.get_or_insert_default();
            restoration.strip(from.1, headers);
            say_place(headers, first);
        }
        if let (Some(sequence), Some(writer)) = (sequence, self.channel.writer()) {
            renumber(&mut record, writer, sequence);
        }
        if let Channel::DeadLetters(_) = self.channel {
            self.letter_or_note(from, &mut record, sequence.is_some());
        }
        Ok(Some(record))
    }

    /// An error where something is under way that would be forgotten.
    pub(super) fn check_end(&self) -> Result<(), ReplayError> {
        match self.letters.iter().find(|(_, (_, has_begun))| *has_begun) {
            None => Ok(()),
            Some(((partition, offset), _)) => Err(self.refused(format!(
                "the redrive of the letter at partition {partition}, offset {offset} has begun and not ended; end it with \
                 `dead-letters redrive`, and archive again"
            ))),
        }
    }

    fn home(&self, record: &Kept) -> usize {
        let count = i32::try_from(self.lanes.len()).unwrap_or(i32::MAX);
        let home = match &record.key {
            Some(key) => partitioner::partition_of(key, count),
            None => record.partition.rem_euclid(count),
        };
        usize::try_from(home).unwrap_or(0)
    }

    /// Whether a service's message is the next one of its old lane, and no repetition.
    fn is_next(&mut self, partition: i32, position: &Position) -> Result<bool, ReplayError> {
        if position.epoch > 1 {
            return Err(self.refused(format!(
                "partition {partition} has records of epoch {}: what it has voided would count again",
                position.epoch
            )));
        }
        let Some(last) = usize::try_from(partition).ok().and_then(|index| self.sequences.get_mut(index)) else {
            return Ok(false);
        };
        if position.sequence <= *last {
            return Ok(false);
        }
        let expected = *last + 1;
        *last = position.sequence;
        if position.sequence == expected {
            return Ok(true);
        }
        Err(self.refused(format!("partition {partition} has sequence {} where {expected} is due", position.sequence)))
    }

    fn letter_or_note(&mut self, from: (i32, i64), record: &mut Kept, is_letter: bool) {
        if is_letter {
            self.letters.insert(from, (record.offset, false));
            self.rename(record);
            return;
        }
        let Some(mut note) = Note::read(&record.record()) else { return };
        let Some((offset, has_begun)) = self.letters.get_mut(&(from.0, note.letter_offset)) else { return };
        *has_begun = note.action == Action::RedriveBegun;
        note.letter_offset = *offset;
        if let Ok(payload) = serde_json::to_vec(&note) {
            record.payload = Some(payload);
        }
    }

    /// The letter's original topic has a new name.
    fn rename(&self, record: &mut Kept) {
        for (_, value) in record.headers.iter_mut().flatten().filter(|(header, _)| header == ORIGINAL_TOPIC) {
            if let Some(renamed) = renamed_origin(value.as_deref(), self.prefixes) {
                *value = Some(renamed);
            }
        }
    }

    fn refused(&self, reason: String) -> ReplayError {
        ReplayError::archive(&self.topic, format!("it cannot be restored into other partitions: {reason}"))
    }
}

/// Say where the record first lay, in front of the position, which stays last.
fn say_place(headers: &mut Vec<KeptHeader>, first: Place) {
    let is_position = |(name, _): &KeptHeader| name == POSITION_HEADER;
    let index = if headers.last().is_some_and(is_position) { headers.len() - 1 } else { headers.len() };
    headers.insert(index, (RESTORED_FROM_HEADER.to_owned(), Some(first.to_string().into_bytes())));
}

fn renumber(record: &mut Kept, writer: ServiceName, sequence: i64) {
    let position = Position { source: writer.source().to_owned(), epoch: 1, first: 1, sequence };
    let mut headers = record.headers.iter_mut().flatten().rev();
    if let Some((_, value)) = headers.find(|(name, _)| name == POSITION_HEADER) {
        *value = Some(position.to_string().into_bytes());
    }
}

#[cfg(test)]
mod tests {
    use schemas::{CancelOrder, CommandId, OrderId, TopicName};

    use super::*;
    use crate::log::Written;

    const EVENTS: Channel = Channel::Messages(TopicName::InventoryEvents);
    const COMMANDS: Channel = Channel::Messages(TopicName::OrderCommands);

    fn written(partition: i32, offset: i64, key: &str) -> Written {
        let (order_id, command_id) = (OrderId::new(key).unwrap(), CommandId::new("c").unwrap());
        Written {
            partition,
            ..Written::of(offset, CancelOrder { order_id, command_id, reason_code: None, by: None, note: None })
        }
    }

    fn renumbering(channel: Channel, restorations: Vec<Restoration>, count: usize) -> Renumbering<'static> {
        Renumbering::new(channel, channel.name(), ("a-", "b-"), restorations, count)
    }

    fn header(record: &Kept, name: &str) -> String {
        let kept = record.record();
        kept.text(name).unwrap_or_default().to_owned()
    }

    #[test]
    fn lanes_are_numbered_anew_and_repetitions_left_out() {
        let mut topic = renumbering(EVENTS, vec![Restoration::default(); 2], 1);
        let mut place = |partition, offset, sequence| {
            let record = written(partition, offset, "o").at(ServiceName::Inventory, (1, 1, sequence));
            topic.place(Kept::of(&record.record())).unwrap()
        };
        let first = place(1, 0, 1).unwrap();
        assert_eq!((first.partition, first.offset), (0, 0));
        let second = place(0, 0, 1).unwrap();
        assert_eq!(header(&second, POSITION_HEADER), "/inventory:1:1:2");
        assert_eq!(header(&second, RESTORED_FROM_HEADER), "0@0");
        assert_eq!(second.headers.as_ref().unwrap().last().unwrap().0, POSITION_HEADER);
        assert_eq!(place(0, 1, 1), None);
        assert_eq!(topic.lanes, [Filled { end: 2, sequence: 2, last_offset: 1 }]);
        assert_eq!(topic.sequences, [1, 1]);
    }

    #[test]
    fn what_would_count_again_and_what_is_missing_is_refused() {
        for position in [(2, 1, 1), (1, 1, 2)] {
            let mut topic = renumbering(EVENTS, vec![Restoration::default()], 2);
            let record = written(0, 0, "o").at(ServiceName::Inventory, position);
            assert!(topic.place(Kept::of(&record.record())).is_err(), "{position:?}");
        }
    }

    #[test]
    fn the_first_place_is_kept_by_a_second_restore_and_no_client_gives_one() {
        let restoration = Restoration { below: 5, shift: 3 };
        let mut topic = renumbering(COMMANDS, vec![restoration], 2);
        let mut place = |offset| {
            let record = written(0, offset, "o").with(RESTORED_FROM_HEADER, "2@40");
            topic.place(Kept::of(&record.record())).unwrap().unwrap()
        };
        let (restored, forged) = (place(4), place(5));
        assert_eq!(header(&restored, RESTORED_FROM_HEADER), "2@40");
        assert_eq!(restored.headers.unwrap().len(), 1);
        assert_eq!(header(&forged, RESTORED_FROM_HEADER), "3@5");
        assert_eq!(forged.headers.unwrap().len(), 2, "what the client sent stays");
    }

    #[test]
    fn records_without_keys_stay_together_and_keys_go_home() {
        let mut topic = renumbering(COMMANDS, vec![Restoration::default(); 3], 2);
        let keyless = Written { partition: 2, ..Written::default() };
        assert_eq!(topic.place(Kept::of(&keyless.record())).unwrap().unwrap().partition, 0);
        let keyed = topic.place(Kept::of(&written(2, 1, "o-1").record())).unwrap().unwrap();
        assert_eq!(keyed.partition, partitioner::partition_of(b"o-1", 2));
    }

    #[test]
    fn a_note_names_its_letter_where_it_lies_now_and_a_redrive_must_have_ended() {
        let note = |action: &str| Written {
            offset: 8,
            payload: Some(
                format!(
                    "{{\"action\":\"{action}\",\"letter_offset\":7,\"by\":\"me\",\"at\":\"2026-01-01T00:00:00Z\"}}"
                )
                .into_bytes(),
            ),
            ..Written::default().with("operator-action", action)
        };
        let mut topic = renumbering(Channel::DeadLetters(TopicName::OrderCommands), vec![Restoration::default()], 1);
        let letter = Written { offset: 7, ..Written::default() };
        let letter = letter.with(ORIGINAL_TOPIC, "a-order.commands.v1").at(ServiceName::Order, (1, 1, 1));
        let letter = topic.place(Kept::of(&letter.record())).unwrap().unwrap();
        assert_eq!((letter.offset, header(&letter, ORIGINAL_TOPIC).as_str()), (0, "b-order.commands.v1"));
        let begun = topic.place(Kept::of(&Written { offset: 8, ..note("redrive-begun") }.record())).unwrap().unwrap();
        assert_eq!(Note::read(&begun.record()).unwrap().letter_offset, 0);
        assert!(topic.check_end().is_err());
        topic.place(Kept::of(&Written { offset: 9, ..note("redriven") }.record())).unwrap().unwrap();
        assert!(topic.check_end().is_ok());
    }
}
