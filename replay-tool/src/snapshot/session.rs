//! A connection to a service's database with one snapshot open on it.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use outbox::cut;
use postgres_protocol::escape::escape_identifier;
use provision::Database;
use schemas::ServiceName;
use tables::TableRow;
use tokio::task::JoinHandle;
use tokio_postgres::Client;

use super::Cut;
use super::connection::{check_schema, connect};
use super::inbox::{InboxSnapshot, read_inbox};
use super::outbox::{LaneRows, read_rows};
use super::service_tables::ServiceTables;
use crate::error::ReplayError;
use crate::keeper::Keeper;
use crate::rows::{Readable, Table};

/// How long the connection may take to end after its client is gone.
const GOODBYE: Duration = Duration::from_secs(2);

/// How many rows are read at a time.
const BATCH_ROWS: usize = 4096;

/// A connection to a service's database.
pub(crate) struct Session {
    keeper: Keeper,
    schema: String,
    client: Client,
    connection: JoinHandle<()>,
}

impl Session {
    /// Connect, and see that the schema is its keeper's own.
    pub(crate) async fn connect(keeper: impl Into<Keeper>, tables: &ServiceTables) -> Result<Session, ReplayError> {
        let keeper = keeper.into();
        let database = Database::open(&tables.database_url, None, &tables.schema, "replay-tool");
        let database = database.map_err(|error| ReplayError::tables(keeper, error))?;
        let (client, connection) = connect(keeper, &database).await?;
        let session = Session { keeper, schema: tables.schema.clone(), client, connection };
        check_schema(&session.client, keeper, &tables.schema).await?;
        let quoted = escape_identifier(&tables.schema);
        let settings = format!(
            "set search_path to {quoted}; set jit = off; set timezone = 'UTC'; set lock_timeout = '10s'; \
             set statement_timeout = '10min'; set idle_in_transaction_session_timeout = '5min'"
        );
        session.run("setting up the connection", &settings).await?;
        Ok(session)
    }

    /// Take the snapshot; everything read from now on is from it.
    pub(crate) async fn freeze(&mut self) -> Result<Cut, ReplayError> {
        let outbox = cut::begin(&self.client, &self.schema).await.map_err(ReplayError::outbox(self.keeper))?;
        let inbox = self.inbox().await?;
        Ok(Cut { outbox, inbox })
    }

    /// A whole table, some rows at a time, in no order.
    pub(crate) async fn batches<R: TableRow>(
        &self,
    ) -> Result<impl Stream<Item = Result<Vec<R>, ReplayError>> + use<R>, ReplayError> {
        let keeper = self.keeper;
        let failed = move |error| ReplayError::database(keeper, R::TABLE)(error);
        let sql = format!("select {} from {}", R::column_list(), R::TABLE);
        let rows = self.client.query_raw(&sql, Vec::<String>::new()).await.map_err(failed)?;
        let rows = rows.map(move |row| R::read(&row.map_err(failed)?).map_err(|unreadable| failed(unreadable.source)));
        Ok(rows.try_chunks(BATCH_ROWS).map_err(|chunk| chunk.1))
    }

    /// Orders for which a call to the provider is open.
    pub(crate) async fn open_calls<C: FromIterator<String>>(&self) -> Result<C, ReplayError> {
        let failed = ReplayError::database(self.keeper, "payment_calls");
        let rows = self.client.query("select order_id from payment_calls", &[]).await.map_err(&failed)?;
        rows.iter().map(|row| row.try_get(0)).collect::<Result<C, _>>().map_err(failed)
    }

    /// A print of every message in the outbox.
    pub(crate) async fn outbox_rows(&self, service: ServiceName) -> Result<LaneRows, ReplayError> {
        read_rows(service, &self.client, &self.schema).await
    }

    /// How far the service has read.
    pub(crate) async fn inbox(&self) -> Result<InboxSnapshot, ReplayError> {
        read_inbox(self.keeper, &self.client, &self.schema).await
    }

    /// Orders, refunds and returns that wait for a service. What waits for a command may wait for long.
    pub(crate) async fn unfinished_orders(&self) -> Result<i64, ReplayError> {
        let sql = "select (select count(*) from orders \
                           where stage not in ('completed', 'cancelled', 'stuck', 'authorized', 'ready_to_ship')) \
                        + (select count(*) from order_refunds where state = 'requested') \
                        + (select count(*) from order_returns where state = 'received')";
        let failed = ReplayError::database(self.keeper, "counting unfinished orders");
        self.client.query_one(sql, &[]).await.and_then(|row| row.try_get(0)).map_err(failed)
    }

    /// The heads of all lanes as they are now; outside of the snapshot once that has ended.
    pub(crate) async fn heads(&self) -> Result<HashMap<(String, i32), i64>, ReplayError> {
        let cut = cut::read(&self.client, &self.schema).await.map_err(ReplayError::outbox(self.keeper))?;
        Ok(cut.lanes.into_iter().map(|(place, lane)| (place, lane.head)).collect())
    }

    /// End the snapshot; what is read afterwards is the present.
    pub(crate) async fn thaw(&self) -> Result<(), ReplayError> {
        self.run("ending the snapshot", "commit").await
    }

    /// The connection, for what another module asks.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// The schema that it reads.
    pub(super) fn schema(&self) -> &str {
        &self.schema
    }

    /// End the connection.
    pub(crate) async fn close(self) {
        drop(self.client);
        let aborted = self.connection.abort_handle();
        if tokio::time::timeout(GOODBYE, self.connection).await.is_err() {
            aborted.abort();
        }
    }

    async fn run(&self, doing: &'static str, sql: &str) -> Result<(), ReplayError> {
        self.client.batch_execute(sql).await.map_err(ReplayError::database(self.keeper, doing))
    }
}

impl Readable for Session {
    type Error = ReplayError;

    async fn table<R: TableRow>(&self) -> Result<Table<R>, ReplayError> {
        let failed = || ReplayError::database(self.keeper, R::TABLE);
        let sql = format!("select {} from {}", R::column_list(), R::TABLE);
        let rows = self.client.query(&sql, &[]).await.map_err(failed())?;
        let mut table = Table::<R>::new();
        for row in &rows {
            let row = R::read(row).map_err(|unreadable| failed()(unreadable.source))?;
            table.insert(row.key(), row);
        }
        Ok(table)
    }
}
