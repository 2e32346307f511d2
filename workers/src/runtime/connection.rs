//! Connections to a service's own database: one pool, and sessions that all plan alike.
//!
//! Statements are prepared once per connection and their plans pinned to primary keys: a plan made while a table was empty
//! must not scan it when it is large. `libpq`'s `sslmode` values are understood, `verify-ca` and `verify-full` included.

use std::str::FromStr;
use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime};
use native_tls::{Certificate, TlsConnector};
use postgres_native_tls::MakeTlsConnector;
use tokio_postgres::config::SslMode;

use super::failure::{Failure, describe};

/// How long connecting and waiting for a pooled connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A service's database.
#[derive(Clone)]
pub struct Database {
    pool: Pool,
    config: tokio_postgres::Config,
    tls: MakeTlsConnector,
    schema: String,
}

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
    /// The pool cannot be built.
    #[error("the connection pool cannot be built: {0}")]
    Pool(#[from] deadpool_postgres::BuildError),
}

impl Database {
    /// Read the URL and make a pool; nothing is connected yet.
    pub fn open(url: &str, password: Option<&str>, schema: &str, application: &str) -> Result<Self, DatabaseUrlError> {
        let (mut config, tls) = parse(url)?;
        if let Some(password) = password {
            config.password(password);
        }
        config
            .application_name(application)
            .connect_timeout(CONNECT_TIMEOUT)
            .keepalives_idle(Duration::from_secs(30))
            .tcp_user_timeout(Duration::from_secs(30));
        let manager = Manager::from_config(
            config.clone(),
            tls.clone(),
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let search_path = schema.to_owned();
        let pool = Pool::builder(manager)
            .max_size(4)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(CONNECT_TIMEOUT))
            .create_timeout(Some(CONNECT_TIMEOUT))
            .post_create(Hook::async_fn(move |client, _| {
                let settings = session_settings(&search_path);
                Box::pin(async move { client.batch_execute(&settings).await.map_err(HookError::Backend) })
            }))
            .build()?;
        Ok(Database { pool, config, tls, schema: schema.to_owned() })
    }

    /// A pooled connection with the session settings of a lane transaction.
    pub async fn client(&self) -> Result<Object, Failure> {
        self.pool.get().await.map_err(|error| {
            let reason = if let PoolError::Backend(error) = &error { describe(error) } else { error.to_string() };
            Failure::Retry(format!("no database connection: {reason}"))
        })
    }

    /// What a relay needs to open connections of its own.
    pub fn connector(&self) -> (tokio_postgres::Config, MakeTlsConnector) {
        (self.config.clone(), self.tls.clone())
    }

    /// The service's schema.
    pub fn schema(&self) -> &str {
        &self.schema
    }
}

/// Plans pinned to primary keys, and every wait with an end.
fn session_settings(schema: &str) -> String {
    format!(
        "set search_path to {}; set plan_cache_mode = force_generic_plan; set enable_seqscan = off; \
         set enable_hashjoin = off; set enable_mergejoin = off; set jit = off; \
         set statement_timeout = '30s'; set lock_timeout = '10s'; \
         set idle_in_transaction_session_timeout = '5s'; set timezone = 'UTC'",
        quote(schema)
    )
}

/// An SQL identifier.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// tokio-postgres knows neither `verify-*` nor `sslrootcert`; they are taken out of the URL here.
fn parse(url: &str) -> Result<(tokio_postgres::Config, MakeTlsConnector), DatabaseUrlError> {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let mut kept = Vec::new();
    let (mut mode, mut root) = ("prefer", None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslmode", value)) => mode = value,
            Some(("sslrootcert", value)) => root = Some(value),
            _ => kept.push(pair),
        }
    }
    let url = if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) };
    let mut config = tokio_postgres::Config::from_str(&url)?;
    let mut tls = TlsConnector::builder();
    match mode {
        "disable" => config.ssl_mode(SslMode::Disable),
        "prefer" => config.ssl_mode(SslMode::Prefer),
        "require" | "verify-ca" | "verify-full" => config.ssl_mode(SslMode::Require),
        other => return Err(DatabaseUrlError::SslMode(other.to_owned())),
    };
    // As libpq: only verify-* look at the certificate, only verify-full at the host name.
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
        let (config, _) = parse("postgres://a@localhost:5/db?sslmode=verify-full&application_name=x").unwrap();
        assert_eq!(config.get_ssl_mode(), SslMode::Require);
        assert_eq!(config.get_application_name(), Some("x"));
    }

    #[test]
    fn an_unknown_sslmode_is_named() {
        let error = parse("postgres://a@localhost/db?sslmode=sometimes").err().unwrap();
        assert!(error.to_string().contains("sslmode=sometimes"), "{error}");
    }
}
