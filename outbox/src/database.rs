//! How the crate opens connections of its own, whatever the TLS library.
//!
//! The relay needs direct connections (session locks and LISTEN do not survive a transaction pooler), so it opens them
//! itself instead of taking them from a pool.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{AsyncMessage, Config, Connection, Socket};

use crate::error::OutboxError;
use crate::migrate::prepare_connection;

/// How long one server of a connection string may take, unless `connect_timeout` says otherwise.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long connecting may take in all: each server of the connection string in turn has its own time.
pub fn connect_limit(config: &Config) -> Duration {
    let servers = config.get_hosts().len().max(config.get_hostaddrs().len()).max(1);
    let each = config.get_connect_timeout().copied().unwrap_or(CONNECT_TIMEOUT);
    each.saturating_mul(u32::try_from(servers).unwrap_or(u32::MAX))
}

/// Payloads of notifications, in the order in which they came.
pub(crate) type Notifications = mpsc::Sender<String>;

type Open =
    dyn Fn(Option<Notifications>) -> BoxFuture<'static, Result<ClientWrapper, tokio_postgres::Error>> + Send + Sync;

/// Where the database is and how to encrypt: what is needed to open connections.
#[derive(Clone)]
pub struct Database {
    open: Arc<Open>,
    limit: Duration,
}

impl Database {
    /// With [`tokio_postgres::NoTls`], or with the connector of any TLS library that works with tokio-postgres.
    pub fn new<T>(mut config: Config, tls: T) -> Self
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::Stream: Send + 'static,
        T::TlsConnect: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        let limit = connect_limit(&config);
        if config.get_connect_timeout().is_none() {
            // Else the first server, where it is only silent, would take the time of the others.
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        let open = move |notifications| -> BoxFuture<'static, Result<ClientWrapper, tokio_postgres::Error>> {
            let (config, tls) = (config.clone(), tls.clone());
            Box::pin(async move {
                let (client, connection) = config.connect(tls).await?;
                let task = tokio::spawn(drive(connection, notifications));
                Ok(ClientWrapper::new(client, task))
            })
        };
        Self { open: Arc::new(open), limit }
    }

    /// Opens a connection for transactions, set up by [`prepare_connection`].
    pub async fn connect(&self) -> Result<ClientWrapper, OutboxError> {
        let client = self.open(None).await?;
        prepare_connection(&client).await?;
        Ok(client)
    }

    /// Opens a connection without any setting; notifications go to the given channel, and are dropped when it is full.
    pub(crate) async fn open(&self, notifications: Option<Notifications>) -> Result<ClientWrapper, OutboxError> {
        match tokio::time::timeout(self.limit, (self.open)(notifications)).await {
            Ok(opened) => opened.map_err(OutboxError::database("connecting")),
            Err(_) => Err(OutboxError::TimedOut { doing: "connecting" }),
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}

/// Opens one connection outside any pool, set up by [`prepare_connection`]; it ends with the returned client.
pub async fn connect<T>(config: &Config, tls: T) -> Result<ClientWrapper, OutboxError>
where
    T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
    T::Stream: Send + 'static,
    T::TlsConnect: Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    Database::new(config.clone(), tls).connect().await
}

/// Runs a connection until it ends.
async fn drive<S, T>(mut connection: Connection<S, T>, notifications: Option<Notifications>)
where
    Connection<S, T>: Unpin,
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut connection = Pin::new(&mut connection);
    loop {
        match std::future::poll_fn(|context| connection.as_mut().get_mut().poll_message(context)).await {
            Some(Ok(AsyncMessage::Notification(notification))) => {
                if let Some(to) = &notifications {
                    // Full: the reader has more than enough reason to look into the table.
                    let _ = to.try_send(notification.payload().to_owned());
                }
            }
            Some(Ok(AsyncMessage::Notice(notice))) => tracing::debug!(message = notice.message(), "database notice"),
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                tracing::debug!(%error, "database connection ended");
                return;
            }
            None => return,
        }
    }
}
