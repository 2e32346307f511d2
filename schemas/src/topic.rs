//! The topics by name, and who may write to them.
//!
//! Names are without the deployment's prefix: that is configuration, and its owner puts it in front.
//! Partition counts and retention are set where topics are created.

use crate::ServiceName;

/// A topic that carries messages; its dead-letter topic goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TopicName {
    /// What anyone asks of the order service.
    OrderCommands,
    /// What the order service says happened.
    OrderEvents,
    /// What the order service asks of the inventory service.
    InventoryCommands,
    /// What the inventory service says happened to reservations.
    InventoryEvents,
    /// What operators ask of the inventory service.
    StockCommands,
    /// What the inventory service says happened to SKUs.
    StockEvents,
    /// What the order service asks of the payment service.
    PaymentCommands,
    /// What the payment service says happened.
    PaymentEvents,
}

impl TopicName {
    /// Every topic.
    pub const ALL: [TopicName; 8] = [
        TopicName::OrderCommands,
        TopicName::OrderEvents,
        TopicName::InventoryCommands,
        TopicName::InventoryEvents,
        TopicName::StockCommands,
        TopicName::StockEvents,
        TopicName::PaymentCommands,
        TopicName::PaymentEvents,
    ];

    /// The topic's name on the broker, without a deployment's prefix.
    pub const fn as_str(self) -> &'static str {
        match self {
            TopicName::OrderCommands => "order.commands.v1",
            TopicName::OrderEvents => "order.events.v1",
            TopicName::InventoryCommands => "inventory.commands.v1",
            TopicName::InventoryEvents => "inventory.events.v1",
            TopicName::StockCommands => "stock.commands.v1",
            TopicName::StockEvents => "stock.events.v1",
            TopicName::PaymentCommands => "payment.commands.v1",
            TopicName::PaymentEvents => "payment.events.v1",
        }
    }

    /// The name of the topic for records that could not be taken from this one.
    pub fn dead_letter(self) -> String {
        format!("{}-dlt", self.as_str())
    }

    /// The only service that may write here; `None` where anyone may.
    pub const fn written_by(self) -> Option<ServiceName> {
        match self {
            TopicName::OrderCommands | TopicName::StockCommands => None,
            TopicName::OrderEvents | TopicName::InventoryCommands | TopicName::PaymentCommands => {
                Some(ServiceName::Order)
            }
            TopicName::InventoryEvents | TopicName::StockEvents => Some(ServiceName::Inventory),
            TopicName::PaymentEvents => Some(ServiceName::Payment),
        }
    }

    /// The topic of this name (without a deployment's prefix).
    pub fn parse(name: &str) -> Option<Self> {
        TopicName::ALL.into_iter().find(|topic| topic.as_str() == name)
    }
}

impl std::fmt::Display for TopicName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_is_found_by_its_name() {
        for topic in TopicName::ALL {
            assert_eq!(TopicName::parse(topic.as_str()), Some(topic));
        }
        assert_eq!(TopicName::parse("order.commands.v1-dlt"), None);
    }

    #[test]
    fn a_dead_letter_topic_is_named_after_its_source() {
        assert_eq!(TopicName::StockCommands.dead_letter(), "stock.commands.v1-dlt");
    }
}
