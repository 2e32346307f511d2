//! The topics of the pipeline with their dead letters, and who writes and reads each.

use schemas::{ServiceName, TopicName};

/// A topic of the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// One that carries messages.
    Messages(TopicName),
    /// The dead letters of one that does.
    DeadLetters(TopicName),
}

impl Channel {
    /// All: messages first.
    pub(crate) fn all() -> impl Iterator<Item = Channel> {
        let letters = TopicName::ALL.into_iter().map(Channel::DeadLetters);
        TopicName::ALL.into_iter().map(Channel::Messages).chain(letters)
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
            Channel::DeadLetters(topic) => topic.read_by(),
        }
    }

    /// The service that reads here.
    pub(crate) fn reader(self) -> Option<ServiceName> {
        match self {
            Channel::Messages(topic) => topic.read_by(),
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
        assert_eq!(all.len(), 2 * TopicName::ALL.len());
        for topic in TopicName::ALL {
            assert_eq!(Channel::DeadLetters(topic).writer(), Channel::Messages(topic).reader());
        }
    }
}
