//! A message's JSON as text, made at once: the same text as [`body_json`](super::body_json)'s, whose fields ascend.
//!
//! For who renders each event that is said: a tree of values is a hundred allocations of an order's five lines. Deliberately absent:
//! what no message has, as fractions, bytes, tuples and variants with content; that is an error.

use std::ops::Range;

use schemas::Time;
use serde::ser::{Error as _, Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct, Serializer};
use serde_json::Error;

use super::TIME_FIELDS;

/// Writes `value`, but for the field of this name.
pub(super) fn write(value: &impl Serialize, without: &'static str) -> Result<String, Error> {
    let mut text = Vec::new();
    value.serialize(Writer { text: &mut text, is_time: false, is_listed: false, without: Some(without) })?;
    String::from_utf8(text).map_err(Error::custom)
}

/// Writes one value.
struct Writer<'t> {
    text: &'t mut Vec<u8>,
    /// Whether a number is a point in time.
    is_time: bool,
    /// Whether it stands in a list, whose items' times are shown as they are.
    is_listed: bool,
    without: Option<&'static str>,
}

macro_rules! not_in_messages {
    ($($method:ident($($kind:ty),*) -> $made:ty;)+) => {
        $(fn $method(self, $(_: $kind),*) -> Result<$made, Error> {
            Err(Error::custom(concat!("no message has what is written by ", stringify!($method))))
        })+
    };
}

impl<'t> Serializer for Writer<'t> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Items<'t>;
    type SerializeMap = Entries<'t>;
    type SerializeStruct = Fields<'t>;
    type SerializeTuple = Impossible<(), Error>;
    type SerializeTupleStruct = Impossible<(), Error>;
    type SerializeTupleVariant = Impossible<(), Error>;
    type SerializeStructVariant = Impossible<(), Error>;

    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        serde_json::to_writer(self.text, &value)
    }

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        serde_json::to_writer(self.text, value)
    }

    fn serialize_i64(self, value: i64) -> Result<(), Error> {
        if self.is_time {
            return serde_json::to_writer(self.text, &format_args!("{}", Time::from_micros(value)));
        }
        serde_json::to_writer(self.text, &value)
    }

    fn serialize_i32(self, value: i32) -> Result<(), Error> {
        self.serialize_i64(value.into())
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.text.extend_from_slice(b"null");
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Error> {
        self.serialize_str(variant)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Items<'t>, Error> {
        self.text.push(b'[');
        Ok(Items { text: self.text, is_first: true })
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Entries<'t>, Error> {
        self.text.push(b'{');
        Ok(Entries { text: self.text, is_first: true })
    }

    fn serialize_struct(self, _: &'static str, count: usize) -> Result<Fields<'t>, Error> {
        let Writer { text, is_listed, without, .. } = self;
        Ok(Fields { begin: text.len(), text, is_listed, without, written: Vec::with_capacity(count) })
    }

    not_in_messages! {
        serialize_i8(i8) -> ();
        serialize_i16(i16) -> ();
        serialize_u8(u8) -> ();
        serialize_u16(u16) -> ();
        serialize_u32(u32) -> ();
        serialize_u64(u64) -> ();
        serialize_f32(f32) -> ();
        serialize_f64(f64) -> ();
        serialize_char(char) -> ();
        serialize_bytes(&[u8]) -> ();
        serialize_unit() -> ();
        serialize_unit_struct(&'static str) -> ();
        serialize_tuple(usize) -> Self::SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant;
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: &T,
    ) -> Result<(), Error> {
        Err(Error::custom(format_args!("no message has a variant with content, as {variant}")))
    }
}

/// The items of a list.
struct Items<'t> {
    text: &'t mut Vec<u8>,
    is_first: bool,
}

impl SerializeSeq for Items<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        separate(self.text, &mut self.is_first);
        value.serialize(Writer { text: self.text, is_time: false, is_listed: true, without: None })
    }

    fn end(self) -> Result<(), Error> {
        self.text.push(b']');
        Ok(())
    }
}

/// The entries of a map, which a `BTreeMap` gives in their order; all of them texts.
struct Entries<'t> {
    text: &'t mut Vec<u8>,
    is_first: bool,
}

impl SerializeMap for Entries<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        separate(self.text, &mut self.is_first);
        serde_json::to_writer(&mut *self.text, key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.text.push(b':');
        serde_json::to_writer(&mut *self.text, value)
    }

    fn end(self) -> Result<(), Error> {
        self.text.push(b'}');
        Ok(())
    }
}

/// A struct's fields: written in the order in which they are declared, and put into that of their names at the end.
struct Fields<'t> {
    text: &'t mut Vec<u8>,
    begin: usize,
    written: Vec<(&'static str, Range<usize>)>,
    is_listed: bool,
    without: Option<&'static str>,
}

impl SerializeStruct for Fields<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        if self.without == Some(name) {
            return Ok(());
        }
        let (begin, is_listed) = (self.text.len(), self.is_listed);
        let is_time = !is_listed && TIME_FIELDS.contains(&name);
        value.serialize(Writer { text: self.text, is_time, is_listed, without: None })?;
        self.written.push((name, begin..self.text.len()));
        Ok(())
    }

    fn end(mut self) -> Result<(), Error> {
        self.written.sort_unstable_by_key(|(name, _)| *name);
        let names: usize = self.written.iter().map(|(name, _)| name.len() + 4).sum();
        let (mut sorted, mut is_first) = (Vec::with_capacity(self.text.len() - self.begin + names + 2), true);
        sorted.push(b'{');
        for (name, value) in self.written {
            separate(&mut sorted, &mut is_first);
            // A field's name is one of Rust's: nothing in it needs an escape.
            sorted.push(b'"');
            sorted.extend_from_slice(name.as_bytes());
            sorted.extend_from_slice(b"\":");
            sorted.extend_from_slice(&self.text[value]);
        }
        sorted.push(b'}');
        self.text.truncate(self.begin);
        self.text.append(&mut sorted);
        Ok(())
    }
}

/// What stands in front of each but the first.
fn separate(text: &mut Vec<u8>, is_first: &mut bool) {
    if !std::mem::replace(is_first, false) {
        text.push(b',');
    }
}
