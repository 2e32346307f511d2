//! A file as a place for units, and what is noted in it so that a run can go on.

use std::collections::BTreeSet;
use std::sync::Arc;

use rusqlite::types::Type;
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::{StateFile, create_tables, insert};
use crate::error::ReplayError;
use crate::fold::{Levels, TakeRows};
use crate::keeper::Keeper;
use crate::rebuild::into::Sink;
use crate::rebuild::plan::Begun;
use crate::rebuild::unit::{Folded, Note, Written};
use crate::rows::{RowFormats as _, StateDigest, StockRow, TableRow};

/// `rebuild_run` stays: it tells what the state was folded from, and its digest.
pub(super) const TABLES: &str = "\
    create table if not exists rebuild_run (
        service text primary key, vector text not null, digest text, ends text not null, marks text not null,
        until_ms integer, unit_records integer not null) strict;
    create table if not exists rebuild_units (
        service text not null, unit integer not null, note text not null, primary key (service, unit)) strict;
    create table if not exists rebuild_levels (
        sku text not null, version integer not null, received integer not null, reserved integer not null,
        shipped integer not null, returned integer not null, written_off integer not null) strict;";

/// What only a run needs.
pub(super) const DROP: &str = "\
    drop table rebuild_units; drop table rebuild_levels;
    alter table rebuild_run drop column ends; alter table rebuild_run drop column marks;
    alter table rebuild_run drop column unit_records; alter table rebuild_run drop column until_ms;";

/// A service's part of the file.
pub(crate) struct FileSink {
    keeper: Keeper,
    file: Arc<StateFile>,
    /// Units that are written.
    done: BTreeSet<usize>,
    /// Nothing is noted in a file without a name: what is not whole is gone.
    unnoted: Option<(Levels, Written)>,
}

impl FileSink {
    pub(crate) fn new(keeper: Keeper, file: &Arc<StateFile>) -> Self {
        let unnoted = file.path.is_none().then(Default::default);
        FileSink { keeper, file: Arc::clone(file), done: BTreeSet::new(), unnoted }
    }

    /// What an unfinished run had set out to do with this service; none where it had not come to it.
    pub(crate) fn begun(&mut self) -> Result<Option<Begun>, ReplayError> {
        let service = self.keeper.as_str();
        let sql = "select ends, marks, until_ms, unit_records from rebuild_run where service = ?";
        let (begun, done) = self.file.in_transaction(|tx| {
            let read = |row: &rusqlite::Row<'_>| {
                let text = |index| row.get_ref(index)?.as_str().map_err(rusqlite::Error::from);
                let begun = Begun::read(text(0)?, text(1)?, row.get(2)?, row.get(3)?);
                begun.map_err(unreadable)
            };
            let begun = tx.query_row(sql, [service], read).optional()?;
            let mut statement = tx.prepare("select unit from rebuild_units where service = ?")?;
            let done = statement.query_map([service], |row| row.get::<_, i64>(0))?.collect::<Result<Vec<_>, _>>()?;
            Ok((begun, done))
        })?;
        self.done = done.into_iter().filter_map(|unit| usize::try_from(unit).ok()).collect();
        Ok(begun)
    }

    /// Make the service's tables, and note what is set out to do.
    pub(crate) fn create(&self, begun: &Begun) -> Result<(), ReplayError> {
        let (ends, marks) = begun.written().map_err(ReplayError::arguments)?;
        let sql = "insert into rebuild_run (service, vector, ends, marks, until_ms, unit_records) \
                   values (?, '', ?, ?, ?, ?)";
        self.file.in_transaction(|tx| {
            create_tables(tx, self.keeper)?;
            let unit_records = begun.unit_records_signed();
            tx.execute(sql, params![self.keeper.as_str(), ends, marks, begun.until_ms, unit_records]).map(drop)
        })
    }

    /// Levels, and what everything amounts to. Blocks.
    pub(crate) fn finish(self) -> Result<Written, ReplayError> {
        let FileSink { keeper, file, done: _, unnoted } = self;
        if let Some((levels, mut written)) = unnoted {
            file.add(written.add_levels(keeper, levels))?;
            return Ok(written);
        }
        let name = keeper.as_str();
        file.in_transaction(|tx| {
            let mut written = read_notes(tx, name)?;
            if keeper.has_levels() {
                let stock = written.add_levels(keeper, read_levels(tx)?);
                tx.execute(&format!("delete from {}", StockRow::TABLE), [])?;
                insert(tx, StockRow::TABLE, stock.into_iter())?;
            }
            let vector = serde_json::to_string(&written.vector).unwrap_or_default();
            let sql = "update rebuild_run set vector = ?, digest = ? where service = ?";
            tx.execute(sql, [&vector, &written.digest.to_hex(), name])?;
            Ok(written)
        })
    }
}

impl Sink for FileSink {
    type Part = Folded;

    fn part(folded: Folded) -> Result<Folded, ReplayError> {
        Ok(folded)
    }

    fn has(&self, unit: usize) -> bool {
        self.done.contains(&unit)
    }

    async fn take(&mut self, unit: usize, folded: Folded) -> Result<(), ReplayError> {
        let (file, service) = (Arc::clone(&self.file), self.keeper.as_str());
        let is_noted = self.unnoted.is_none();
        let written = tokio::task::spawn_blocking(move || {
            let Folded { state, partitions, mut note, elapsed: _ } = folded;
            file.in_transaction(|tx| {
                let mut insert_rows = Insert { tx, digest: StateDigest::default() };
                state.rows(partitions, &mut insert_rows)?;
                note.digest = insert_rows.digest;
                if is_noted {
                    let levels = state.levels().map(|(sku, level)| StockRow::of(sku, level));
                    insert(tx, "rebuild_levels", levels)?;
                    let text = serde_json::to_string(&note).map_err(unreadable)?;
                    let number = i64::try_from(unit).unwrap_or(i64::MAX);
                    let sql = "insert into rebuild_units (service, unit, note) values (?, ?, ?)";
                    tx.execute(sql, params![service, number, text])?;
                }
                Ok((state, note))
            })
        });
        let (state, note) =
            written.await.map_err(|_| ReplayError::Aborted { what: "a part of the topics".into() })??;
        if let Some((levels, written)) = &mut self.unnoted {
            levels.add(state.levels());
            written.add(note);
        }
        Ok(())
    }
}

/// Inserts a unit's rows and digests them on the way.
struct Insert<'t> {
    tx: &'t Transaction<'t>,
    digest: StateDigest,
}

impl TakeRows for Insert<'_> {
    type Error = rusqlite::Error;

    fn rows<R: TableRow>(&mut self, rows: impl Iterator<Item = R>) -> rusqlite::Result<()> {
        insert(self.tx, R::TABLE, self.digest.passing(rows))
    }
}

fn read_notes(tx: &Transaction<'_>, service: &str) -> rusqlite::Result<Written> {
    let mut written = Written::default();
    let mut statement = tx.prepare("select note from rebuild_units where service = ? order by unit")?;
    let mut rows = statement.query([service])?;
    while let Some(row) = rows.next()? {
        let note: Note = serde_json::from_str(row.get_ref(0)?.as_str()?).map_err(unreadable)?;
        written.add(note);
    }
    Ok(written)
}

fn read_levels(tx: &Transaction<'_>) -> rusqlite::Result<Levels> {
    let mut levels = Levels::default();
    let mut statement = tx.prepare(&format!("select {} from rebuild_levels", StockRow::column_list()))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        levels.add_row(&StockRow::of_sqlite(row)?);
    }
    Ok(levels)
}

fn unreadable(error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error))
}
