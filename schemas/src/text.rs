//! Texts in words, references and currencies as they travel: any UTF-8 but U+0000, which no text column of Postgres holds.
//!
//! The one rule for every text that may reach a column: a message with another text is neither written nor read, and a
//! header with one is not taken over. Identifiers are stricter (see `id`); the bound on the length is in `limits`.
//! The currency of a `PlaceOrder` is not looked at here: the order service refuses it in an event, and never stores it.

use serde::{Deserialize, Deserializer, Serializer, de, ser};

/// Whether a text can be stored.
pub fn is_storable(text: &str) -> bool {
    !text.contains('\0')
}

const REASON: &str = "a text with U+0000 cannot be stored";

fn checked(text: &str) -> Result<&str, &'static str> {
    if is_storable(text) { Ok(text) } else { Err(REASON) }
}

/// For serde's `with`.
pub(crate) fn serialize<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(checked(text).map_err(ser::Error::custom)?)
}

/// For serde's `with`.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    checked(&text).map_err(de::Error::custom)?;
    Ok(text)
}

/// The same for a text that may be missing.
pub(crate) mod optional {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

    /// For serde's `with`.
    pub(crate) fn serialize<S: Serializer>(text: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
        text.as_deref().map(super::checked).transpose().map_err(ser::Error::custom)?.serialize(serializer)
    }

    /// For serde's `with`.
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.as_deref().map(super::checked).transpose().map_err(de::Error::custom)?;
        Ok(text)
    }
}

/// The same for texts with names.
pub(crate) mod map {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

    fn checked(map: &BTreeMap<String, String>) -> Result<(), &'static str> {
        map.iter().flat_map(|(name, value)| [name, value]).try_for_each(|text| super::checked(text).map(|_| ()))
    }

    /// For serde's `with`.
    pub(crate) fn serialize<S: Serializer>(map: &BTreeMap<String, String>, serializer: S) -> Result<S::Ok, S::Error> {
        checked(map).map_err(ser::Error::custom)?;
        map.serialize(serializer)
    }

    /// For serde's `with`.
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, String>, D::Error> {
        let map = BTreeMap::deserialize(deserializer)?;
        checked(&map).map_err(de::Error::custom)?;
        Ok(map)
    }
}
