//! What an event says about itself: who wrote it, in which transaction, as which of its events, and the how manieth of
//! that writer for its key.
//!
//! The text is the payload, so that journal, table, topic and consumer can be compared word for word.

use std::fmt;
use std::str::FromStr;

/// The content of one event.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Body {
    pub(crate) transaction: Name,
    /// Its place in the transaction.
    pub(crate) number: u32,
    pub(crate) key: String,
    /// Rises with every event of the same writer and key.
    pub(crate) counter: u64,
}

/// A transaction: writer, and its number there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name {
    pub(crate) writer: String,
    pub(crate) number: u64,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.writer, self.number)
    }
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.transaction, self.number, self.key, self.counter)
    }
}

impl FromStr for Body {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split('/').collect();
        let [writer, transaction, number, key, counter] = fields[..] else {
            return Err(format!("`{text}` is no body of an event"));
        };
        let wrong = |_| format!("`{text}` has a number that is none");
        Ok(Self {
            transaction: Name { writer: writer.to_owned(), number: transaction.parse().map_err(wrong)? },
            number: number.parse().map_err(wrong)?,
            key: key.to_owned(),
            counter: counter.parse().map_err(wrong)?,
        })
    }
}
