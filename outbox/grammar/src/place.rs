//! Where a record lies, as every program writes and reads it: `order.commands.v1[3]@17`.

use std::fmt;

/// A topic's partition and an offset in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { topic, partition, offset } = self;
        write!(f, "{topic}[{partition}]@{offset}")
    }
}

impl<'a> Place<'a> {
    /// What such a text names, if it names a place.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (topic, rest) = text.split_once('[')?;
        let (partition, offset) = rest.split_once("]@")?;
        let (partition, offset) = (partition.parse().ok()?, offset.parse().ok()?);
        (!topic.is_empty() && partition >= 0 && offset >= 0).then_some(Place { topic, partition, offset })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_read() {
        for text in ["order.commands.v1-dlt[3]@17", "a[0]@0"] {
            assert_eq!(Place::parse(text).unwrap().to_string(), text);
        }
        for wrong in ["", "[3]@17", "a[3]", "a[-1]@3", "a[1]@-3", "a[x]@3", "a 3@17"] {
            assert_eq!(Place::parse(wrong), None, "{wrong}");
        }
    }
}
