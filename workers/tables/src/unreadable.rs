//! Why a stored row cannot be used.

/// A column's value is none of the column's type.
#[derive(Debug, thiserror::Error)]
#[error("column {column} cannot be read: {source}")]
pub struct Unreadable {
    /// Which column.
    pub column: &'static str,
    /// What the driver says.
    pub source: tokio_postgres::Error,
}

/// A column's text is none that this version knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column} holds {text:?}, which this version does not know")]
pub struct Unknown {
    /// Which column.
    pub column: &'static str,
    /// What it holds.
    pub text: String,
}

impl Unknown {
    /// The value that `parse` finds in the text.
    pub(super) fn unless<V>(
        column: &'static str,
        text: &str,
        parse: impl FnOnce(&str) -> Option<V>,
    ) -> Result<V, Self> {
        parse(text).ok_or_else(|| Unknown { column, text: text.to_owned() })
    }

    /// A value that must not be null where its neighbours are not.
    pub(super) fn unless_null<V>(column: &'static str, value: Option<V>) -> Result<V, Self> {
        value.ok_or_else(|| Unknown { column, text: "null".into() })
    }
}
