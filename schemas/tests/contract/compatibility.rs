//! All versions of a type read each other's data, in every direction: an old program reads what a new one writes and
//! the other way round, for as long as there are topics that hold both.

use apache_avro::Schema;
use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};

use crate::released::{self, Released};

/// Why one cannot always be read as the other.
fn obstacle(writer: &Schema, reader: &Schema) -> Option<String> {
    match SchemaCompatibility::can_read(writer, reader) {
        Ok(Compatibility::Full) => None,
        Ok(Compatibility::Partial) => Some("only some values can be read".to_owned()),
        Err(error) => Some(error.to_string()),
    }
}

#[test]
fn every_version_of_a_type_reads_every_other() {
    let all = released::all();
    for writer in &all {
        for reader in all.iter().filter(|reader| reader.full_name == writer.full_name) {
            let found = obstacle(&writer.schema(), &reader.schema());
            assert_eq!(found, None, "{} read as {}", writer.ce_type(), reader.ce_type());
        }
    }
}

fn schema_of(full_name: &str) -> Schema {
    released::all().iter().find(|released| released.full_name == full_name).map(Released::schema).unwrap()
}

fn edited(full_name: &str, from: &str, to: &str) -> Schema {
    let released = released::all().into_iter().find(|released| released.full_name == full_name).unwrap();
    let text = released.text();
    assert!(text.contains(from), "{from} is not in {text}");
    Schema::parse_str(&text.replacen(from, to, 1)).unwrap()
}

#[test]
fn an_added_field_with_a_default_is_allowed() {
    let old = schema_of("shop.order.CancelOrder");
    let new = edited(
        "shop.order.CancelOrder",
        r#""fields": ["#,
        r#""fields": [{"name": "note", "type": ["null", "string"], "default": null},"#,
    );
    assert_eq!(obstacle(&old, &new), None);
    assert_eq!(obstacle(&new, &old), None);
}

#[test]
fn what_breaks_a_reader_is_noticed() {
    let order = "shop.order.CancelOrder";
    let no_default = edited(order, r#""fields": ["#, r#""fields": [{"name": "note", "type": "string"},"#);
    assert!(obstacle(&schema_of(order), &no_default).is_some(), "an added field without a default");

    let renamed = edited(order, r#""command_id""#, r#""command""#);
    assert!(obstacle(&renamed, &schema_of(order)).is_some(), "a renamed field");

    let retyped = edited("shop.stock.AdjustStock", r#""long""#, r#""string""#);
    assert!(obstacle(&retyped, &schema_of("shop.stock.AdjustStock")).is_some(), "another type");

    let grown = edited("shop.order.OrderStuck", r#""StockRelease""#, r#""StockRelease", "Refund""#);
    assert!(obstacle(&grown, &schema_of("shop.order.OrderStuck")).is_some(), "a symbol that old readers lack");
}
