//! Which service reads and which writes what: what the services read, joined with the contract's writers.
//!
//! Names are without the deployment's prefix.

use schemas::{ServiceName, TopicName};

/// The topics that a service reads.
pub const fn reads(service: ServiceName) -> &'static [TopicName] {
    match service {
        ServiceName::Order => &[TopicName::OrderCommands, TopicName::InventoryEvents, TopicName::PaymentEvents],
        ServiceName::Inventory => &[TopicName::InventoryCommands, TopicName::StockCommands],
        ServiceName::Payment => &[TopicName::PaymentCommands],
    }
}

/// The service that reads a topic; none of them reads `order.events.v1` and `stock.events.v1`.
pub fn reader_of(topic: TopicName) -> Option<ServiceName> {
    ServiceName::ALL.into_iter().find(|service| reads(*service).contains(&topic))
}

/// The topics that a service writes through its outbox: its own, and the dead letters of what it reads.
pub fn writes(service: ServiceName) -> Vec<String> {
    let own = TopicName::ALL.into_iter().filter(|topic| topic.written_by() == Some(service));
    let dead = reads(service).iter().map(|topic| topic.dead_letter());
    own.map(|topic| topic.as_str().to_owned()).chain(dead).collect()
}

/// Every topic with its dead-letter topic.
pub fn all() -> Vec<String> {
    TopicName::ALL.into_iter().flat_map(|topic| [topic.as_str().to_owned(), topic.dead_letter()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_of_a_service_has_readers_or_is_read_by_people_and_no_dead_letter_topic_has_two_writers() {
        let mut written: Vec<String> = ServiceName::ALL.into_iter().flat_map(writes).collect();
        let count = written.len();
        written.sort();
        written.dedup();
        assert_eq!(written.len(), count, "nothing is written by two");
        let unread: Vec<TopicName> = TopicName::ALL
            .into_iter()
            .filter(|topic| !ServiceName::ALL.into_iter().any(|service| reads(service).contains(topic)))
            .collect();
        assert_eq!(unread, [TopicName::OrderEvents, TopicName::StockEvents], "these are for whoever looks");
    }
}
