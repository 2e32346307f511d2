//! A place in a topic, as callers get it and give it back: `order.events.v1/3/17`; of a command with its id behind.
//!
//! Where a command lies says where it was asked for. What answers it lies in another topic, and names the command's id. To place an
//! order that is there already is answered by nothing but that order, so a placing says that it is one.

use std::fmt;
use std::str::FromStr;

use client::Delivered;
use schemas::{Message, OrderCommand, TopicName};

/// The header that carries it.
pub const HEADER: &str = "order-position";

/// A place in a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Which topic.
    pub topic: TopicName,
    /// Which partition.
    pub partition: i32,
    /// Which offset there.
    pub offset: i64,
    /// The command's `ce_id`, where it is a command's place.
    pub command: Option<String>,
    /// Whether the command places an order.
    pub is_placing: bool,
}

/// What stands behind a placing's id.
const PLACING: &str = "placing";

impl Position {
    /// Where a command landed.
    pub fn of_command(command: &Message, delivered: &Delivered) -> Self {
        let Delivered { id, partition, offset, .. } = delivered;
        let is_placing = matches!(command, Message::OrderCommand(OrderCommand::PlaceOrder(_)));
        Position {
            command: Some(id.to_string()),
            is_placing,
            ..Position::of_event(command.topic(), *partition, *offset)
        }
    }

    /// Where an event lies.
    pub fn of_event(topic: TopicName, partition: i32, offset: i64) -> Self {
        Position { topic, partition, offset, command: None, is_placing: false }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.topic.as_str(), self.partition, self.offset)?;
        self.command.iter().try_for_each(|command| write!(f, "/{command}"))?;
        if self.is_placing { write!(f, "/{PLACING}") } else { Ok(()) }
    }
}

/// Text that is no position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no position, as in order.events.v1/3/17: give one that an answer of this API had in Order-Position")]
pub struct PositionError;

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let mut parts = text.split('/');
        let topic = parts.next().and_then(|name| TopicName::ALL.into_iter().find(|topic| topic.as_str() == name));
        let partition = parts.next().and_then(|number| number.parse().ok()).filter(|number: &i32| *number >= 0);
        let offset = parts.next().and_then(|number| number.parse().ok()).filter(|number: &i64| *number >= 0);
        let command = parts.next().map(str::to_owned);
        let is_placing = match (parts.next(), parts.next()) {
            (None, None) => false,
            (Some(PLACING), None) => true,
            (Some(_), _) | (None, Some(_)) => return Err(PositionError),
        };
        let (Some(topic), Some(partition), Some(offset)) = (topic, partition, offset) else {
            return Err(PositionError);
        };
        // What was asked for is known by its id alone, and what happened has none.
        match topic.written_by().is_none() == command.is_some() {
            true => Ok(Position { topic, partition, offset, command, is_placing }),
            false => Err(PositionError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_as_it_is_written_and_nothing_else_is_one() {
        for text in ["order.events.v1/3/17", "order.commands.v1/0/2/0193-id", "order.commands.v1/0/2/0193-id/placing"] {
            assert_eq!(text.parse::<Position>().unwrap().to_string(), text);
        }
        for wrong in [
            "",
            "order.events.v1/3",
            "nobody.v1/3/17",
            "order.events.v1/-1/17",
            "order.events.v1/1/2/x",
            "order.commands.v1/1/2",
            "order.commands.v1/1/2/id/else",
            "order.commands.v1/1/2/id/placing/more",
            "order.events.v1/1/99999999999999999999",
        ] {
            assert_eq!(wrong.parse::<Position>(), Err(PositionError), "{wrong}");
        }
    }
}
