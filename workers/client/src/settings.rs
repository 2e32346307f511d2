//! Settings that all programs read alike: secrets out of files, and librdkafka's properties.
//!
//! A property comes from the `[kafka]` table of a file, from `-X`, or, where it is a secret, from the environment.

use std::collections::BTreeMap;

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

/// The value, or the content of the file that `<NAME>_FILE` names.
///
/// # Errors
/// The file cannot be read.
pub fn secret(name: &str, value: Option<String>) -> Result<Option<String>, SettingError> {
    if value.is_some() {
        return Ok(value);
    }
    let Ok(path) = std::env::var(format!("{name}_FILE")) else { return Ok(None) };
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned())),
        Err(error) => Err(SettingError::File { what: "the secret's file", path, reason: error.to_string() }),
    }
}

/// `[kafka]` of the file, then `-X`, then the SASL password or the token's file that the environment names.
///
/// # Errors
/// A value of the table is no text, number or boolean; a flag has no `=`; the password's file cannot be read.
pub fn kafka_properties(
    table: &BTreeMap<String, toml::Value>,
    flags: &[String],
) -> Result<BTreeMap<String, String>, SettingError> {
    let mut properties = BTreeMap::new();
    for (key, value) in table {
        let text = match value {
            toml::Value::String(text) => text.clone(),
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Boolean(flag) => flag.to_string(),
            toml::Value::Table(_) => {
                return Err(SettingError::Setting(format!(
                    "[kafka] {key}: quote names that have a dot, as in \"{key}.x\" = 1"
                )));
            }
            toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Array(_) => {
                return Err(SettingError::Setting(format!("[kafka] {key}: give a text, a whole number or a boolean")));
            }
        };
        properties.insert(key.clone(), text);
    }
    for pair in flags {
        let (key, value) =
            pair.split_once('=').ok_or_else(|| SettingError::Setting(format!("-X {pair}: give KEY=VALUE")))?;
        properties.insert(key.to_owned(), value.to_owned());
    }
    if let Some(password) = secret("KAFKA_SASL_PASSWORD", std::env::var("KAFKA_SASL_PASSWORD").ok())? {
        properties.insert("sasl.password".to_owned(), password);
    }
    if let Ok(file) = std::env::var(outbox::kafka::TOKEN_FILE_VARIABLE) {
        let (name, value) = outbox::kafka::token_property(&file);
        properties.insert(name.to_owned(), value);
    }
    Ok(properties)
}
