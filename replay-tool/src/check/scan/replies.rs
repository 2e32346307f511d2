//! Which kinds of replies about an order its service has taken. What they settle is decided where it is judged.

use schemas::MessageType;

/// A set of kinds of messages; eight bytes, because there is one for each order.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Replies(u64);

/// The first kind of a reply in the table of messages. From there on a kind has one bit each; what stands before is none.
const FIRST: u64 = MessageType::StockReserved as u64;

const _: () = assert!(MessageType::ALL.len() as u64 <= FIRST + 64, "widen `Replies`");

impl Replies {
    /// One of this kind was taken.
    pub(crate) fn add(&mut self, kind: MessageType) {
        self.0 |= bit(kind);
    }

    /// Whether one of any of these kinds was taken.
    pub(crate) fn has_any(self, kinds: &[MessageType]) -> bool {
        kinds.iter().any(|kind| self.0 & bit(*kind) != 0)
    }
}

const fn bit(kind: MessageType) -> u64 {
    match (kind as u64).checked_sub(FIRST) {
        Some(place) => 1 << place,
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use schemas::TopicName;

    use super::*;

    #[test]
    fn a_kind_is_there_once_it_was_added_and_no_other() {
        let is_reply =
            |kind: &MessageType| matches!(kind.topic(), TopicName::InventoryEvents | TopicName::PaymentEvents);
        for added in MessageType::ALL.into_iter().filter(is_reply) {
            let mut replies = Replies::default();
            replies.add(added);
            for asked in MessageType::ALL.into_iter().filter(is_reply) {
                assert_eq!(replies.has_any(&[asked]), asked == added, "{added} {asked}");
            }
            assert!(replies.has_any(&MessageType::ALL) && !replies.has_any(&[]));
        }
    }
}
