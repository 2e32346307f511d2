//! The Rust types have the names, the fields and the order of fields that their schemas have.
//!
//! The order matters for speed only (the Avro writer parks a field that comes too early), everything else for truth:
//! a field that the type lacks would silently be written as the schema's default.

use std::collections::BTreeMap;

use apache_avro::Schema;
use schemas::*;
use serde::de::{self, Deserialize, DeserializeSeed as _, Visitor};

use crate::released;

/// What a derived `Deserialize` says about its type before it reads anything.
#[derive(Debug, PartialEq, Eq, Clone)]
struct Shape {
    name: String,
    /// Field names of a struct, variant names of an enum.
    members: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
#[error("{0:?}")]
struct Seen(Option<Shape>);

impl de::Error for Seen {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Seen(None)
    }
}

struct Ask;

impl<'de> de::Deserializer<'de> for Ask {
    type Error = Seen;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Seen> {
        Err(Seen(None))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Seen> {
        Err(seen(name, fields))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Seen> {
        Err(seen(name, variants))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map identifier ignored_any
    }
}

fn seen(name: &str, members: &[&str]) -> Seen {
    Seen(Some(Shape { name: name.to_owned(), members: members.iter().map(|&member| member.to_owned()).collect() }))
}

fn shape_of<T: for<'de> Deserialize<'de>>() -> Shape {
    shape(T::deserialize(Ask))
}

fn shape<T>(asked: Result<T, Seen>) -> Shape {
    match asked {
        Err(Seen(Some(shape))) => shape,
        Ok(_) | Err(Seen(None)) => panic!("{} is neither a struct nor an enum", std::any::type_name::<T>()),
    }
}

/// Every type that has a schema, the ones inside of messages too.
fn types() -> BTreeMap<String, Shape> {
    let inside = [
        shape_of::<OrderLine>(),
        shape_of::<Adjustment>(),
        shape_of::<LineQuantity>(),
        shape_of::<ReturnedLine>(),
        shape_of::<Hold>(),
        shape_of::<Origin>(),
        shape_of::<Refusal>(),
        shape_of::<Rejection>(),
        shape_of::<RejectionCode>(),
        shape_of::<OrderCommandName>(),
        shape_of::<CancelReason>(),
        shape_of::<Awaiting>(),
        shape_of::<StockLine>(),
        shape_of::<Shortage>(),
        shape_of::<ReturnedStock>(),
        shape_of::<StockRejectionCode>(),
        shape_of::<PaymentOperation>(),
    ];
    let messages = MessageType::ALL.into_iter().map(|message_type| shape(message_type.deserialize(Ask)));
    messages.chain(inside).map(|shape| (shape.name.clone(), shape)).collect()
}

/// The records and enums that a schema defines.
fn defined(schema: &Schema, into: &mut Vec<Shape>) {
    if let Schema::Record(record) = schema {
        let members = record.fields.iter().map(|field| field.name.clone()).collect();
        into.push(Shape { name: record.name.name().to_owned(), members });
        record.fields.iter().for_each(|field| defined(&field.schema, into));
    } else if let Schema::Enum(symbols) = schema {
        into.push(Shape { name: symbols.name.name().to_owned(), members: symbols.symbols.clone() });
        assert_eq!(symbols.default, None, "{}: the Rust type has no place for an unknown symbol", symbols.name);
    } else if let Schema::Array(array) = schema {
        defined(&array.items, into);
    } else if let Schema::Map(map) = schema {
        defined(&map.types, into);
    } else if let Schema::Union(union) = schema {
        union.variants().iter().for_each(|variant| defined(variant, into));
    }
}

#[test]
fn types_and_schemas_have_the_same_names_and_members() {
    let types = types();
    let mut met = Vec::new();
    for released in released::all() {
        let message_type = MessageType::of_ce_type(&released.ce_type()).unwrap();
        if message_type.type_name() != released.ce_type() {
            continue; // an older version has fewer fields
        }
        let mut shapes = Vec::new();
        defined(&released.schema(), &mut shapes);
        for shape in shapes {
            assert_eq!(types.get(shape.name.as_str()), Some(&shape), "in {}", released.ce_type());
            met.push(shape.name);
        }
    }
    met.sort_unstable();
    met.dedup();
    assert_eq!(met, types.into_keys().collect::<Vec<_>>());
}

#[test]
fn every_field_and_record_is_documented() {
    for released in released::all() {
        let file: serde_json::Value = serde_json::from_str(&released.text()).unwrap();
        documented(&file, &released.ce_type());
    }
}

fn documented(part: &serde_json::Value, of: &str) {
    if let Some(object) = part.as_object() {
        if let Some(name) = object.get("name") {
            let doc = object.get("doc").and_then(|doc| doc.as_str()).unwrap_or_default();
            assert!(!doc.is_empty(), "{name} in {of} has no doc");
        }
        object.values().for_each(|inside| documented(inside, of));
    } else if let Some(array) = part.as_array() {
        array.iter().for_each(|inside| documented(inside, of));
    }
}
