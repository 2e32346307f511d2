//! Connections to a service's own database: one pool, and sessions that all plan alike.
//!
//! Statements are prepared once per connection and their plans pinned to primary keys: a plan made while a table was empty
//! must not scan it when it is large. URLs are read by the outbox crate, so that relay and pool mean the same by `sslmode`.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime};
use futures_util::future::BoxFuture;
use postgres_native_tls::MakeTlsConnector;
use tokio_postgres::error::SqlState;

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
    guard: Arc<OnceLock<Guard>>,
}

/// What has to agree, once it is set, before a new connection is used; an error says why it may not be.
pub(crate) type Guard = Box<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// Why a database URL cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseUrlError {
    /// The URL itself.
    #[error(transparent)]
    Url(#[from] outbox::DatabaseUrlError),
    /// The pool cannot be built.
    #[error("the connection pool cannot be built: {0}")]
    Pool(#[from] deadpool_postgres::BuildError),
}

impl Database {
    /// Read the URL and make a pool; nothing is connected yet.
    pub fn open(url: &str, password: Option<&str>, schema: &str, application: &str) -> Result<Self, DatabaseUrlError> {
        let (mut config, tls) = outbox::parse_url(url)?;
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
        let guard: Arc<OnceLock<Guard>> = Arc::default();
        let guarding = guard.clone();
        let pool = Pool::builder(manager)
            .max_size(4)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(CONNECT_TIMEOUT))
            .create_timeout(Some(CONNECT_TIMEOUT))
            .post_create(Hook::async_fn(move |client, _| {
                let (settings, guarding) = (session_settings(&search_path), guarding.clone());
                Box::pin(async move {
                    client.batch_execute(&settings).await.map_err(HookError::Backend)?;
                    match guarding.get() {
                        Some(guard) => guard().await.map_err(HookError::message),
                        None => Ok(()),
                    }
                })
            }))
            .build()?;
        Ok(Database { pool, config, tls, schema: schema.to_owned(), guard })
    }

    /// From now on every new connection is given out only if `guard` agrees. The first guard stays.
    pub(crate) fn guard_with(&self, guard: Guard) {
        // A second guard would be a mistake of the program, not of its user; the first one goes on guarding.
        let _ = self.guard.set(guard);
    }

    /// A pooled connection with the session settings of a lane transaction.
    pub async fn client(&self) -> Result<Object, Failure> {
        self.pool.get().await.map_err(|error| no_connection(&error))
    }

    /// The first connection of a program: what waiting does not mend is told from a server that is not there yet.
    ///
    /// # Errors
    /// [`Failure::Halt`] when the server refuses the role, its password or the database; [`Failure::Retry`] otherwise.
    pub async fn first_client(&self) -> Result<Object, Failure> {
        self.pool.get().await.map_err(|error| match &error {
            PoolError::Backend(backend) if is_refusal(backend) => {
                Failure::Halt(format!("the database refuses: {}; check DATABASE_URL", describe(backend)))
            }
            _ => no_connection(&error),
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

fn no_connection(error: &PoolError) -> Failure {
    let reason = match error {
        PoolError::Backend(error) => describe(error),
        PoolError::PostCreateHook(HookError::Message(reason)) => return Failure::Retry(reason.to_string()),
        PoolError::PostCreateHook(_)
        | PoolError::PreRecycleHook(_)
        | PoolError::PostRecycleHook(_)
        | PoolError::Timeout(_)
        | PoolError::Closed
        | PoolError::NoRuntimeSpecified => error.to_string(),
    };
    Failure::Retry(format!("no database connection: {reason}"))
}

/// Whether the server is there and does not want this role, this password or this database.
fn is_refusal(error: &tokio_postgres::Error) -> bool {
    match error.code() {
        Some(state) => state.code().starts_with("28") || *state == SqlState::INVALID_CATALOG_NAME,
        // What the client finds out by itself: no password to give, no TLS where it is demanded.
        None => ["invalid configuration", "error performing TLS handshake"].contains(&error.to_string().as_str()),
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
