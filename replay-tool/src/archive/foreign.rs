//! Segments whose schema is not ours to the byte, as a stock tool may have rewritten them: resolved by apache-avro.
//!
//! Slow, and needed rarely; every field of ours must be there or have a default.

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;

use super::kept::{Kept, KeptHeader};
use super::row;
use crate::log::TimestampType;

/// The writer's schema and ours.
#[derive(Debug)]
pub(super) struct Foreign {
    writer: Schema,
    reader: Schema,
}

/// A record of a topic.
#[derive(Debug, Default)]
pub(super) struct Owned {
    pub(super) topic: Vec<u8>,
    pub(super) record: Kept,
}

impl Foreign {
    pub(super) fn new(schema: &str) -> Result<Foreign, String> {
        let parse = |text: &str| Schema::parse_str(text).map_err(|error| error.to_string());
        Ok(Foreign { writer: parse(schema)?, reader: parse(row::SCHEMA)? })
    }

    /// The next record of a block; `rest` is moved behind it.
    pub(super) fn record(&self, rest: &mut &[u8]) -> Result<Owned, String> {
        let reader = GenericDatumReader::builder(&self.writer).reader_schema(&self.reader).build();
        let value = reader.and_then(|reader| reader.read_value(rest)).map_err(|error| error.to_string())?;
        let Value::Record(fields) = value else { return Err("it is not a record".into()) };
        let mut owned = Owned::default();
        for (name, value) in fields {
            owned.set(&name, value).map_err(|()| format!("its {name} is of another type"))?;
        }
        Ok(owned)
    }
}

impl Owned {
    fn set(&mut self, name: &str, value: Value) -> Result<(), ()> {
        let record = &mut self.record;
        match (name, value) {
            ("topic", Value::String(topic)) => self.topic = topic.into_bytes(),
            ("partition", Value::Int(partition)) => record.partition = partition,
            ("offset", Value::Long(offset)) => record.offset = offset,
            ("timestamp_ms", Value::Long(millis)) => record.timestamp_ms = millis,
            ("timestamp_type", Value::Enum(index, _)) => {
                record.timestamp_type = match index {
                    1 => TimestampType::Create,
                    2 => TimestampType::LogAppend,
                    _ => TimestampType::None,
                }
            }
            ("key", value) => record.key = bytes(value)?,
            ("value", value) => record.payload = bytes(value)?,
            ("headers", Value::Union(_, value)) => record.headers = headers(*value)?,
            _ => return Err(()),
        }
        Ok(())
    }
}

fn bytes(value: Value) -> Result<Option<Vec<u8>>, ()> {
    let Value::Union(_, value) = value else { return Err(()) };
    if *value == Value::Null {
        return Ok(None);
    }
    let Value::Bytes(bytes) = *value else { return Err(()) };
    Ok(Some(bytes))
}

fn headers(value: Value) -> Result<Option<Vec<KeptHeader>>, ()> {
    if value == Value::Null {
        return Ok(None);
    }
    let Value::Array(items) = value else { return Err(()) };
    let header = |item: Value| {
        let Value::Record(fields) = item else { return Err(()) };
        let mut header = (String::new(), None);
        for (field, value) in fields {
            match (field.as_str(), value) {
                ("name", Value::String(name)) => header.0 = name,
                ("value", value) => header.1 = bytes(value)?,
                _ => return Err(()),
            }
        }
        Ok(header)
    };
    items.into_iter().map(header).collect::<Result<Vec<_>, ()>>().map(Some)
}
