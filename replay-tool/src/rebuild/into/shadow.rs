//! A schema beside the live one, filled unit by unit.
//!
//! A unit's rows are written with binary COPY in one transaction with the note that the unit is done, so that a run that
//! was killed goes on after its last whole unit and writes no row twice. Levels are sums over units; they become rows at
//! the end. The schema has the service's own tables, made by its own migration, but no outbox and no inbox: these are the
//! live service's, and stay with it (see `swap`).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tokio_postgres::Transaction;
use tokio_postgres::types::ToSql;

use super::copy::{Encoder, TableCopy, Unencodable};
use super::sink::Sink;
use crate::error::ReplayError;
use crate::fold::Levels;
use crate::keeper::Keeper;
use crate::rebuild::plan::Begun;
use crate::rebuild::unit::{Folded, Note, Written};
use crate::rows::{StockRow, TableRow as _, table_names};
use crate::snapshot::{Connection, ServiceTables};

/// First key of the advisory lock that a run holds; the second is a hash of the schema's name.
const LOCK: i32 = 0x7265_706c;

/// How long another run may hold it.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// What a run notes of itself, besides the rows.
const NOTES: &str = "\
    create table rebuild_run ( \
        single boolean primary key default true check (single), service text not null, live_schema text not null, \
        ends text not null, marks text not null, until_ms bigint, unit_records bigint not null, \
        started timestamptz not null default clock_timestamp(), finished timestamptz, digest text); \
    create table rebuild_units ( \
        unit int primary key, note text not null, written timestamptz not null default clock_timestamp()); \
    create table rebuild_levels ( \
        sku text not null, version bigint not null, received bigint not null, reserved bigint not null, \
        shipped bigint not null, returned bigint not null, written_off bigint not null)";

/// A run's schema while it is being filled.
pub(crate) struct Shadow {
    keeper: Keeper,
    connection: Connection,
    /// Units that are written.
    done: BTreeSet<usize>,
}

/// The name of the schema beside this one.
pub(crate) fn schema_beside(live: &str) -> String {
    format!("{live}_rebuilt")
}

impl Shadow {
    /// Connect, and keep others from writing to the same schema.
    pub(crate) async fn open(keeper: Keeper, live: &ServiceTables, schema: &str) -> Result<Shadow, ReplayError> {
        let connection = Connection::open(keeper, &live.database_url, schema).await?;
        let sql = "select pg_try_advisory_lock ($1, hashtext ($2))";
        let begun = Instant::now();
        loop {
            let row = connection.client.query_one(sql, &[&LOCK, &schema]).await;
            let is_ours: bool = row.map_err(connection.failed("locking the schema"))?.get(0);
            if is_ours {
                break;
            }
            // The backend of a run that was killed may take a moment to notice.
            if begun.elapsed() > LOCK_PATIENCE {
                return Err(wrong(keeper, format!("another run is writing to the schema {schema}")));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(Shadow { keeper, connection, done: BTreeSet::new() })
    }

    /// What an unfinished run in this schema had set out to do; none where there is no schema, or its run has ended.
    pub(crate) async fn begun(&mut self) -> Result<Option<Begun>, ReplayError> {
        let failed = self.connection.failed("looking for an earlier run");
        let schema = self.connection.schema().to_owned();
        let sql = "select to_regnamespace ($1) is not null, to_regclass ($2) is not null";
        let run = format!("{}.rebuild_run", self.connection.quoted());
        let quoted = self.connection.quoted().to_owned();
        let row = self.connection.client.query_one(sql, &[&quoted, &run]).await.map_err(&failed)?;
        match (row.get(0), row.get(1)) {
            (false, _) => return Ok(None),
            (true, false) => {
                return Err(wrong(self.keeper, format!("the schema {schema} exists and is none of a rebuild's")));
            }
            (true, true) => {}
        }
        let sql = "select service, finished is not null, ends, marks, until_ms, unit_records from rebuild_run";
        let row = self.connection.client.query_one(sql, &[]).await.map_err(&failed)?;
        let service: String = row.get(0);
        if service != self.keeper.as_str() {
            return Err(wrong(self.keeper, format!("the schema {schema} is a rebuild of {service}'s tables")));
        }
        if row.get(1) {
            return Ok(None);
        }
        let begun = Begun::read(row.get(2), row.get(3), row.get(4), row.get(5));
        let begun = begun.map_err(|error| wrong(self.keeper, format!("the earlier run's note: {error}")))?;
        let units = self.connection.client.query("select unit from rebuild_units", &[]).await.map_err(&failed)?;
        self.done = units.iter().filter_map(|row| usize::try_from(row.get::<_, i32>(0)).ok()).collect();
        Ok(Some(begun))
    }

    /// Make the schema anew, empty.
    pub(crate) async fn create(&mut self, live: &str, begun: &Begun) -> Result<(), ReplayError> {
        let failed = self.connection.failed("creating the schema");
        let quoted = self.connection.quoted().to_owned();
        let tx = self.connection.client.transaction().await.map_err(&failed)?;
        let sql = format!(
            "drop schema if exists {quoted} cascade; create schema {quoted}; set local search_path to {quoted}"
        );
        tx.batch_execute(&sql).await.map_err(&failed)?;
        match self.keeper {
            Keeper::Service(service) => provision::migrate::create_tables(&tx, service).await.map_err(&failed)?,
            Keeper::View => view::create_tables(&tx).await.map_err(&failed)?,
        }
        tx.batch_execute(NOTES).await.map_err(&failed)?;
        let (ends, marks) = begun.written().map_err(ReplayError::arguments)?;
        let sql = "insert into rebuild_run (service, live_schema, ends, marks, until_ms, unit_records) \
                   values ($1, $2, $3, $4, $5, $6)";
        let unit_records = begun.unit_records_signed();
        let values: [&(dyn ToSql + Sync); 6] =
            [&self.keeper.as_str(), &live, &ends, &marks, &begun.until_ms, &unit_records];
        tx.execute(sql, &values).await.map_err(&failed)?;
        tx.commit().await.map_err(&failed)?;
        self.done.clear();
        Ok(())
    }

    /// Turn sums into rows, note the end; what it all amounts to.
    pub(crate) async fn finish(&mut self) -> Result<Written, ReplayError> {
        let failed = self.connection.failed("finishing");
        let tx = self.connection.client.transaction().await.map_err(&failed)?;
        let written = finish(&tx, self.keeper).await?;
        tx.commit().await.map_err(&failed)?;
        // These alone: without names it would be every table of the database.
        let analyze = format!("analyze {}", table_names(self.keeper).join(", "));
        self.connection.client.batch_execute(&analyze).await.map_err(&failed)?;
        Ok(written)
    }

    /// End the connection.
    pub(crate) async fn close(self) {
        self.connection.close().await;
    }
}

/// A unit's rows, encoded.
#[derive(Debug)]
pub(crate) struct Part {
    copies: Vec<TableCopy>,
    note: Note,
}

impl Sink for Shadow {
    type Part = Part;

    fn part(folded: Folded) -> Result<Part, ReplayError> {
        let Folded { state, partitions, mut note, elapsed: _ } = folded;
        let mut encoder = Encoder::default();
        let encoded = state.rows(partitions, &mut encoder).and_then(|()| {
            let levels = state.levels().map(|(sku, level)| StockRow::of(sku, level));
            encoder.copies.extend(TableCopy::into_table("rebuild_levels", levels)?);
            Ok(())
        });
        encoded.map_err(unencodable)?;
        note.digest = encoder.digest;
        Ok(Part { copies: encoder.copies, note })
    }

    fn has(&self, unit: usize) -> bool {
        self.done.contains(&unit)
    }

    /// The unit's rows, and that it is done.
    async fn take(&mut self, unit: usize, part: Part) -> Result<(), ReplayError> {
        let failed = self.connection.failed("writing rows");
        let Part { copies, note } = part;
        let note = serde_json::to_string(&note).map_err(ReplayError::arguments)?;
        let tx = self.connection.client.transaction().await.map_err(&failed)?;
        for copy in copies {
            copy.send(&tx).await.map_err(&failed)?;
        }
        let number = i32::try_from(unit).unwrap_or(i32::MAX);
        let sql = "insert into rebuild_units (unit, note) values ($1, $2)";
        tx.execute(sql, &[&number, &note]).await.map_err(&failed)?;
        tx.commit().await.map_err(&failed)?;
        self.done.insert(unit);
        Ok(())
    }
}

/// All notes together, and the levels that the parts' sums make.
async fn finish(tx: &Transaction<'_>, keeper: Keeper) -> Result<Written, ReplayError> {
    let failed = ReplayError::database(keeper, "finishing");
    let mut written = Written::default();
    for row in tx.query("select note from rebuild_units order by unit", &[]).await.map_err(&failed)? {
        let note = serde_json::from_str(row.get(0));
        written.add(note.map_err(|error| wrong(keeper, format!("a part's note: {error}")))?);
    }
    if keeper.has_levels() {
        let stock = written.add_levels(keeper, read_levels(tx).await.map_err(&failed)?);
        if let Some(copy) = TableCopy::into_table(StockRow::TABLE, stock.into_iter()).map_err(unencodable)? {
            copy.send(tx).await.map_err(&failed)?;
        }
    }
    let sql = "update rebuild_run set finished = clock_timestamp(), digest = $1";
    tx.execute(sql, &[&written.digest.to_hex()]).await.map_err(&failed)?;
    Ok(written)
}

/// SKUs are a catalogue: their levels fit into memory, as the workers' do.
async fn read_levels(tx: &Transaction<'_>) -> Result<Levels, tokio_postgres::Error> {
    let mut levels = Levels::default();
    let sql = "select sku, max(version), sum(received)::bigint, sum(reserved)::bigint, sum(shipped)::bigint, \
                      sum(returned)::bigint, sum(written_off)::bigint \
               from rebuild_levels group by sku";
    for row in tx.query(sql, &[]).await? {
        levels.add_row(&StockRow::read(&row).map_err(|unreadable| unreadable.source)?);
    }
    Ok(levels)
}

fn unencodable(error: Unencodable) -> ReplayError {
    ReplayError::arguments(format!("a row that Postgres cannot take: {error}"))
}

fn wrong(keeper: Keeper, reason: String) -> ReplayError {
    ReplayError::Tables { keeper, reason }
}
