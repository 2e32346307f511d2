//! A database URL as `libpq` understands it: `sslmode` and `sslrootcert`, of which the driver knows only a part.
//!
//! Only `verify-*` look at the certificate, only `verify-full` at the host name. Deliberately absent: pooling, and session
//! settings, which are the caller's.

use native_tls::{Certificate, TlsConnector};
use postgres_native_tls::MakeTlsConnector;
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

use crate::database::Database;

/// Why a database URL cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseUrlError {
    /// Not a connection string.
    #[error("the database URL cannot be read: {0}; it looks like postgres://user@host:5432/name?sslmode=prefer")]
    Url(#[from] tokio_postgres::Error),
    /// No such `sslmode`.
    #[error("sslmode={0} is unknown; use disable, prefer, require, verify-ca or verify-full")]
    SslMode(String),
    /// The certificate authority's file cannot be used.
    #[error("sslrootcert={path}: {reason}")]
    RootCertificate {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] native_tls::Error),
}

impl Database {
    /// From a URL: `postgres://user:password@host/name?sslmode=verify-full&sslrootcert=ca.pem`. Nothing is connected yet.
    ///
    /// # Errors
    /// When the URL or the certificate's file cannot be used.
    pub fn from_url(url: &str) -> Result<Self, DatabaseUrlError> {
        let (config, tls) = parse_url(url)?;
        Ok(Self::new(config, tls))
    }
}

/// Takes `sslmode` and `sslrootcert` out of the URL and makes of them what they say.
///
/// # Errors
/// When the URL or the certificate's file cannot be used.
pub fn parse_url(url: &str) -> Result<(Config, MakeTlsConnector), DatabaseUrlError> {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let (mut mode, mut root, mut kept) = ("prefer", None, Vec::new());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslmode", value)) => mode = value,
            Some(("sslrootcert", value)) => root = Some(value),
            _ => kept.push(pair),
        }
    }
    let url = if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) };
    let mut config: Config = url.parse()?;
    config.ssl_mode(match mode {
        "disable" => SslMode::Disable,
        "prefer" => SslMode::Prefer,
        "require" | "verify-ca" | "verify-full" => SslMode::Require,
        other => return Err(DatabaseUrlError::SslMode(other.to_owned())),
    });
    let mut tls = TlsConnector::builder();
    tls.danger_accept_invalid_certs(!mode.starts_with("verify-"));
    tls.danger_accept_invalid_hostnames(mode != "verify-full");
    if let Some(path) = root {
        let failed = |reason: String| DatabaseUrlError::RootCertificate { path: path.to_owned(), reason };
        let pem = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
        tls.add_root_certificate(Certificate::from_pem(&pem).map_err(|error| failed(error.to_string()))?);
    }
    Ok((config, MakeTlsConnector::new(tls.build()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sslmode_and_other_parameters_are_kept_apart() {
        let (config, _) = parse_url("postgres://a@localhost:5/db?sslmode=verify-full&application_name=x").unwrap();
        assert_eq!(config.get_ssl_mode(), SslMode::Require);
        assert_eq!(config.get_application_name(), Some("x"));
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (url, named) in [
            ("postgres://a@localhost/db?sslmode=sometimes", "sslmode=sometimes"),
            ("postgres://a@localhost/db?sslrootcert=no/such/file.pem", "no/such/file.pem"),
        ] {
            let error = parse_url(url).err().unwrap();
            assert!(error.to_string().contains(named), "{error}");
        }
    }
}
