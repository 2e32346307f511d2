//! Where a record lies, as people write it: `order.commands.v1[3]@17`.

use grammar::Place;

use super::channel::Channel;

/// Where a record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Spot {
    /// The topic.
    pub channel: Channel,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

impl std::fmt::Display for Spot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.channel.name();
        Place { topic: &name, partition: self.partition, offset: self.offset }.fmt(f)
    }
}

/// Text that names no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no record; write it as order.commands.v1-dlt[3]@17")]
pub struct SpotError(String);

impl std::str::FromStr for Spot {
    type Err = SpotError;

    fn from_str(text: &str) -> Result<Self, SpotError> {
        let read = || {
            let Place { topic, partition, offset } = Place::parse(text)?;
            let channel = Channel::all().find(|channel| channel.name() == topic)?;
            Some(Spot { channel, partition, offset })
        };
        read().ok_or_else(|| SpotError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_read() {
        for text in ["order.commands.v1-dlt[3]@17", "payment.events.v1[0]@0"] {
            assert_eq!(text.parse::<Spot>().unwrap().to_string(), text);
        }
        for bad in ["", "orders[3]@17", "order.commands.v1[3]", "order.commands.v1[-1]@3", "order.commands.v1[x]@3"] {
            assert!(bad.parse::<Spot>().is_err(), "{bad}");
        }
    }
}
