//! Where Postgres is.

use std::path::PathBuf;

use clap::Args;

use crate::properties::SettingError;
use crate::secret::Secret;

/// Where Postgres is, and its password where that is not in the URL.
#[derive(Debug, Clone, Default, Args)]
pub struct DatabaseOptions {
    /// Postgres, as a URL or in name=value words, as libpq reads them.
    #[arg(long, env = "DATABASE_URL", value_name = "URL", global = true, hide_env_values = true)]
    pub database_url: Option<Secret>,
    /// File that holds the database URL.
    #[arg(long, env = "DATABASE_URL_FILE", value_name = "FILE", global = true)]
    database_url_file: Option<PathBuf>,
    /// The database's password; a command line would show it to every user of the machine.
    #[arg(long, env = "DATABASE_PASSWORD", value_name = "TEXT", global = true, hide = true, hide_env_values = true)]
    database_password: Option<Secret>,
    /// File that holds the database's password, where it is not in the URL.
    #[arg(long, env = "DATABASE_PASSWORD_FILE", value_name = "FILE", global = true)]
    database_password_file: Option<PathBuf>,
}

impl DatabaseOptions {
    /// The URL.
    ///
    /// # Errors
    /// None was given, or its file cannot be read.
    pub fn url(&self) -> Result<Secret, SettingError> {
        let given = Secret::given(self.database_url.as_ref(), self.database_url_file.as_deref())?;
        given.filter(|url| !url.expose().is_empty()).ok_or_else(|| {
            let words = "no database: give --database-url, DATABASE_URL or DATABASE_URL_FILE, for instance \
                         postgres://pipeline@localhost:5432/shop";
            SettingError::Setting(words.to_owned())
        })
    }

    /// The password, where one was given by itself.
    ///
    /// # Errors
    /// Its file cannot be read.
    pub fn password(&self) -> Result<Option<Secret>, SettingError> {
        Secret::given(self.database_password.as_ref(), self.database_password_file.as_deref())
    }
}
