//! JSON in which no object has a key twice, at any depth.
//!
//! The usual parser keeps the last of two values without a word: an order of 1 piece becomes one of 100.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::FieldError;

/// The value that a text consists of; an error names the place: the column, or the key that is there twice.
pub fn parse(text: &[u8]) -> Result<Value, FieldError> {
    let doubled = RefCell::new(None);
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let seed = Unique { path: String::new(), doubled: &doubled };
    let value = seed.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    let value = value.map_err(|error| FieldError { field: None, problem: not_json(&error) })?;
    match doubled.into_inner() {
        None => Ok(value),
        Some(key) => Err(FieldError { field: Some(key), problem: "is there twice".to_owned() }),
    }
}

/// The parser's reason with the column. Its line is that of the text, which may be one line of a file.
fn not_json(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    match text.strip_suffix(&place) {
        Some(reason) if error.line() <= 1 => format!("not JSON: {reason}, at column {}", error.column()),
        Some(_) | None => format!("not JSON: {text}"),
    }
}

/// Reads one value, and notes the first key that an object has twice.
struct Unique<'n> {
    path: String,
    doubled: &'n RefCell<Option<String>>,
}

impl<'de> DeserializeSeed<'de> for Unique<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        let item = |index: usize| Unique { path: format!("{}[{index}]", self.path), doubled: self.doubled };
        while let Some(value) = items.next_element_seed(item(list.len()))? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let path = if self.path.is_empty() { key.clone() } else { format!("{}.{key}", self.path) };
            if fields.contains_key(&key) {
                self.doubled.borrow_mut().get_or_insert_with(|| path.clone());
            }
            let value = entries.next_value_seed(Unique { path, doubled: self.doubled })?;
            fields.insert(key, value);
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_every_key_once_is_read_as_the_usual_parser_does() {
        for text in [
            r#"{"a":[1,-2,2.5,1e300,18446744073709551615,null,true,"\u00e9\n"],"b":{"a":{"a":{}}}}"#,
            r#"[{"a":1},{"a":2}]"#,
            " 7 ",
        ] {
            assert_eq!(parse(text.as_bytes()), Ok(serde_json::from_str(text).unwrap()), "{text}");
        }
    }

    #[test]
    fn a_key_that_is_there_twice_is_named_with_its_place() {
        let cases = [
            (r#"{"a":1,"a":1}"#, "a"),
            (r#"{"lines":[{"sku":"s"},{"quantity":1,"quantity":100}]}"#, "lines[1].quantity"),
            (r#"{"a":{"b":[[{"c":1,"\u0063":2}]]},"a":2}"#, "a.b[0][0].c"),
        ];
        for (text, key) in cases {
            let error = parse(text.as_bytes()).unwrap_err();
            assert_eq!((error.field.as_deref(), error.problem.as_str()), (Some(key), "is there twice"), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_named_by_its_column_alone() {
        let problem = |text: &str| parse(text.as_bytes()).unwrap_err().problem;
        assert_eq!(problem("{\"a\":1"), "not JSON: EOF while parsing an object, at column 6");
        assert_eq!(problem("nonsense"), "not JSON: expected ident, at column 2");
        assert_eq!(problem("{} {}"), "not JSON: trailing characters, at column 4");
        assert!(problem(&"[".repeat(500)).starts_with("not JSON: recursion limit exceeded, at column"));
    }
}
