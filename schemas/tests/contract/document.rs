//! The document that strangers read says what the code says.

use std::fs;

use schemas::{Awaiting, CancelReason, MessageType, RejectionCode, ServiceName, TopicName};
use serde_json::Value;

use crate::released::{self, Released};

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

/// The cells of the row that begins with a name, in the table below a heading.
fn row(document: &str, heading: &str, name: &str) -> Vec<String> {
    let begin = format!("| `{name}` |");
    let below = document.split_once(heading).unwrap_or_else(|| panic!("no {heading}")).1;
    let row = below.lines().find(|line| line.starts_with(&begin)).unwrap_or_else(|| panic!("no row {begin}"));
    row.split('|').map(|cell| cell.trim().to_owned()).collect()
}

fn fields(schema: &Value) -> &[Value] {
    schema["fields"].as_array().map_or(&[], Vec::as_slice)
}

/// The fields that a schema has beyond an older one; before those inside of a field, that field.
fn added(older: &Value, newer: &Value) -> Vec<String> {
    let mut names = Vec::new();
    for field in fields(newer) {
        let name = field["name"].as_str().unwrap().to_owned();
        if let Some(old) = fields(older).iter().find(|old| old["name"] == field["name"]) {
            let inside = added(&old["type"]["items"], &field["type"]["items"]);
            names.extend((!inside.is_empty()).then_some(name));
            names.extend(inside);
        } else {
            names.push(name);
        }
    }
    names
}

#[test]
fn what_each_version_has_beyond_the_one_before_is_listed() {
    let document = document();
    let json = |released: &Released| serde_json::from_str::<Value>(&released.text()).unwrap();
    let all = released::all();
    let mut grown = 0;
    for newer in all.iter().filter(|newer| newer.version > 1) {
        let is_before = |older: &&Released| older.full_name == newer.full_name && older.version + 1 == newer.version;
        let older = all.iter().find(is_before).unwrap();
        let cells = row(&document, "\n## Versions\n", newer.full_name.rsplit('.').next().unwrap());
        assert_eq!(quoted(&cells[2]), added(&json(older), &json(newer)), "{}", newer.ce_type());
        grown += 1;
    }
    let rows = document.split_once("\n| second version of |").unwrap().1.split("\n\n").next().unwrap().lines().count();
    assert_eq!(rows, grown + 2, "a row of a type that has not grown");
}

#[test]
fn what_a_place_order_may_leave_out_is_listed() {
    let document = document();
    let place_order: Value = serde_json::from_str(&released::newest(MessageType::PlaceOrder).text()).unwrap();
    for field in fields(&place_order) {
        let name = field["name"].as_str().unwrap();
        if field.get("default").is_some() {
            row(&document, "\n## An order\n", name);
        } else {
            let needed = document.lines().find(|line| line.starts_with("`PlaceOrder` needs ")).unwrap();
            assert!(quoted(needed).contains(&name), "{name}");
        }
    }
}

/// The nearest symbols and the types that are named are those of the schemas.
#[test]
fn what_the_table_of_nearest_symbols_names_is_there() {
    let document = document();
    let table = document.split_once("\n| what is said |").unwrap().1.split("\n\n").next().unwrap();
    let rows = table.lines().skip(2);
    for row in rows.clone() {
        let cells: Vec<&str> = row.split('|').collect();
        let [field, symbol] = quoted(cells[2])[..] else { panic!("{row}") };
        let is_symbol = match field {
            "awaiting" => Awaiting::parse(symbol).is_some(),
            "reason" => CancelReason::parse(symbol).is_some(),
            "code" => RejectionCode::parse(symbol).is_some(),
            other => panic!("{other} is no enum"),
        };
        assert!(is_symbol, "{row}");
        for value in &quoted(cells[3])[1..] {
            assert_eq!(RejectionCode::parse(value), None, "{value} has a symbol of its own");
            assert_eq!(Awaiting::parse(value), None, "{value} has a symbol of its own");
        }
    }
    assert!(rows.count() > 0);
}
