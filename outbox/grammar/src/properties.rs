//! Settings as texts, and why one cannot be used.

/// Why a setting cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingError {
    /// A file cannot be read.
    #[error("{what} {path}: {reason}")]
    File {
        /// Which file.
        what: &'static str,
        /// Its path.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// A setting is missing or wrong.
    #[error("{0}")]
    Setting(String),
}

/// A value of a file as one would write it behind a flag.
///
/// # Errors
/// In words: it is neither a text nor a whole number nor a boolean.
pub fn as_text(key: &str, value: &toml::Value) -> Result<String, String> {
    match value {
        toml::Value::String(text) => Ok(text.clone()),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Boolean(flag) => Ok(flag.to_string()),
        toml::Value::Table(_) => Err(format!("{key}: quote names that have a dot, as in \"{key}.x\" = 1")),
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Array(_) => {
            Err(format!("{key}: give a text, a whole number or a boolean"))
        }
    }
}
