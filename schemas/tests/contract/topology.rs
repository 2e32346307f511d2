//! The table of services and topics contradicts neither itself nor the messages, and says what it always said.

use std::collections::BTreeSet;

use schemas::{MessageType, ServiceName, TopicName};

#[test]
fn every_topic_has_one_writer_or_is_open_and_at_most_one_reader() {
    for topic in TopicName::ALL {
        let writers: Vec<ServiceName> =
            ServiceName::ALL.into_iter().filter(|service| service.outputs().any(|output| output == topic)).collect();
        assert_eq!(writers, Vec::from_iter(topic.written_by()), "{topic}");
        assert_eq!(TopicName::open().any(|open| open == topic), writers.is_empty(), "{topic}");
        let readers: Vec<ServiceName> =
            ServiceName::ALL.into_iter().filter(|service| service.inputs().contains(&topic)).collect();
        assert_eq!(readers, Vec::from_iter(topic.read_by()), "a dead-letter topic has one writer: {topic}");
        assert!(
            topic.written_by().is_none() || topic.written_by() != topic.read_by(),
            "nobody talks to itself: {topic}"
        );
    }
}

#[test]
fn commands_are_read_and_answered_by_events_of_the_reader() {
    for topic in TopicName::ALL {
        assert_eq!(topic.answered_on().is_some(), topic.carries_commands(), "{topic}");
        let Some(answers) = topic.answered_on() else { continue };
        assert!(topic.read_by().is_some(), "nobody reads {topic}");
        assert_eq!(answers.written_by(), topic.read_by(), "{topic}");
        assert!(!answers.carries_commands(), "{topic}");
        assert_eq!(answers.is_by_order(), topic.is_by_order(), "{topic}");
    }
    assert!(TopicName::open().all(TopicName::carries_commands), "events are nobody's to make up");
}

#[test]
fn a_service_s_state_is_all_events_that_it_writes() {
    for service in ServiceName::ALL {
        let state: BTreeSet<TopicName> = service.state_topics().iter().copied().collect();
        let events: BTreeSet<TopicName> = service.outputs().filter(|topic| !topic.carries_commands()).collect();
        assert_eq!(state, events, "{service}");
        assert_eq!(state.len(), service.state_topics().len(), "{service}: none twice");
        assert!(state.iter().all(|topic| topic.state_of() == Some(service)), "{service}");
        assert!(state.iter().all(|topic| TopicName::of_state().any(|other| other == *topic)), "{service}");
    }
}

#[test]
fn no_two_services_share_a_name_or_a_default_place() {
    let count = ServiceName::ALL.len();
    assert_eq!(ServiceName::ALL.map(ServiceName::as_str).into_iter().collect::<BTreeSet<_>>().len(), count);
    assert_eq!(ServiceName::ALL.map(ServiceName::source).into_iter().collect::<BTreeSet<_>>().len(), count);
    assert_eq!(ServiceName::ALL.map(ServiceName::default_schema).into_iter().collect::<BTreeSet<_>>().len(), count);
    assert_eq!(ServiceName::ALL.map(ServiceName::default_port).into_iter().collect::<BTreeSet<_>>().len(), count);
    for service in ServiceName::ALL {
        assert_eq!(ServiceName::parse(service.as_str()), Some(service));
        assert_eq!(service.source(), format!("/{service}"));
    }
    assert_eq!(ServiceName::parse("shipping"), None);
}

#[test]
fn every_name_is_written_by_one_service_or_by_anyone() {
    let written: Vec<String> = ServiceName::ALL.into_iter().flat_map(ServiceName::written_names).collect();
    let names: BTreeSet<String> = written.iter().cloned().collect();
    assert_eq!(names.len(), written.len(), "two services write one topic: {written:?}");
    let left: Vec<String> = TopicName::all_names().into_iter().filter(|name| !names.contains(name)).collect();
    // Anyone writes the first and third; what nobody reads has no dead letters.
    assert_eq!(left, ["order.commands.v1", "order.events.v1-dlt", "stock.commands.v1", "stock.events.v1-dlt"]);
}

/// Groups, rights and stored positions follow from these: they never change.
#[test]
fn services_read_write_and_live_where_they_always_did() {
    let told = |service: ServiceName| {
        let words = |topics: Vec<TopicName>| topics.iter().map(|topic| topic.as_str()).collect::<Vec<_>>().join(" ");
        format!(
            "{service} {} {} reads {} writes {} is {}",
            service.default_schema(),
            service.default_port(),
            words(service.inputs().to_vec()),
            words(service.outputs().collect()),
            words(service.state_topics().to_vec()),
        )
    };
    assert_eq!(
        ServiceName::ALL.map(told),
        [
            "order orders 8081 reads order.commands.v1 inventory.events.v1 payment.events.v1 \
             writes order.events.v1 inventory.commands.v1 payment.commands.v1 is order.events.v1",
            "inventory inventory 8082 reads inventory.commands.v1 stock.commands.v1 \
             writes inventory.events.v1 stock.events.v1 is stock.events.v1 inventory.events.v1",
            "payment payments 8083 reads payment.commands.v1 writes payment.events.v1 is payment.events.v1",
        ]
    );
    let by_sku: Vec<TopicName> = TopicName::ALL.into_iter().filter(|topic| !topic.is_by_order()).collect();
    assert_eq!(by_sku, [TopicName::StockCommands, TopicName::StockEvents]);
    assert!(TopicName::by_order().all(|topic| !by_sku.contains(&topic)));
}

#[test]
fn every_topic_carries_something() {
    let mut found = 0;
    for topic in TopicName::ALL {
        let kinds: Vec<MessageType> = MessageType::on(topic).collect();
        assert!(!kinds.is_empty() && kinds.iter().all(|kind| kind.topic() == topic), "{topic}");
        found += kinds.len();
    }
    assert_eq!(found, MessageType::ALL.len());
}
