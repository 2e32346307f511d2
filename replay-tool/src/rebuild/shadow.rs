//! A schema beside the live one, filled unit by unit.
//!
//! A unit's rows are written with binary COPY in one transaction with the note that the unit is done, so that a run that
//! was killed goes on after its last whole unit and writes no row twice. Levels are sums over units; they become rows at
//! the end. The schema has the service's own tables, made by its own migration, but no outbox and no inbox: these are the
//! live service's, and stay with it (see `swap`).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use schemas::{ServiceName, Sku, TopicName};
use tokio_postgres::Transaction;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};
use workers::inventory::stock::Level;

use super::digest::{StateDigest, Sum};
use super::plan::Plan;
use super::problem::{Problem, Problems};
use super::state::{Levels, Parts};
use super::unit::{Folded, LaneEnd, ReadCounts};
use super::vector::{Until, Vector};
use crate::config::ServiceTables;
use crate::connection::Connection;
use crate::error::ReplayError;
use crate::snapshot::TableRow;

/// First key of the advisory lock that a run holds; the second is a hash of the schema's name.
const LOCK: i32 = 0x7265_706c;

/// How long another run may hold it.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// What a run notes of itself, besides the rows.
const NOTES: &str = "\
    create table rebuild_run ( \
        single boolean primary key default true check (single), service text not null, live_schema text not null, \
        ends text not null, until_ms bigint, unit_records bigint not null, \
        started timestamptz not null default clock_timestamp(), finished timestamptz, digest text); \
    create table rebuild_units ( \
        unit int primary key, read bigint not null, folded bigint not null, duplicates bigint not null, \
        void bigint not null, strangers bigint not null, problems bigint not null, \
        written timestamptz not null default clock_timestamp()); \
    create table rebuild_lanes ( \
        topic text not null, partition int not null, next_offset bigint not null, epoch bigint, sequence bigint, \
        primary key (topic, partition)); \
    create table rebuild_levels ( \
        sku text not null, version bigint not null, received bigint not null, reserved bigint not null, \
        shipped bigint not null); \
    create table rebuild_sums (table_name text not null, row_count bigint not null, sum text not null); \
    create table rebuild_problems ( \
        topic text not null, partition int not null, record_offset bigint not null, cause text not null)";

/// A run's schema while it is being filled.
pub(crate) struct Shadow {
    service: ServiceName,
    connection: Connection,
    /// Units that are written.
    done: BTreeSet<usize>,
}

/// What a run that was killed had set out to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Begun {
    pub(crate) ends: Vector,
    pub(crate) until_ms: Option<i64>,
    pub(crate) unit_records: u64,
}

/// The name of the schema beside this one.
pub(crate) fn schema_beside(live: &str) -> String {
    format!("{live}_rebuilt")
}

impl Shadow {
    /// Connect, and keep others from writing to the same schema.
    pub(crate) async fn open(service: ServiceName, live: &ServiceTables, schema: &str) -> Result<Shadow, ReplayError> {
        let connection = Connection::open(service, &live.database_url, schema).await?;
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
                return Err(wrong(service, format!("another run is writing to the schema {schema}")));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(Shadow { service, connection, done: BTreeSet::new() })
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
                return Err(wrong(self.service, format!("the schema {schema} exists and is none of a rebuild's")));
            }
            (true, true) => {}
        }
        let sql = "select service, ends, until_ms, unit_records, finished is not null from rebuild_run";
        let row = self.connection.client.query_one(sql, &[]).await.map_err(&failed)?;
        let (service, ends): (String, String) = (row.get(0), row.get(1));
        if service != self.service.as_str() {
            return Err(wrong(self.service, format!("the schema {schema} is a rebuild of the {service} service")));
        }
        if row.get(4) {
            return Ok(None);
        }
        let ends = serde_json::from_str(&ends);
        let ends = ends.map_err(|error| wrong(self.service, format!("the earlier run's vector: {error}")))?;
        let units = self.connection.client.query("select unit from rebuild_units", &[]).await.map_err(&failed)?;
        self.done = units.iter().filter_map(|row| usize::try_from(row.get::<_, i32>(0)).ok()).collect();
        let unit_records = u64::try_from(row.get::<_, i64>(3)).unwrap_or(1);
        Ok(Some(Begun { ends, until_ms: row.get(2), unit_records }))
    }

    /// Make the schema anew, empty.
    pub(crate) async fn create(&mut self, live: &str, plan: &Plan, unit_records: u64) -> Result<(), ReplayError> {
        let failed = self.connection.failed("creating the schema");
        let quoted = self.connection.quoted().to_owned();
        let tx = self.connection.client.transaction().await.map_err(&failed)?;
        let sql = format!(
            "drop schema if exists {quoted} cascade; create schema {quoted}; set local search_path to {quoted}"
        );
        tx.batch_execute(&sql).await.map_err(&failed)?;
        workers::migrate::create_tables(&tx, self.service).await.map_err(&failed)?;
        tx.batch_execute(NOTES).await.map_err(&failed)?;
        let ends = serde_json::to_string(&plan.ends).map_err(ReplayError::arguments)?;
        let unit_records = i64::try_from(unit_records).unwrap_or(i64::MAX);
        let sql = "insert into rebuild_run (service, live_schema, ends, until_ms, unit_records) \
                   values ($1, $2, $3, $4, $5)";
        tx.execute(sql, &[&self.service.as_str(), &live, &ends, &plan.until_ms, &unit_records])
            .await
            .map_err(&failed)?;
        tx.commit().await.map_err(&failed)?;
        self.done.clear();
        Ok(())
    }

    /// Whether a unit is written.
    pub(crate) fn has(&self, unit: usize) -> bool {
        self.done.contains(&unit)
    }

    /// Write a unit's rows, and that it is done.
    pub(crate) async fn write(&mut self, unit: usize, folded: &Folded) -> Result<(), ReplayError> {
        let failed = self.connection.failed("writing rows");
        let tx = self.connection.client.transaction().await.map_err(&failed)?;
        let written = write(&tx, unit, folded).await;
        written.map_err(&failed)?;
        tx.commit().await.map_err(&failed)?;
        self.done.insert(unit);
        Ok(())
    }

    /// Turn sums into rows, note the end; what it all amounts to.
    pub(crate) async fn finish(&mut self) -> Result<Written, ReplayError> {
        let failed = self.connection.failed("finishing");
        let tx = self.connection.client.transaction().await.map_err(&failed)?;
        let written = finish(&tx, self.service).await.map_err(&failed)?;
        tx.commit().await.map_err(&failed)?;
        self.connection.client.batch_execute("analyze").await.map_err(&failed)?;
        Ok(written)
    }

    /// End the connection.
    pub(crate) async fn close(self) {
        self.connection.close().await;
    }
}

impl Begun {
    /// As it was asked for then.
    pub(crate) fn until(&self) -> Until {
        Until::Vector(self.ends.clone())
    }
}

/// What a finished run has written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Written {
    pub(crate) digest: StateDigest,
    pub(crate) counts: ReadCounts,
    pub(crate) problems: Problems,
    pub(crate) vector: Vector,
    /// How far each partition was folded.
    pub(crate) lanes: Vec<LaneEnd>,
    /// How long folding took, in seconds, summed over threads.
    pub(crate) fold_s: f64,
}

type Outcome<T> = Result<T, tokio_postgres::Error>;

async fn write(tx: &Transaction<'_>, unit: usize, folded: &Folded) -> Outcome<()> {
    let Parts { orders, contents, reservations, receipts, payments, ledger } = &folded.parts;
    copy(tx, orders).await?;
    copy(tx, contents).await?;
    copy(tx, reservations).await?;
    copy(tx, receipts).await?;
    copy(tx, payments).await?;
    copy(tx, ledger).await?;
    copy_levels(tx, &folded.levels).await?;
    let mut digest = StateDigest::default();
    digest.add_parts(&folded.parts);
    for (table, sum) in digest.tables() {
        let sql = "insert into rebuild_sums (table_name, row_count, sum) values ($1, $2, $3)";
        tx.execute(sql, &[&table, &signed(sum.rows), &sum.to_hex()]).await?;
    }
    for lane in &folded.lanes {
        let (epoch, sequence) = lane.highest.unzip();
        let sql = "insert into rebuild_lanes (topic, partition, next_offset, epoch, sequence) \
                   values ($1, $2, $3, $4, $5)";
        tx.execute(sql, &[&lane.topic.as_str(), &lane.partition, &lane.next_offset, &epoch, &sequence]).await?;
    }
    for Problem { topic, partition, offset, cause } in &folded.problems.listed {
        let sql = "insert into rebuild_problems (topic, partition, record_offset, cause) values ($1, $2, $3, $4)";
        // Postgres takes every character but one.
        tx.execute(sql, &[topic, partition, offset, &cause.replace('\0', "\u{fffd}")]).await?;
    }
    let ReadCounts { read, folded: applied, duplicates, void, strangers } = folded.counts;
    let sql = "insert into rebuild_units (unit, read, folded, duplicates, void, strangers, problems) \
               values ($1, $2, $3, $4, $5, $6, $7)";
    let number = i32::try_from(unit).unwrap_or(i32::MAX);
    let counts = [read, applied, duplicates, void, strangers, folded.problems.found].map(signed);
    let [read, applied, duplicates, void, strangers, problems] = &counts;
    tx.execute(sql, &[&number, read, applied, duplicates, void, strangers, problems]).await?;
    Ok(())
}

/// All rows of a table in one COPY.
pub(crate) async fn copy<R: TableRow>(tx: &Transaction<'_>, rows: &[R]) -> Outcome<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let sql = format!("copy {} ({}) from stdin binary", R::TABLE, R::COLUMNS.join(", "));
    let writer = BinaryCopyInWriter::new(tx.copy_in(&sql).await?, &R::types());
    let mut writer = std::pin::pin!(writer);
    for row in rows {
        writer.as_mut().write(&row.cells()).await?;
    }
    writer.finish().await.map(drop)
}

async fn copy_levels(tx: &Transaction<'_>, levels: &[(Sku, Level)]) -> Outcome<()> {
    if levels.is_empty() {
        return Ok(());
    }
    let sql = "copy rebuild_levels (sku, version, received, reserved, shipped) from stdin binary";
    let types = [Type::TEXT, Type::INT8, Type::INT8, Type::INT8, Type::INT8];
    let writer = BinaryCopyInWriter::new(tx.copy_in(sql).await?, &types);
    let mut writer = std::pin::pin!(writer);
    for (sku, level) in levels {
        let sku = sku.as_str();
        let cells: [&(dyn ToSql + Sync); 5] = [&sku, &level.version, &level.received, &level.reserved, &level.shipped];
        writer.as_mut().write(&cells).await?;
    }
    writer.finish().await.map(drop)
}

async fn finish(tx: &Transaction<'_>, service: ServiceName) -> Outcome<Written> {
    let mut written = Written::default();
    for row in tx.query("select table_name, row_count, sum from rebuild_sums", &[]).await? {
        let rows = unsigned(row.get(1));
        if let Some(sum) = Sum::of_hex(rows, row.get(2)) {
            written.digest.add_sum(row.get(0), &sum);
        }
    }
    let sql = "select coalesce(sum(read), 0)::bigint, coalesce(sum(folded), 0)::bigint, \
                      coalesce(sum(duplicates), 0)::bigint, coalesce(sum(void), 0)::bigint, \
                      coalesce(sum(strangers), 0)::bigint, coalesce(sum(problems), 0)::bigint from rebuild_units";
    let row = tx.query_one(sql, &[]).await?;
    let count = |index: usize| unsigned(row.get(index));
    written.counts =
        ReadCounts { read: count(0), folded: count(1), duplicates: count(2), void: count(3), strangers: count(4) };
    let sql = format!(
        "select topic, partition, record_offset, cause from rebuild_problems order by 1, 2, 3 limit {}",
        Problems::LISTED
    );
    for row in tx.query(&sql, &[]).await? {
        let (topic, partition, offset, cause) = (row.get(0), row.get(1), row.get(2), row.get(3));
        written.problems.add(Problem { topic, partition, offset, cause });
    }
    written.problems.found = count(5);
    let sql = "select topic, partition, next_offset, epoch, sequence from rebuild_lanes order by 1, 2";
    for row in tx.query(sql, &[]).await? {
        let (name, partition, next_offset): (&str, i32, i64) = (row.get(0), row.get(1), row.get(2));
        written.vector.extend(name, partition, next_offset);
        if let Some(topic) = TopicName::parse(name) {
            let highest = row.get::<_, Option<i64>>(3).zip(row.get(4));
            written.lanes.push(LaneEnd { topic, partition, next_offset, highest, beyond: None });
        }
    }
    if service == ServiceName::Inventory {
        write_stock(tx, &mut written).await?;
    }
    let sql = "update rebuild_run set finished = clock_timestamp(), digest = $1";
    tx.execute(sql, &[&written.digest.to_hex()]).await?;
    Ok(written)
}

/// SKUs are a catalogue: their levels fit into memory, as the workers' do.
async fn write_stock(tx: &Transaction<'_>, written: &mut Written) -> Outcome<()> {
    let mut levels = Levels::default();
    let sql = "select sku, max(version), sum(received)::bigint, sum(reserved)::bigint, sum(shipped)::bigint \
               from rebuild_levels group by sku";
    let mut summed = Vec::new();
    for row in tx.query(sql, &[]).await? {
        let level = Level { version: row.get(1), received: row.get(2), reserved: row.get(3), shipped: row.get(4) };
        if let Ok(sku) = Sku::new(row.get::<_, String>(0)) {
            summed.push((sku, level));
        }
    }
    levels.add(summed);
    let (rows, unsound) = levels.rows();
    copy(tx, &rows).await?;
    written.digest.add_stock(&rows);
    for (sku, reason) in unsound {
        written.problems.add(Problem::of_level(sku.as_str(), &reason));
    }
    Ok(())
}

fn wrong(service: ServiceName, reason: String) -> ReplayError {
    ReplayError::Tables { service, reason }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}
