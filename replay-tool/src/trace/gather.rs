//! Picks an order's records out of everything that lies in its partitions.
//!
//! Every record of a partition is looked at, not only the order's: only so does it show which of the order's records were
//! repeated, voided or come after a gap.

use std::collections::{HashMap, HashSet};

use client::{Manner, currency_of, detail_in};
use jiff::Timestamp;
use outbox::Position;
use outbox::inbox::Delivery;
use outbox::inbox::place::{Place, Restoration};
use schemas::{Codec, Message, OrderId, Time, TopicName};

use super::hop::{Hop, Mark};
use crate::dead_letters::DeadLetter;
use crate::log::{Channel, Note, REDRIVE_OF_HEADER, Record, Spot, Walk};
use outbox::Epochs;

/// The topics in which an order can be met, their dead letters included.
pub(crate) fn channels() -> impl Iterator<Item = Channel> {
    TopicName::by_order().map(Channel::Messages).chain(TopicName::by_order().map(Channel::DeadLetters))
}

/// What the reader of a topic has parked.
#[derive(Debug, Default)]
pub(crate) struct Parked {
    pub(crate) places: HashSet<Place>,
    /// By partition; no entry where no restore has changed anything.
    pub(crate) restorations: HashMap<i32, Restoration>,
}

impl Parked {
    fn has(&self, record: &Record<'_>) -> bool {
        let restoration = self.restorations.get(&record.partition).copied().unwrap_or_default();
        !self.places.is_empty() && self.places.contains(&record.place(restoration))
    }
}

/// What has been picked so far.
pub(crate) struct Gathering {
    order_id: OrderId,
    codec: Codec,
    hops: Vec<Hop>,
    walks: HashMap<(Channel, i32), Walk>,
    /// What the readers of the topics have parked.
    parked: HashMap<TopicName, Parked>,
    /// Ids of services' messages that count, and contents of commands: what comes again repeats them.
    said: HashSet<(Channel, Vec<u8>)>,
}

impl Gathering {
    /// For this order's records; `parked`: as the readers' tables have it, where they were asked.
    pub(crate) fn new(order_id: OrderId, codec: Codec, parked: HashMap<TopicName, Parked>) -> Self {
        Gathering { order_id, codec, parked, hops: Vec::new(), walks: HashMap::new(), said: HashSet::new() }
    }

    /// A partition is about to be read from this offset on.
    pub(crate) fn begin(&mut self, channel: Channel, partition: i32, first_offset: i64) {
        self.walks.insert((channel, partition), Walk::from(first_offset));
    }

    /// The next record of a partition.
    pub(crate) fn take(&mut self, channel: Channel, record: &Record<'_>) {
        let position = channel.writer().and_then(|writer| record.position(writer));
        let delivery = position
            .as_ref()
            .map(|position| self.walks.entry((channel, record.partition)).or_default().judge(position, record));
        match channel {
            Channel::Messages(topic) => {
                if record.key == Some(self.order_id.as_str().as_bytes()) {
                    self.message(topic, record, position, delivery);
                }
            }
            Channel::DeadLetters(topic) => self.letter(topic, record, position, delivery),
        }
    }

    /// A record that waits behind an open transaction: nobody was given it. Whether it is the order's.
    pub(crate) fn take_waiting(&mut self, channel: Channel, record: &Record<'_>) -> bool {
        let known = self.hops.len();
        self.take(channel, record);
        // It may never count: whatever else it is, that comes first.
        let own = self.hops.get_mut(known..).unwrap_or_default();
        own.iter_mut().for_each(|hop| hop.mark = Mark::Waiting);
        !own.is_empty()
    }

    /// A row that is committed; it is shown unless its sequence was read from the topic.
    pub(crate) fn take_row(&mut self, mut hop: Hop) {
        let walk = self.walks.get(&(hop.channel, hop.partition));
        let sequence = hop.position.as_ref().map_or(0, |position| position.sequence);
        if walk.is_some_and(|walk| walk.highest() >= sequence) {
            return;
        }
        hop.mark = Mark::Unpublished;
        self.hops.push(hop);
    }

    /// Everything, the hops of each partition in the order of their log.
    pub(crate) fn finish(self) -> Vec<Hop> {
        let Gathering { mut hops, walks, .. } = self;
        let epochs: HashMap<(Channel, i32), Epochs> =
            walks.into_iter().map(|(place, walk)| (place, walk.into_epochs())).collect();
        for hop in &mut hops {
            let lane = epochs.get(&(hop.channel, hop.partition));
            if let (Some(lane), Some(position)) = (lane, &hop.position)
                && hop.mark != Mark::Waiting
                && !lane.counts(position)
            {
                hop.mark = Mark::Void;
            }
        }
        tell(&mut hops);
        hops
    }

    fn message(
        &mut self,
        topic: TopicName,
        record: &Record<'_>,
        position: Option<Position>,
        delivery: Option<Delivery>,
    ) {
        let channel = Channel::Messages(topic);
        let decoded = self.codec.decode(topic, record.payload.unwrap_or_default());
        let mut hop = hop_of(channel, record, position);
        let mark = match (topic.written_by(), delivery) {
            (Some(_), None) => Mark::Stranger,
            (Some(_), Some(Delivery::Duplicate | Delivery::Stale)) => Mark::Repeated,
            (Some(_), Some(Delivery::Gap { .. } | Delivery::EpochNotAtFirst { .. })) => Mark::AfterGap,
            (Some(_), Some(Delivery::Next)) | (None, _) if self.is_parked(topic, record) => Mark::Parked,
            (Some(_), Some(Delivery::Next)) | (None, _) => Mark::Counts,
        };
        match decoded {
            Ok(message) if record.key == Some(message.key().as_bytes()) => {
                let is_first = hop.made_of.is_some() || self.is_said_first(channel, record, &message, &mark);
                hop.mark = if is_first { mark } else { Mark::Repeated };
                message.name().clone_into(&mut hop.name);
                hop.message = Some(message);
            }
            Ok(message) => {
                hop.mark = Mark::Unreadable;
                message.name().clone_into(&mut hop.name);
                hop.detail = format!("its key is not the id in it, {:?}", message.key());
            }
            Err(error) => {
                hop.mark = Mark::Unreadable;
                "a record".clone_into(&mut hop.name);
                hop.detail = error.to_string();
            }
        }
        self.hops.push(hop);
    }

    fn is_parked(&self, topic: TopicName, record: &Record<'_>) -> bool {
        self.parked.get(&topic).is_some_and(|parked| parked.has(record))
    }

    /// A service's message is known by its id, a command by its bytes.
    fn is_said_first(&mut self, channel: Channel, record: &Record<'_>, message: &Message, mark: &Mark) -> bool {
        if !matches!(mark, Mark::Counts | Mark::Parked | Mark::AfterGap) {
            return true;
        }
        let identity = match (channel.writer(), record.id(false)) {
            (Some(_), Some(id)) => id.as_bytes().to_vec(),
            (Some(_), None) => return true,
            (None, _) => self.codec.encode(message).unwrap_or_default(),
        };
        self.said.insert((channel, identity))
    }

    /// A dead letter, or what an operator did about one, is the order's by its key or by what is in it.
    fn letter(
        &mut self,
        topic: TopicName,
        record: &Record<'_>,
        position: Option<Position>,
        delivery: Option<Delivery>,
    ) {
        let channel = Channel::DeadLetters(topic);
        let has_key = record.key == Some(self.order_id.as_str().as_bytes());
        if let Some(note) = Note::read(record) {
            let letter = Spot { channel, partition: record.partition, offset: note.letter_offset };
            let is_ours = has_key || self.hops.iter().any(|hop| hop.spot() == Some(letter));
            if is_ours {
                let mut hop = hop_of(channel, record, None);
                (hop.mark, hop.made_of, hop.time) = (Mark::Operator, Some(letter), None);
                (hop.name, hop.detail) = (note.action.as_str().to_owned(), note.in_words());
                self.hops.push(hop);
            }
            return;
        }
        let message = self.codec.decode(topic, record.payload.unwrap_or_default()).ok();
        let is_about = message.as_ref().is_some_and(|message| message.key() == self.order_id.as_str());
        if !has_key && !is_about {
            return;
        }
        let mut hop = hop_of(channel, record, position);
        let letter = DeadLetter::of(topic, record);
        hop.mark = match delivery {
            None => Mark::Stranger,
            Some(Delivery::Duplicate | Delivery::Stale) => Mark::Repeated,
            Some(Delivery::Next | Delivery::Gap { .. } | Delivery::EpochNotAtFirst { .. }) => Mark::DeadLetter,
        };
        // `ce_time` in a letter is the original's.
        hop.time = None;
        hop.made_of = letter.original;
        hop.name = message.map_or_else(|| "a record".to_owned(), |message| message.name().to_owned());
        let was = letter.original.map_or_else(String::new, |spot| format!(", was {spot}"));
        hop.detail = format!("{}: {}{was}", letter.cause, letter.detail);
        self.hops.push(hop);
    }
}

/// Says what each message says, in the currency that one of them names.
fn tell(hops: &mut [Hop]) {
    let currency = currency_of(hops.iter().filter_map(|hop| hop.message.as_ref())).map(str::to_owned);
    let manner = Manner::plain(currency.as_deref());
    for hop in hops {
        if let Some(message) = &hop.message {
            hop.detail = detail_in(message, &manner);
        }
    }
}

fn hop_of(channel: Channel, record: &Record<'_>, position: Option<Position>) -> Hop {
    let text = |name: &str| record.text(name).map(str::to_owned);
    let time = record.text("ce_time").and_then(|text| text.parse::<Time>().ok());
    let redriven = record.text(REDRIVE_OF_HEADER).and_then(|text| text.parse().ok());
    Hop {
        channel,
        partition: record.partition,
        offset: Some(record.offset),
        // What is redriven has the original's headers.
        time: time.filter(|_| redriven.is_none()),
        broker_time: Timestamp::from_millisecond(record.timestamp_ms).ok(),
        name: String::new(),
        detail: String::new(),
        message: None,
        id: text("ce_id"),
        causation: text("ce_causationid"),
        source: text("ce_source"),
        trace_parent: text("traceparent"),
        position,
        made_of: redriven,
        mark: Mark::Counts,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use schemas::{CancelOrder, CommandId, OrderCompleted, OrderStockReserved, ServiceName};

    use super::*;
    use crate::log::Written;

    const EVENTS: Channel = Channel::Messages(TopicName::OrderEvents);
    const COMMANDS: Channel = Channel::Messages(TopicName::OrderCommands);
    const ORDER: ServiceName = ServiceName::Order;

    fn id() -> OrderId {
        OrderId::new("o").unwrap()
    }

    fn event(offset: i64, version: i64) -> Written {
        Written::of(
            offset,
            OrderStockReserved {
                order_id: id(),
                version,
                at: Time::from_micros(1),
                attributes: BTreeMap::new(),
                origin: None,
            },
        )
    }

    fn cancel(offset: i64, command_id: &str) -> Written {
        Written::of(
            offset,
            CancelOrder {
                order_id: id(),
                command_id: CommandId::new(command_id).unwrap(),
                reason_code: None,
                by: None,
                note: None,
            },
        )
    }

    fn marks(channel: Channel, first_offset: i64, records: &[Written]) -> Vec<Mark> {
        let mut gathering = Gathering::new(id(), Codec::embedded(), HashMap::new());
        gathering.begin(channel, 0, first_offset);
        for record in records {
            gathering.take(channel, &record.record());
        }
        gathering.finish().into_iter().map(|hop| hop.mark).collect()
    }

    #[test]
    fn what_a_writer_said_twice_or_not_at_all_shows() {
        let records = [
            event(0, 1).at(ORDER, (1, 1, 1)),
            event(1, 2).at(ORDER, (1, 1, 2)),
            event(2, 1).at(ORDER, (1, 1, 1)),
            event(3, 3).at(ORDER, (1, 1, 4)),
            event(4, 4),
        ];
        let expected = [Mark::Counts, Mark::Counts, Mark::Repeated, Mark::AfterGap, Mark::Stranger];
        assert_eq!(marks(EVENTS, 0, &records), expected);
        assert_eq!(marks(EVENTS, 7, &records[1..2]), [Mark::Counts], "a log whose beginning was deleted");
    }

    #[test]
    fn what_a_restore_has_voided_is_void_also_before_its_epoch_was_met() {
        let records = [
            event(0, 1).at(ORDER, (1, 1, 1)),
            event(1, 2).at(ORDER, (1, 1, 2)),
            event(2, 2).at(ORDER, (2, 3, 3)).with("outbox-last-equal", "1"),
        ];
        assert_eq!(marks(EVENTS, 0, &records), [Mark::Counts, Mark::Void, Mark::Counts]);
    }

    #[test]
    fn a_command_is_repeated_by_its_content_and_unreadable_under_another_body() {
        let other = OrderCompleted {
            order_id: OrderId::new("p").unwrap(),
            version: 1,
            at: Time::from_micros(1),
            attributes: BTreeMap::new(),
            origin: None,
        };
        let wrong_type = Written { key: Some(b"o".to_vec()), ..Written::of(3, other) };
        let records = [cancel(0, "a"), cancel(1, "b"), cancel(2, "a"), wrong_type];
        assert_eq!(marks(COMMANDS, 0, &records), [Mark::Counts, Mark::Counts, Mark::Repeated, Mark::Unreadable]);
        let redriven = cancel(1, "a").with(REDRIVE_OF_HEADER, "order.commands.v1-dlt[0]@3");
        assert_eq!(marks(COMMANDS, 0, &[cancel(0, "a"), redriven]), [Mark::Counts, Mark::Counts]);
    }

    #[test]
    fn a_letter_is_found_by_what_is_in_it_and_followed_by_what_was_done() {
        let letters = Channel::DeadLetters(TopicName::OrderCommands);
        let mis_keyed = Written { key: Some(b"x".to_vec()), ..cancel(0, "a") }
            .with("kafka_dlt-original-topic", "order.commands.v1")
            .with("kafka_dlt-original-partition", 3_i32.to_be_bytes())
            .with("kafka_dlt-original-offset", 9_i64.to_be_bytes())
            .with("kafka_dlt-exception-fqcn", "key")
            .with("outbox-position", "/order:1:1:1");
        let note = br#"{"action":"discarded","letter_offset":0,"by":"me","at":"2026-01-01T00:00:00Z"}"#;
        let note = Written { offset: 1, key: Some(b"x".to_vec()), payload: Some(note.to_vec()), ..Written::default() }
            .with("operator-action", "discarded");
        let mut gathering = Gathering::new(id(), Codec::embedded(), HashMap::new());
        for record in [&mis_keyed, &note] {
            gathering.take(letters, &record.record());
        }
        let hops = gathering.finish();
        assert_eq!(hops.iter().map(|hop| hop.mark.clone()).collect::<Vec<_>>(), [Mark::DeadLetter, Mark::Operator]);
        assert_eq!(hops[0].made_of.unwrap().to_string(), "order.commands.v1[3]@9");
        assert_eq!(hops[1].made_of, hops[0].spot());
    }
}
