//! What few rows have and is a list, or a record of many optional parts: one column of JSON text, null where there is nothing.
//!
//! A table of its own would cost each change of a row a further look-up, though nearly all find nothing. The texts are made by
//! one serializer from ordered types, so that a rebuild gives the same bytes.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Unknown;

/// The column's text.
pub(super) fn of<T: Serialize>(value: &T) -> String {
    // Types of the cores, without maps of other keys than texts: nothing in them can fail to be written.
    serde_json::to_string(value).unwrap_or_default()
}

/// The same, null where there is nothing.
pub(super) fn of_list<T: Serialize>(list: &[T]) -> Option<String> {
    (!list.is_empty()).then(|| of(&list))
}

/// What the column holds; nothing for null.
pub(super) fn read<T: DeserializeOwned>(column: &'static str, text: Option<&str>) -> Result<Option<T>, Unknown> {
    let parse = |text| Unknown::unless(column, text, |text| serde_json::from_str(text).ok());
    text.map(parse).transpose()
}
