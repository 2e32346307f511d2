//! One thing that happened to an order: a record on a topic, or a row that is committed and not yet published.

use jiff::Timestamp;
use outbox::Position;
use schemas::{Message, Time};

use crate::log::{Channel, Spot};

/// What a hop is to the services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mark {
    /// It counts.
    Counts,
    /// It says what was said before: published again by a relay, or the same message with a new position.
    Repeated,
    /// A restored database has ended its epoch.
    Void,
    /// Something of its writer is missing before it.
    AfterGap,
    /// On a topic that only a service writes, without that service's position.
    Stranger,
    /// It cannot be decoded, or its key is not the id in it.
    Unreadable,
    /// Committed by its service, not yet published.
    Unpublished,
    /// In the topic, behind an open transaction: nobody is given it before that ends, if it counts then.
    Waiting,
    /// Its reader has read it, could not take it, and keeps it, with what follows of its key, until it can.
    Parked,
    /// Set aside by the service that reads the topic.
    DeadLetter,
    /// What an operator did about a dead letter.
    Operator,
}

impl Mark {
    /// The mark's name; none where there is nothing to remark.
    pub(crate) const fn as_str(&self) -> Option<&'static str> {
        match self {
            Mark::Counts => None,
            Mark::Repeated => Some("repeated"),
            Mark::Void => Some("void"),
            Mark::AfterGap => Some("after a gap"),
            Mark::Stranger => Some("stranger"),
            Mark::Unreadable => Some("unreadable"),
            Mark::Unpublished => Some("unpublished"),
            Mark::Waiting => Some("waiting"),
            Mark::Parked => Some("parked"),
            Mark::DeadLetter => Some("dead letter"),
            Mark::Operator => Some("operator"),
        }
    }
}

/// A hop.
#[derive(Debug, Clone)]
pub(crate) struct Hop {
    pub(crate) channel: Channel,
    pub(crate) partition: i32,
    /// None while it is not published.
    pub(crate) offset: Option<i64>,
    /// `ce_time`: when it was decided or sent, by its sender's clock.
    pub(crate) time: Option<Time>,
    /// The record's timestamp.
    pub(crate) broker_time: Option<Timestamp>,
    /// The message's name, or what the record is where it has none.
    pub(crate) name: String,
    /// What is worth saying beside that; may be empty.
    pub(crate) detail: String,
    pub(crate) message: Option<Message>,
    /// `ce_id`.
    pub(crate) id: Option<String>,
    /// `ce_causationid`.
    pub(crate) causation: Option<String>,
    /// `ce_source`.
    pub(crate) source: Option<String>,
    pub(crate) trace_parent: Option<String>,
    pub(crate) position: Option<Position>,
    /// The record that it was made of, where that is told by place: of dead letters and what operators did.
    pub(crate) made_of: Option<Spot>,
    pub(crate) mark: Mark,
}

impl Hop {
    /// When it happened: as its sender says, or else when it came to the topic.
    pub(crate) fn at(&self) -> Time {
        let told = self.time.or_else(|| self.broker_time.map(Time::from));
        told.unwrap_or_else(|| Time::from_micros(0))
    }

    /// The aggregate's version.
    pub(crate) fn version(&self) -> Option<i64> {
        self.message.as_ref().and_then(Message::version)
    }

    /// Where it lies; none while it is not published.
    pub(crate) fn spot(&self) -> Option<Spot> {
        self.offset.map(|offset| Spot { channel: self.channel, partition: self.partition, offset })
    }

    /// Where it lies, in words.
    pub(crate) fn place(&self) -> String {
        match self.spot() {
            Some(spot) => spot.to_string(),
            None => format!("{}[{}]", self.channel.name(), self.partition),
        }
    }

    /// The name with the version.
    pub(crate) fn title(&self) -> String {
        match self.version() {
            Some(version) => format!("{} v{version}", self.name),
            None => self.name.clone(),
        }
    }

    /// Whether the services act, or will act, on it.
    pub(crate) fn counts(&self) -> bool {
        matches!(self.mark, Mark::Counts | Mark::AfterGap | Mark::Unpublished | Mark::Parked)
    }
}
