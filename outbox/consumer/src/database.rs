//! Connections to a service's own database: one pool, and sessions that all plan alike.
//!
//! Statements are prepared once per connection and their plans pinned to primary keys: a plan made while a table was empty
//! must not scan it when it is large. URLs are read by the outbox crate, so that relay and pool mean the same by `sslmode`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime};
use futures_util::future::BoxFuture;
use outbox::{CONNECT_TIMEOUT, ConnectionString, Tls, TlsError};
use postgres_protocol::escape::escape_identifier;
use tokio::sync::Mutex;
use tokio_postgres::error::SqlState;

use crate::database_error::DatabaseError;

/// After how long without a sign of life a connection is given up, where the connection string does not say it.
const SILENCE: Duration = Duration::from_secs(30);

/// A service's database.
#[derive(Clone)]
pub struct Database {
    pool: Pool,
    config: tokio_postgres::Config,
    tls: Tls,
    schema: String,
    guarded: Arc<Guarded>,
}

/// What has to agree before a new connection is used, once another one has failed; an error says why it may not be.
pub type Guard = Box<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// Whether the database may be another one than it was: it was away, or a connection to it broke.
#[derive(Default)]
struct Guarded {
    guard: OnceLock<Guard>,
    is_suspect: AtomicBool,
    /// Who connects meanwhile waits for the answer.
    asking: Mutex<()>,
}

impl Guarded {
    async fn admit(&self) -> Result<(), String> {
        let Some(guard) = self.guard.get() else { return Ok(()) };
        let _one_at_a_time = self.asking.lock().await;
        if !self.is_suspect.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let agreed = guard().await;
        if agreed.is_err() {
            self.is_suspect.store(true, Ordering::Release);
        }
        agreed
    }
}

/// Why a database URL cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseUrlError {
    /// The URL itself.
    #[error(transparent)]
    Url(#[from] outbox::ConnectionStringError),
    /// A file of certificates that it names.
    #[error(transparent)]
    Tls(#[from] outbox::TlsError),
    /// The pool cannot be built.
    #[error("the connection pool cannot be built: {0}")]
    Pool(#[from] deadpool_postgres::BuildError),
}

impl Database {
    /// Read the URL and make a pool; nothing is connected yet.
    pub fn open(url: &str, password: Option<&str>, schema: &str, application: &str) -> Result<Self, DatabaseUrlError> {
        Self::open_with(url, password, schema, application, "")
    }

    /// The same with further settings of every session, as statements: for whoever asks other things than a lane transaction.
    ///
    /// # Errors
    /// As of [`Database::open`].
    pub fn open_with(
        url: &str,
        password: Option<&str>,
        schema: &str,
        application: &str,
        settings: &str,
    ) -> Result<Self, DatabaseUrlError> {
        let mut connection = ConnectionString::parse(url)?;
        if let Some(password) = password {
            connection = connection.with_password(password);
        }
        let (config, tls) = (driver_settings(connection.config(), application), connection.tls()?);
        let limit = outbox::connect_limit(&config);
        let manager = Manager::from_config(
            config.clone(),
            tls.clone(),
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let settings = format!("{}; {settings}", session_settings(schema));
        let guarded: Arc<Guarded> = Arc::default();
        let (admitting, reusing) = (guarded.clone(), guarded.clone());
        let pool = Pool::builder(manager)
            .max_size(4)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(limit))
            .create_timeout(Some(limit))
            .post_create(Hook::async_fn(move |client, _| {
                let (settings, admitting) = (settings.clone(), admitting.clone());
                Box::pin(async move {
                    client.batch_execute(&settings).await.map_err(HookError::Backend)?;
                    admitting.admit().await.map_err(HookError::message)
                })
            }))
            .pre_recycle(Hook::sync_fn(move |client, _| {
                reusing.is_suspect.fetch_or(client.is_closed(), Ordering::AcqRel);
                Ok(())
            }))
            .build()?;
        Ok(Database { pool, config, tls, schema: schema.to_owned(), guarded })
    }

    /// From now on, once a connection has failed, new ones are given out only if `guard` agrees. The first guard stays.
    pub fn guard_with(&self, guard: Guard) {
        // A second guard would be a mistake of the program, not of its user; the first one goes on guarding.
        let _ = self.guarded.guard.set(guard);
    }

    /// A connection has failed: the database that answers next may be another one.
    pub fn suspect(&self) {
        self.guarded.is_suspect.store(true, Ordering::Release);
    }

    /// A pooled connection with the session settings of a lane transaction.
    pub async fn client(&self) -> Result<Object, DatabaseError> {
        self.pool.get().await.map_err(|error| self.no_connection(&error))
    }

    fn no_connection(&self, error: &PoolError) -> DatabaseError {
        self.suspect();
        let reason = match error {
            // The guard's own words: there is a connection, and it is not to be used.
            PoolError::PostCreateHook(HookError::Message(words)) => return DatabaseError::Away(words.to_string()),
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => outbox::explain(error),
            PoolError::Timeout(_) | PoolError::Closed | PoolError::NoRuntimeSpecified => error.to_string(),
        };
        DatabaseError::Away(format!("no database connection: {reason}"))
    }

    /// The first connection of a program: what waiting does not mend is told from a server that is not there yet.
    ///
    /// # Errors
    /// [`DatabaseError::Unusable`] when the server refuses the role, its password or the database; [`DatabaseError::Away`] otherwise.
    pub async fn first_client(&self) -> Result<Object, DatabaseError> {
        self.pool.get().await.map_err(|error| {
            if let PoolError::Backend(backend) = &error
                && is_refusal(backend)
            {
                return DatabaseError::Unusable(format!(
                    "the database refuses: {}; check DATABASE_URL",
                    outbox::explain(backend)
                ));
            }
            self.no_connection(&error)
        })
    }

    /// What a relay needs to open connections of its own.
    pub fn connector(&self) -> (tokio_postgres::Config, Tls) {
        (self.config.clone(), self.tls.clone())
    }

    /// The service's schema.
    pub fn schema(&self) -> &str {
        &self.schema
    }
}

/// What the connection string says, and an end to every wait where it says none. The name is ours in any case: by it a
/// rebuild knows that a service runs.
fn driver_settings(given: &tokio_postgres::Config, application: &str) -> tokio_postgres::Config {
    let mut config = given.clone();
    config.application_name(application);
    if given.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    if given.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(SILENCE);
    }
    if given.get_keepalives_idle() == tokio_postgres::Config::new().get_keepalives_idle() {
        config.keepalives_idle(SILENCE);
    }
    config
}

/// Whether the server is there and does not want this role, this password, this database, or this way to encrypt.
fn is_refusal(error: &tokio_postgres::Error) -> bool {
    match error.code() {
        Some(state) => state.code().starts_with("28") || *state == SqlState::INVALID_CATALOG_NAME,
        None => match std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<TlsError>()) {
            // The network, or a server that is just ending, may be at fault.
            Some(TlsError::Handshake(_)) => false,
            Some(TlsError::Certificate(_) | TlsError::File { .. } | TlsError::Setup(_)) => true,
            // What the client finds out by itself: no password to give, no TLS where it is demanded.
            None => ["invalid configuration", "error performing TLS handshake"].contains(&error.to_string().as_str()),
        },
    }
}

/// Plans pinned to primary keys, and every wait with an end.
fn session_settings(schema: &str) -> String {
    format!(
        "set search_path to {}; set plan_cache_mode = force_generic_plan; set enable_seqscan = off; \
         set default_transaction_isolation = 'read committed'; set default_transaction_read_only = off; \
         set enable_hashjoin = off; set enable_mergejoin = off; set jit = off; \
         set statement_timeout = '30s'; set lock_timeout = '10s'; \
         set idle_in_transaction_session_timeout = '5s'; set timezone = 'UTC'",
        escape_identifier(schema)
    )
}
