//! What a rebuild comes across and passes over: told with its position and cause, never fatal by itself.

use serde::{Deserialize, Serialize};

/// A record that could not be folded, or something that is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The topic, without prefix.
    pub topic: String,
    /// Its partition; -1 where it is about the topic as a whole.
    pub partition: i32,
    /// The record's offset; where messages are missing, that of the first one behind them.
    pub offset: i64,
    /// What is wrong with it, in words.
    pub cause: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Problem { topic, partition, offset, cause } = self;
        match partition {
            0.. => write!(f, "{topic}[{partition}]@{offset}: {cause}"),
            ..0 => write!(f, "{topic}: {cause}"),
        }
    }
}

/// Problems: all counted, the first ones kept.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Problems {
    /// How many there are.
    pub found: u64,
    /// The first [`Problems::LISTED`].
    pub listed: Vec<Problem>,
}

impl Problems {
    /// How many are kept.
    pub const LISTED: usize = 200;

    pub(crate) fn add(&mut self, problem: Problem) {
        self.found += 1;
        if self.listed.len() < Self::LISTED {
            self.listed.push(problem);
        }
    }

    pub(crate) fn append(&mut self, other: Problems) {
        self.found += other.found;
        let room = Self::LISTED.saturating_sub(self.listed.len());
        self.listed.extend(other.listed.into_iter().take(room));
    }
}

impl Problems {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.found == 0
    }
}

impl Problem {
    /// A level that no table takes: it follows from several topics, so it has no position.
    pub(crate) fn of_level(sku: &str, reason: &str) -> Self {
        let cause = format!("the level of {sku} cannot be: {reason}");
        Problem { topic: schemas::TopicName::StockEvents.as_str().to_owned(), partition: -1, offset: -1, cause }
    }
}
