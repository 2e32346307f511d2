//! Takes fields out of a JSON object one by one and says, by path, which of them is not what was needed.
//!
//! Serde's own errors name a column, not a field; a person who mends a file of orders needs the field.

use std::collections::BTreeMap;

use schemas::{Time, TimeError};
use serde_json::{Map, Value};

use super::unique_keys;

/// The longest piece of a found value that is repeated in an error.
const SHOWN_CHARS: usize = 40;

/// A field that is not what was needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Where, such as `lines[2].quantity`; none when the text is no JSON object at all.
    pub field: Option<String>,
    /// What is wrong with it, in words.
    pub problem: String,
}

impl std::fmt::Display for FieldError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.field {
            Some(field) => write!(f, "{field}: {}", self.problem),
            None => f.write_str(&self.problem),
        }
    }
}

/// An object whose fields are taken out.
pub(super) struct JsonObject {
    path: String,
    fields: Map<String, Value>,
}

impl JsonObject {
    /// The object that a text consists of.
    pub(super) fn parse(text: &[u8]) -> Result<Self, FieldError> {
        match unique_keys::parse(text)? {
            Value::Object(fields) => Ok(Self { path: String::new(), fields }),
            other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
                let problem = format!("expected a JSON object, found {}", shown(&other));
                Err(FieldError { field: None, problem })
            }
        }
    }

    /// A field that an identifier (or anything else with a reason to refuse a text) is made of.
    pub(super) fn take<T>(&mut self, name: &str) -> Result<T, FieldError>
    where
        T: TryFrom<String>,
        T::Error: std::fmt::Display,
    {
        let text = self.text(name)?;
        T::try_from(text).map_err(|error| self.error(name, error.to_string()))
    }

    /// What `take` makes of a field that may be missing or null.
    pub(super) fn optional<T>(
        &mut self,
        name: &str,
        take: impl FnOnce(&mut Self, &str) -> Result<T, FieldError>,
    ) -> Result<Option<T>, FieldError> {
        match self.fields.get(name) {
            None | Some(Value::Null) => {
                self.fields.remove(name);
                Ok(None)
            }
            Some(_) => take(self, name).map(Some),
        }
    }

    /// A text.
    pub(super) fn text(&mut self, name: &str) -> Result<String, FieldError> {
        let value = self.value(name)?;
        if let Value::String(text) = value {
            return Ok(text);
        }
        Err(self.error(name, format!("expected a text, found {}", shown(&value))))
    }

    /// A text that a message can carry (`schemas::text`).
    pub(super) fn words(&mut self, name: &str) -> Result<String, FieldError> {
        let text = self.text(name)?;
        self.storable(name, text)
    }

    /// The same for a text that no error repeats.
    pub(super) fn secret(&mut self, name: &str) -> Result<String, FieldError> {
        match self.value(name)? {
            Value::String(text) => self.storable(name, text),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                Err(self.error(name, "expected a text".to_owned()))
            }
        }
    }

    /// Texts by name.
    pub(super) fn texts(&mut self, name: &str) -> Result<BTreeMap<String, String>, FieldError> {
        let value = self.value(name)?;
        let Value::Object(fields) = value else {
            return Err(self.error(name, format!("expected an object of texts, found {}", shown(&value))));
        };
        let mut inner = JsonObject { path: format!("{}{name}.", self.path), fields };
        let names: Vec<String> = inner.fields.keys().cloned().collect();
        let text = |each: String| {
            let each = self.storable(name, each)?;
            inner.words(&each).map(|text| (each, text))
        };
        names.into_iter().map(text).collect()
    }

    fn storable(&self, name: &str, text: String) -> Result<String, FieldError> {
        match schemas::text::is_storable(&text) {
            true => Ok(text),
            false => Err(self.error(name, "U+0000 has no place in a text".to_owned())),
        }
    }

    /// A whole number that fits into 64 bits with sign.
    pub(super) fn whole_number(&mut self, name: &str) -> Result<i64, FieldError> {
        let value = self.value(name)?;
        let Value::Number(number) = &value else {
            return Err(self.error(name, format!("expected a whole number, found {}", shown(&value))));
        };
        let too_large = number.is_u64() || number.as_f64().is_some_and(|n| n.abs() >= 9.2e18);
        match number.as_i64() {
            Some(whole) => Ok(whole),
            None if too_large => Err(self.error(name, format!("{number} does not fit into 64 bits"))),
            None => Err(self.error(name, format!("expected a whole number, found {number}"))),
        }
    }

    /// A line's number.
    pub(super) fn line_number(&mut self, name: &str) -> Result<i32, FieldError> {
        let number = self.whole_number(name)?;
        i32::try_from(number).map_err(|_| self.error(name, format!("{number} is no line's number")))
    }

    /// A point in time in RFC 3339.
    pub(super) fn time(&mut self, name: &str) -> Result<Time, FieldError> {
        let text = self.text(name)?;
        text.parse().map_err(|reason: TimeError| {
            let found = shown(&Value::String(text.clone()));
            self.error(name, format!("expected a time such as 2017-01-01T11:53:26Z, found {found}: {reason}"))
        })
    }

    /// A list of objects.
    pub(super) fn objects(&mut self, name: &str) -> Result<Vec<JsonObject>, FieldError> {
        let value = self.value(name)?;
        let Value::Array(items) = value else {
            return Err(self.error(name, format!("expected a list, found {}", shown(&value))));
        };
        let object = |(index, item): (usize, Value)| {
            if let Value::Object(fields) = item {
                return Ok(JsonObject { path: format!("{}{name}[{index}].", self.path), fields });
            }
            let problem = format!("expected an object, found {}", shown(&item));
            Err(self.error(&format!("{name}[{index}]"), problem))
        };
        items.into_iter().enumerate().map(object).collect()
    }

    /// The names of the fields that nobody took.
    pub(super) fn rest(&self) -> impl Iterator<Item = &str> {
        self.fields.keys().map(String::as_str)
    }

    fn value(&mut self, name: &str) -> Result<Value, FieldError> {
        self.fields.remove(name).ok_or_else(|| self.error(name, "is missing".to_owned()))
    }

    fn error(&self, name: &str, problem: String) -> FieldError {
        FieldError { field: Some(format!("{}{name}", self.path)), problem }
    }
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN_CHARS) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
