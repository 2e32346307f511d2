//! The topics' names on the brokers: with the deployment's prefix.

use std::fmt::Display;
use std::sync::Arc;

/// Every topic of a contract with its full name; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct TopicNames<T> {
    prefix: Arc<str>,
    full: Arc<[(T, Arc<str>)]>,
}

impl<T: Copy + Eq + Display> TopicNames<T> {
    pub(crate) fn new(prefix: &str, topics: &[T]) -> Self {
        let full = topics.iter().map(|topic| (*topic, format!("{prefix}{topic}").into())).collect();
        TopicNames { prefix: prefix.into(), full }
    }

    /// The topic's name on the brokers.
    pub(crate) fn full(&self, topic: T) -> Arc<str> {
        match self.full.iter().find(|(known, _)| *known == topic) {
            Some((_, name)) => name.clone(),
            // A topic that the contract does not list is written to all the same.
            None => format!("{}{topic}", self.prefix).into(),
        }
    }

    /// The topic that has this full name.
    pub(crate) fn find(&self, full: &str) -> Option<T> {
        self.full.iter().find(|(_, name)| **name == *full).map(|(topic, _)| *topic)
    }
}
