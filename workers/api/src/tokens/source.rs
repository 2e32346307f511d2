//! Where an issuer's keys are: in a file, at an address, or at the one that the issuer's own document names (OIDC discovery).
//!
//! Over the network only by TLS, or from this machine: whoever could change an answer could sign for everybody.

use std::path::PathBuf;
use std::time::Duration;

use grammar::SettingError;
use reqwest::{Client, Url};
use serde::Deserialize;
use thiserror::Error;

use crate::outgoing::{self, safe};

/// How long a look may take.
const LIMIT: Duration = Duration::from_secs(5);

/// The largest answer that is read.
const LARGEST: usize = 1024 * 1024;

/// Where the keys are.
#[derive(Debug, Clone)]
enum Place {
    File(PathBuf),
    Address(Url),
    /// The issuer's own document.
    Document(Url),
}

/// Why the keys are not to be had.
#[derive(Debug, Error)]
pub(super) enum SourceError {
    #[error("{path}: {source}", path = path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{url}: {}", with_causes(source))]
    Http { url: Url, source: reqwest::Error },
    #[error("{url}: more than {LARGEST} bytes")]
    TooLarge { url: Url },
    #[error("{url}: no document of an issuer: {source}")]
    Document { url: Url, source: serde_json::Error },
    #[error("{url} names another issuer")]
    OtherIssuer { url: Url },
    #[error("{url} names an address of keys that is not used: {words}")]
    NoAddress { url: Url, words: String },
}

/// An error with what lies behind it, which this library's does not say.
fn with_causes(error: &reqwest::Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.fold(error.to_string(), |words, cause| format!("{words}: {cause}"))
}

/// Where an issuer's keys are, and how they are read.
#[derive(Debug, Clone)]
pub(super) struct Source {
    issuer: String,
    place: Place,
    http: Client,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
}

impl Source {
    /// In the file or at the address, where one is given; else where the issuer says.
    pub(super) fn of(issuer: &str, file: Option<PathBuf>, address: Option<&str>) -> Result<Self, SettingError> {
        let place = match (file, address) {
            (Some(_), Some(_)) => {
                return Err(SettingError::Setting("give --jwks-file or --jwks-url, not both".to_owned()));
            }
            (Some(file), None) => Place::File(file),
            (None, Some(address)) => {
                Place::Address(safe(address).map_err(|words| SettingError::Setting(format!("--jwks-url: {words}")))?)
            }
            (None, None) => {
                let address = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
                Place::Document(
                    safe(&address).map_err(|words| SettingError::Setting(format!("--oidc-issuer: {words}")))?,
                )
            }
        };
        // An answer that leads elsewhere would lead past what `safe` has seen.
        let http =
            outgoing::client(LIMIT).build().map_err(|error| SettingError::Setting(format!("no TLS: {error}")))?;
        Ok(Source { issuer: issuer.to_owned(), place, http })
    }

    /// Where, for people.
    pub(super) fn shown(&self) -> String {
        match &self.place {
            Place::File(path) => path.display().to_string(),
            Place::Address(url) | Place::Document(url) => url.to_string(),
        }
    }

    /// Whether a person has put it there, on this machine.
    pub(super) fn is_file(&self) -> bool {
        matches!(self.place, Place::File(_))
    }

    /// What is there now.
    pub(super) async fn read(&self) -> Result<Vec<u8>, SourceError> {
        match &self.place {
            Place::File(path) => {
                tokio::fs::read(path).await.map_err(|source| SourceError::File { path: path.clone(), source })
            }
            Place::Address(url) => self.get(url).await,
            Place::Document(url) => self.get(&self.address(url).await?).await,
        }
    }

    async fn address(&self, url: &Url) -> Result<Url, SourceError> {
        let document: Document = serde_json::from_slice(&self.get(url).await?)
            .map_err(|source| SourceError::Document { url: url.clone(), source })?;
        if document.issuer != self.issuer {
            return Err(SourceError::OtherIssuer { url: url.clone() });
        }
        safe(&document.jwks_uri).map_err(|words| SourceError::NoAddress { url: url.clone(), words })
    }

    async fn get(&self, url: &Url) -> Result<Vec<u8>, SourceError> {
        let failed = |error: reqwest::Error| SourceError::Http { url: url.clone(), source: error.without_url() };
        let answered = self.http.get(url.clone()).send().await.and_then(reqwest::Response::error_for_status);
        let body = outgoing::body_within(answered.map_err(failed)?, LARGEST).await.map_err(failed)?;
        body.ok_or_else(|| SourceError::TooLarge { url: url.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_by_tls_or_from_this_machine() {
        for address in ["https://id.example/keys", "http://127.0.0.1:8000/x", "http://localhost/", "http://[::1]:1/"] {
            assert!(safe(address).is_ok(), "{address}");
        }
        for address in
            ["http://id.example/keys", "ftp://id.example", "file:///keys", "keys", "http://localhost.id.example/"]
        {
            assert!(safe(address).is_err(), "{address}");
        }
        let said = safe("https://ada:hidden@id.example/").unwrap_err();
        assert!(!said.contains("hidden"), "{said}");
    }

    #[test]
    fn the_issuer_is_asked_where_nothing_else_is_named() {
        let shown = |file: Option<&str>, address| {
            Source::of("https://id.example/shop/", file.map(PathBuf::from), address).map(|source| source.shown())
        };
        assert_eq!(shown(None, None).unwrap(), "https://id.example/shop/.well-known/openid-configuration");
        assert_eq!(shown(None, Some("https://id.example/keys")).unwrap(), "https://id.example/keys");
        assert_eq!(shown(Some("keys.json"), None).unwrap(), "keys.json");
        assert!(shown(Some("keys.json"), Some("https://id.example/keys")).is_err());
    }
}
