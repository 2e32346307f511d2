//! Whose state is wanted, and which records it is made of.

use schemas::{ServiceName, TopicName};

/// Whose state is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Everybody's.
    #[default]
    Everything,
    /// One order's, in all services; no levels.
    Order(String),
    /// One SKU's level and receipts.
    Sku(String),
}

impl Wanted {
    /// The only key that matters of a topic.
    pub(crate) fn key(&self, topic: TopicName) -> Option<&str> {
        match self {
            Wanted::Everything => None,
            Wanted::Order(id) => Some(id),
            // A level is a sum over the reservations of all orders.
            Wanted::Sku(sku) => (!topic.is_by_order()).then_some(sku),
        }
    }

    /// Whether this SKU's level is wanted. Of the others only a part of what makes them up is read: they would look as
    /// if they could not be.
    pub(crate) fn has_level_of(&self, sku: &str) -> bool {
        match self {
            Wanted::Everything => true,
            Wanted::Order(_) => false,
            Wanted::Sku(wanted) => wanted == sku,
        }
    }

    /// Whether a topic matters at all.
    pub(crate) fn needs(&self, topic: TopicName) -> bool {
        match self {
            Wanted::Everything => true,
            Wanted::Order(_) => topic.is_by_order(),
            Wanted::Sku(_) => ServiceName::Inventory.state_topics().contains(&topic),
        }
    }
}
