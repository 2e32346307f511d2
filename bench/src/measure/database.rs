//! Postgres' own counters: transactions and write-ahead log.
//!
//! Backends hand their transaction counts in about once a second, so a window of 10 s is off by up to a tenth and one
//! of 60 s by less than two hundredths, and what they touched likewise; the log position is exact. Postgres counts no statements
//! without an extension.

use tokio_postgres::Client;

use crate::error::{Doing, Result};

/// The counters at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counters {
    /// Committed transactions in all databases.
    pub(crate) commits: i64,
    /// Bytes of write-ahead log since the cluster was made.
    pub(crate) wal_bytes: i64,
    /// Pages that backends of this database have asked for, in memory or not.
    pub(crate) buffers: i64,
    /// How often an index of this database was gone down: to look up, or to enter a row.
    pub(crate) descents: i64,
}

/// A row that is new, or that an update did not leave on its page, is entered into every index of its table.
const QUERY: &str = "\
    select (select sum(xact_commit)::bigint from pg_stat_database), \
           pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint, \
           (select blks_hit + blks_read from pg_stat_database where datname = current_database()), \
           coalesce((select sum(idx_scan) from pg_stat_user_indexes), 0)::bigint \
           + coalesce((select sum((n_tup_ins + n_tup_upd - n_tup_hot_upd) * indexes) from pg_stat_user_tables, \
                 lateral (select count(*) as indexes from pg_index where indrelid = relid) as of_table), 0)::bigint";

impl Counters {
    /// Reads them from the server.
    pub(crate) async fn read(client: &Client) -> Result<Self> {
        let row = client.query_one(QUERY, &[]).await.doing("reading Postgres' counters")?;
        Ok(Counters { commits: row.get(0), wal_bytes: row.get(1), buffers: row.get(2), descents: row.get(3) })
    }
}

/// Connects, and drives the connection on the current runtime until the client is dropped.
pub(crate) async fn connect(url: &str) -> Result<Client> {
    let (client, connection) =
        tokio_postgres::connect(url, tokio_postgres::NoTls).await.doing("connecting to Postgres")?;
    // Its error, if any, is what the client's next statement gets.
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}
