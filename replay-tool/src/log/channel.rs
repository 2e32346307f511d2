//! The topics of the pipeline with their dead letters, and who writes and reads each.

pub(crate) use domain::topology::reader_of;
use schemas::{ServiceName, TopicName};

/// A topic of the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Channel {
    /// One that carries messages.
    Messages(TopicName),
    /// The dead letters of one that does.
    DeadLetters(TopicName),
}

impl Channel {
    /// All sixteen, the fullest first.
    pub(crate) fn all() -> impl Iterator<Item = Channel> {
        const FULLEST_FIRST: [TopicName; 8] = [
            TopicName::OrderEvents,
            TopicName::StockEvents,
            TopicName::InventoryCommands,
            TopicName::OrderCommands,
            TopicName::PaymentCommands,
            TopicName::InventoryEvents,
            TopicName::PaymentEvents,
            TopicName::StockCommands,
        ];
        let letters = FULLEST_FIRST.into_iter().map(Channel::DeadLetters);
        FULLEST_FIRST.into_iter().map(Channel::Messages).chain(letters)
    }

    /// The name without a deployment's prefix.
    pub(crate) fn name(self) -> String {
        match self {
            Channel::Messages(topic) => topic.as_str().to_owned(),
            Channel::DeadLetters(topic) => topic.dead_letter(),
        }
    }

    /// The only service that may write here; none where anyone may, or nobody does.
    pub(crate) fn writer(self) -> Option<ServiceName> {
        match self {
            Channel::Messages(topic) => topic.written_by(),
            Channel::DeadLetters(topic) => reader_of(topic),
        }
    }

    /// The service that reads here.
    pub(crate) fn reader(self) -> Option<ServiceName> {
        match self {
            Channel::Messages(topic) => reader_of(topic),
            Channel::DeadLetters(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_is_there_once_and_dead_letters_are_written_by_the_reader() {
        let all: std::collections::BTreeSet<Channel> = Channel::all().collect();
        assert_eq!(all.len(), 16);
        for topic in TopicName::ALL {
            assert_eq!(Channel::DeadLetters(topic).writer(), Channel::Messages(topic).reader());
        }
        assert_eq!(reader_of(TopicName::PaymentEvents), Some(ServiceName::Order));
        assert_eq!(reader_of(TopicName::OrderEvents), None);
    }
}
