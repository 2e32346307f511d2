//! The enums of the contract are called as their schemas call them, in columns, reports and on the wire.

use std::collections::BTreeMap;

use apache_avro::Schema;
use schemas::*;
use serde::Serialize;

use crate::released;

/// The symbols that the schemas give to an enum, by its name.
fn symbols(schema: &Schema, into: &mut BTreeMap<String, Vec<String>>) {
    if let Schema::Record(record) = schema {
        record.fields.iter().for_each(|field| symbols(&field.schema, into));
    } else if let Schema::Enum(found) = schema {
        into.insert(found.name.name().to_owned(), found.symbols.clone());
    } else if let Schema::Array(array) = schema {
        symbols(&array.items, into);
    } else if let Schema::Map(map) = schema {
        symbols(&map.types, into);
    } else if let Schema::Union(union) = schema {
        union.variants().iter().for_each(|variant| symbols(variant, into));
    }
}

#[test]
fn every_value_is_called_as_its_symbol_is_and_found_by_it() {
    let mut left = BTreeMap::new();
    released::all().iter().for_each(|released| symbols(&released.schema(), &mut left));
    macro_rules! check {
        ($($name:ident)+) => { $(
            let expected = left.remove(stringify!($name)).unwrap();
            assert_eq!($name::ALL.map($name::as_str).to_vec(), expected);
            for value in $name::ALL {
                assert_eq!($name::parse(value.as_str()), Some(value));
                assert_eq!(written(value), value.to_string());
            }
            assert_eq!($name::parse(""), None);
        )+ };
    }
    check! { RejectionCode OrderCommandName CancelReason Awaiting StockRejectionCode PaymentOperation }
    assert!(left.is_empty(), "not looked at: {left:?}");
}

fn written(value: impl Serialize) -> String {
    serde_json::to_value(value).unwrap().as_str().unwrap().to_owned()
}
