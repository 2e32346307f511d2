//! A connection that may write: to a schema that a verb has made, or to a live one when a verb says so.
//!
//! What only reads goes through `snapshot::Session`.

use std::time::Duration;

use postgres_protocol::escape::escape_identifier;
use provision::Database;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Transaction};

use crate::error::ReplayError;
use crate::keeper::Keeper;

/// How long a database may take to answer at first, at least; of several servers each has its own time.
const CONNECTING: Duration = Duration::from_secs(10);

/// How long the connection may take to end after its client is gone.
const GOODBYE: Duration = Duration::from_secs(2);

/// A connection, and the task that it runs on. The server looks every second, also while it works or waits for a lock,
/// whether we are still there: what a killed run has locked is then free again soon, and not when the statement ends.
pub(crate) async fn connect(keeper: Keeper, database: &Database) -> Result<(Client, JoinHandle<()>), ReplayError> {
    let (config, tls) = database.connector();
    let limit = CONNECTING.max(outbox::connect_limit(&config));
    let connecting = async {
        let (client, connection) = config.connect(tls).await?;
        let task = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "database connection ended");
            }
        });
        // Servers before version 14, and some systems, cannot.
        let _ = client.batch_execute("set client_connection_check_interval = '1s'").await;
        Ok((client, task))
    };
    // The driver's own limit ends when the network connection stands: a server that is stopped takes that, and no more.
    match tokio::time::timeout(limit, connecting).await {
        Ok(connected) => connected.map_err(ReplayError::database(keeper, "connecting")),
        Err(_) => {
            let reason = format!("the database has not answered for {} s", limit.as_secs());
            Err(ReplayError::tables(keeper, reason))
        }
    }
}

/// Fails with words for a person when the schema is not its keeper's, at this program's version.
pub(crate) async fn check_schema(client: &Client, keeper: Keeper, schema: &str) -> Result<(), ReplayError> {
    let checked = match keeper {
        Keeper::Service(service) => provision::migrate::check(client, service, schema).await,
        Keeper::View => view::check(client, schema).await,
    };
    checked.map_err(|failure| ReplayError::tables(keeper, failure))
}

/// Who of the keeper is connected, in words that say what to do; a worker, a relay or an instance holds connections under its name for
/// as long as it lives.
pub(crate) async fn company(
    tx: &Transaction<'_>,
    keeper: impl Into<Keeper>,
    schema: &str,
) -> Result<Option<String>, ReplayError> {
    let keeper = keeper.into();
    let names = match keeper {
        Keeper::Service(service) => [format!("{service}-worker"), format!("outbox-relay {schema}")],
        Keeper::View => [view::instances(schema), view::readers(schema)],
    };
    let sql = "select application_name, pid, coalesce(host(client_addr), 'a local socket') \
               from pg_stat_activity where datname = current_database() and application_name = any ($1) limit 1";
    let rows = tx.query(sql, &[&names.as_slice()]).await;
    let rows = rows.map_err(ReplayError::database(keeper, "looking for workers"))?;
    Ok(rows.first().map(|row| {
        let (name, pid, host): (String, i32, String) = (row.get(0), row.get(1), row.get(2));
        format!("{name} is connected from {host} (backend {pid}); stop it first")
    }))
}

/// A connection to a service's database, with a schema as its search path.
pub(crate) struct Connection {
    pub(crate) client: Client,
    keeper: Keeper,
    schema: String,
    quoted: String,
    task: JoinHandle<()>,
}

impl Connection {
    /// Connect; the schema need not be there.
    pub(crate) async fn open(keeper: impl Into<Keeper>, url: &str, schema: &str) -> Result<Connection, ReplayError> {
        let keeper = keeper.into();
        let database = Database::open(url, None, schema, "replay-tool");
        let database = database.map_err(|error| ReplayError::tables(keeper, error))?;
        let (client, task) = connect(keeper, &database).await?;
        let quoted = escape_identifier(schema);
        let settings = format!(
            "set search_path to {quoted}; set jit = off; set timezone = 'UTC'; set lock_timeout = '10s'; \
             set client_min_messages = warning"
        );
        let set = client.batch_execute(&settings).await;
        set.map_err(ReplayError::database(keeper, "setting up the connection"))?;
        Ok(Connection { client, keeper, schema: schema.to_owned(), quoted, task })
    }

    /// The schema's name.
    pub(crate) fn schema(&self) -> &str {
        &self.schema
    }

    /// The same, quoted for SQL.
    pub(crate) fn quoted(&self) -> &str {
        &self.quoted
    }

    /// Says what was being done.
    pub(crate) fn failed(&self, doing: &'static str) -> impl Fn(tokio_postgres::Error) -> ReplayError + use<> {
        ReplayError::database(self.keeper, doing)
    }

    /// End the connection.
    pub(crate) async fn close(self) {
        drop(self.client);
        let aborted = self.task.abort_handle();
        if tokio::time::timeout(GOODBYE, self.task).await.is_err() {
            aborted.abort();
        }
    }
}
