//! Identifiers as they travel: bounded, printable, compared byte for byte.
//!
//! The bounds are what lets every message that a service derives fit into a record (see `limits`).
//! Nothing here normalises: two ids that differ in one byte are two ids.

use serde::{Deserialize, Serialize, Serializer};

/// The longest identifier in bytes.
pub const MAX_ID_BYTES: usize = 64;

/// Why a text is no identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text has no byte.
    #[error("the {what} is empty; give 1 to {MAX_ID_BYTES} bytes")]
    Empty {
        /// Which identifier.
        what: &'static str,
    },
    /// The text is longer than `MAX_ID_BYTES`.
    #[error("the {what} has {bytes} bytes; at most {MAX_ID_BYTES} are allowed")]
    TooLong {
        /// Which identifier.
        what: &'static str,
        /// The length found.
        bytes: usize,
    },
    /// The text has a control character (U+0000 to U+001F, U+007F to U+009F).
    #[error("the {what} has a control character at byte {at}")]
    ControlCharacter {
        /// Which identifier.
        what: &'static str,
        /// The first offending byte's index.
        at: usize,
    },
}

fn check(what: &'static str, text: &str) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty { what });
    }
    if text.len() > MAX_ID_BYTES {
        return Err(IdError::TooLong { what, bytes: text.len() });
    }
    match text.char_indices().find(|(_, c)| c.is_control()) {
        Some((at, _)) => Err(IdError::ControlCharacter { what, at }),
        None => Ok(()),
    }
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// The identifier of this text, or why it is none.
            pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                check($what, &text)?;
                Ok(Self(text))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            /// As a text, without a copy: this is on the way of every message.
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

identifier!(
    /// An order, chosen by whoever places it; the key of all its messages.
    OrderId, "order id");
identifier!(
    /// A stock-keeping unit; the key of stock messages.
    Sku, "SKU");
identifier!(
    /// A reference to a customer. Messages carry no personal data, only this.
    CustomerId, "customer id");
identifier!(
    /// Chosen by whoever sends a command; the same id again is the same command, which has no second effect.
    CommandId, "command id");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printable_texts_of_up_to_64_bytes_are_identifiers() {
        for text in ["1", "o-1", "Ø/α β", &"x".repeat(64)] {
            assert_eq!(OrderId::new(text).map(String::from), Ok(text.to_owned()));
        }
    }

    #[test]
    fn others_are_refused_with_the_reason() {
        assert_eq!(Sku::new(""), Err(IdError::Empty { what: "SKU" }));
        // Bytes count, not characters.
        assert_eq!(Sku::new("é".repeat(33)), Err(IdError::TooLong { what: "SKU", bytes: 66 }));
        for (text, at) in [("\0", 0), ("a\nb", 1), ("ab\u{7f}", 2), ("é\u{85}", 2)] {
            assert_eq!(Sku::new(text), Err(IdError::ControlCharacter { what: "SKU", at }));
        }
    }
}
