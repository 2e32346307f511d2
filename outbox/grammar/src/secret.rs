//! A setting that must not be shown: given by a flag or the environment, or by the name of a file that holds it.

use std::fmt;
use std::path::Path;

use serde::{Serialize, Serializer};

use crate::properties::SettingError;

/// What stands in a secret's place wherever settings are shown.
pub const HIDDEN: &str = "[redacted]";

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The value, or else what the file holds, without the line's end.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn given(value: Option<&Secret>, file: Option<&Path>) -> Result<Option<Secret>, SettingError> {
        match (value, file) {
            (Some(value), _) => Ok(Some(value.clone())),
            (None, Some(file)) => Self::read(file).map(Some),
            (None, None) => Ok(None),
        }
    }

    fn read(file: &Path) -> Result<Secret, SettingError> {
        let text = std::fs::read_to_string(file).map_err(|error| SettingError::File {
            what: "the secret's file",
            path: file.display().to_string(),
            reason: error.to_string(),
        })?;
        Ok(Secret(text.trim_end_matches(['\r', '\n']).to_owned()))
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Secret(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(HIDDEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_comes_from_its_file_without_the_line_s_end_and_is_not_shown() {
        let path = std::env::temp_dir().join(format!("grammar-secret-{}", std::process::id()));
        std::fs::write(&path, "hush \n").unwrap();
        let read = Secret::given(None, Some(&path)).unwrap().unwrap();
        assert_eq!((read.expose(), format!("{read:?}").as_str()), ("hush ", HIDDEN));
        let own = Secret::from("own".to_owned());
        assert_eq!(Secret::given(Some(&own), Some(&path)).unwrap(), Some(own));
        std::fs::remove_file(&path).unwrap();
        let error = Secret::given(None, Some(&path)).unwrap_err().to_string();
        assert!(error.contains(&path.display().to_string()), "{error}");
        assert_eq!(Secret::given(None, None).unwrap(), None);
    }
}
