//! Whatever the schema allows and the ids permit survives: value → payload → message → payload.
//!
//! Values are made from the schemas and written by the Avro library's value writer, so the codec's own writer is
//! checked against another path, for every type.

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use schemas::{
    Adjustment, Codec, CustomerId, Message, MessageType, OrderId, OrderLine, PlaceOrder, Sku, Time, TopicName,
};

use crate::newer_versions::Folder;
use crate::released;

/// What every string in a message may be: an identifier is the strictest of them.
fn text() -> BoxedStrategy<String> {
    prop_oneof!["[a-zA-Z0-9_./-]{1,64}", "[^\\x00-\\x1f\\x7f-\\x9f]{1,16}"].boxed()
}

fn micros() -> impl Strategy<Value = i64> {
    prop_oneof![-62_135_596_800_000_000..=253_402_300_799_999_999_i64, Just(0)]
}

/// Any datum of a schema whose strings are such texts.
pub(crate) fn datum(schema: &Schema, text: &BoxedStrategy<String>) -> BoxedStrategy<Value> {
    if let Schema::Record(record) = schema {
        let fields = record.fields.iter().map(|field| {
            let name = field.name.clone();
            datum(&field.schema, text).prop_map(move |value| (name.clone(), value))
        });
        fields.collect::<Vec<_>>().prop_map(Value::Record).boxed()
    } else if let Schema::Array(array) = schema {
        prop::collection::vec(datum(&array.items, text), 0..12).prop_map(Value::Array).boxed()
    } else if let Schema::Map(map) = schema {
        prop::collection::hash_map(text.clone(), datum(&map.types, text), 0..4).prop_map(Value::Map).boxed()
    } else if let Schema::Union(union) = schema {
        let variants = union.variants().iter().zip(0..).map(|(variant, index)| {
            datum(variant, text).prop_map(move |value| Value::Union(index, Box::new(value))).boxed()
        });
        prop::strategy::Union::new(variants).boxed()
    } else if let Schema::Enum(symbols) = schema {
        let symbols = symbols.symbols.iter().zip(0..).map(|(symbol, index)| Value::Enum(index, symbol.clone()));
        prop::sample::select(symbols.collect::<Vec<_>>()).boxed()
    } else if matches!(schema, Schema::Int) {
        any::<i32>().prop_map(Value::Int).boxed()
    } else if matches!(schema, Schema::Long) {
        any::<i64>().prop_map(Value::Long).boxed()
    } else if matches!(schema, Schema::TimestampMicros) {
        micros().prop_map(Value::TimestampMicros).boxed()
    } else if matches!(schema, Schema::String) {
        text.clone().prop_map(Value::String).boxed()
    } else {
        assert!(matches!(schema, Schema::Null), "no strategy for {schema:?}");
        Just(Value::Null).boxed()
    }
}

/// Whether there is more than one way to write it: the items of a map have no order.
fn has_many_spellings(datum: &Value) -> bool {
    let Value::Record(fields) = datum else { panic!("no record: {datum:?}") };
    fields.iter().any(|(_, value)| matches!(value, Value::Map(items) if items.len() > 1))
}

#[test]
fn a_datum_of_any_type_becomes_a_message_and_the_same_bytes_again() {
    let codec = Codec::embedded();
    for released in released::all() {
        let message_type = MessageType::of_ce_type(&released.ce_type()).unwrap();
        let is_current = message_type.type_name() == released.ce_type();
        let schema = released.schema();
        let writer = GenericDatumWriter::builder(&schema).build().unwrap();
        let reader = GenericDatumReader::builder(&schema).build().unwrap();
        let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) };
        let outcome = TestRunner::new(config).run(&datum(&schema, &text()), |value| {
            let mut payload = vec![0];
            payload.extend(released.id.to_be_bytes());
            payload.extend(writer.write_value_to_vec(value.clone()).unwrap());
            let message = codec.decode(released.topic(), &payload).unwrap();
            prop_assert_eq!(message.message_type(), message_type);
            let again = codec.encode(&message).unwrap();
            if is_current {
                prop_assert!(again == payload || has_many_spellings(&value));
                prop_assert_eq!(again.len(), payload.len());
                prop_assert_eq!(reader.read_value(&mut &again[5..]).unwrap(), value);
            }
            prop_assert_eq!(codec.decode(released.topic(), &again).unwrap(), message);
            Ok(())
        });
        outcome.unwrap_or_else(|error| panic!("{}: {error}", released.ce_type()));
    }
}

/// An order with several of everything that can be several.
fn order(attributes: &[(&str, &str)]) -> PlaceOrder {
    let line = |sku: &str| OrderLine { sku: Sku::new(sku).unwrap(), quantity: 1, unit_price_minor: 250 };
    let adjustment = |line| Adjustment { kind: "tax".to_owned(), amount_minor: 7, line };
    PlaceOrder {
        adjustments: [None, Some(1), Some(5)].map(adjustment).to_vec(),
        attributes: attributes.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
        ..PlaceOrder::new(
            OrderId::new("o-1").unwrap(),
            CustomerId::new("c-1").unwrap(),
            Time::from_micros(1_790_000_000_000_000),
            "USD",
            ["a", "b", "c", "d", "e"].map(line).to_vec(),
        )
    }
}

/// Avro lets a writer cut an array or a map into blocks and put each block's size in front; others do.
#[test]
fn items_in_several_blocks_are_the_same_items() {
    let codec = Codec::embedded();
    let order = order(&[("channel", "web"), ("gift", "yes"), ("table", "7")]);
    let schema = released::newest(MessageType::PlaceOrder).schema();
    let writer = GenericDatumWriter::builder(&schema).target_block_size(1).build().unwrap();
    let in_one = codec.encode(&order.clone().into()).unwrap();
    let mut in_blocks = in_one[..5].to_vec();
    writer.write_ser(&mut in_blocks, &order).unwrap();
    assert!(in_blocks.len() > in_one.len() + 5 + 3 + 3, "not cut into blocks");
    assert_eq!(codec.decode(TopicName::OrderCommands, &in_blocks).unwrap(), order.into());
}

/// An order that is sent again is the same order, whatever order its sender's library gives to a map.
#[test]
fn attributes_in_any_order_are_the_same_and_of_a_name_that_comes_twice_the_last_counts() {
    let folder = Folder::with_every_type_one_version_on("attributes");
    let codec = Codec::with_directory(folder.path()).unwrap();
    let message = Message::from(order(&[("a", "1"), ("b", "2")]));
    let payload = codec.encode(&message).unwrap();
    let attributes = b"\x04\x02a\x021\x02b\x022\0";
    let at = payload.windows(attributes.len()).position(|window| window == attributes).unwrap();
    let others = [&b"\x04\x02b\x022\x02a\x021\0"[..], b"\x06\x02a\x029\x02b\x022\x02a\x021\0"];
    for other in others {
        let payload = [&payload[..at], other, &payload[at + attributes.len()..]].concat();
        assert_eq!(codec.decode(TopicName::OrderCommands, &payload).as_ref(), Ok(&message));
        let next = folder.in_next_version(MessageType::PlaceOrder, &payload);
        assert_eq!(codec.decode(TopicName::OrderCommands, &next).as_ref(), Ok(&message), "resolved");
    }
}
