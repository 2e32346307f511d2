//! The document that strangers read says what the code says.

use std::fs;

use schemas::{MessageType, ServiceName, TopicName};

use crate::released;

fn document() -> String {
    fs::read_to_string(released::folder().join("../docs/wire-contract.md")).unwrap()
}

/// The words in backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_table_of_topics_is_complete() {
    let document = document();
    for topic in TopicName::ALL {
        let begin = format!("| `{topic}` |");
        let row = document.lines().find(|line| line.starts_with(&begin)).unwrap_or_else(|| panic!("no row {begin}"));
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, _, key, writer, messages, _] = cells[..] else { panic!("{row}") };

        let mut named = quoted(messages);
        let mut expected: Vec<&str> =
            MessageType::ALL.into_iter().filter(|known| known.topic() == topic).map(MessageType::name).collect();
        named.sort_unstable();
        expected.sort_unstable();
        assert_eq!(named, expected, "{topic}");

        let is_stock = matches!(topic, TopicName::StockCommands | TopicName::StockEvents);
        assert_eq!(key, if is_stock { "SKU" } else { "order id" }, "{topic}");
        match topic.written_by() {
            Some(service) => assert_eq!(writer, format!("{service} service"), "{topic}"),
            None => assert!(ServiceName::ALL.iter().all(|service| !writer.contains(service.as_str())), "{topic}"),
        }
    }
}

#[test]
fn the_example_uses_the_id_and_the_file_of_place_order() {
    let document = document();
    let place_order = released::all().into_iter().rfind(|known| known.full_name == "shop.order.PlaceOrder").unwrap();
    let file = format!("schemas/avro/{}/PlaceOrder.v{}.avsc", place_order.topic, place_order.version);
    for part in [format!("SCHEMA_ID = {} ", place_order.id), file, place_order.ce_type()] {
        assert!(document.contains(&part), "{part}");
    }
}
