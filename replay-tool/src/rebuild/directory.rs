//! State as files that every tool reads: one `<table>.jsonl` per table, one JSON object per row.
//!
//! They are written into `<directory>.partial` and get their final name when all of them are whole. A run that was killed
//! begins again: units are not marked here, because reading again is cheaper than finding out how much of a file counts.
//! JSON lines and not SQLite or Parquet: nothing has to be compiled or linked for them, and jq, DuckDB, Python and
//! Postgres read them as they are.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use super::collected::Collected;
use super::shadow::Written;
use super::state::Parts;
use super::unit::Folded;
use crate::error::ReplayError;
use crate::snapshot::{Rows, TableRow};

/// Files while they are written.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    partial: PathBuf,
    files: BTreeMap<&'static str, BufWriter<File>>,
    collected: Collected,
}

impl Directory {
    /// Begin. The directory must not be there yet.
    pub(crate) fn create(path: &Path) -> Result<Self, ReplayError> {
        if path.exists() {
            return Err(ReplayError::arguments(format!("{} exists already", path.display())));
        }
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        if partial.exists() {
            fs::remove_dir_all(&partial).map_err(failed(&partial))?;
        }
        fs::create_dir_all(&partial).map_err(failed(&partial))?;
        let collected = Collected::new(false);
        Ok(Directory { path: path.to_owned(), partial, files: BTreeMap::new(), collected })
    }

    /// Add a unit.
    pub(crate) fn take(&mut self, folded: Folded) -> Result<(), ReplayError> {
        let Parts { orders, contents, reservations, receipts, payments, ledger } = &folded.parts;
        self.write(orders)?;
        self.write(contents)?;
        self.write(reservations)?;
        self.write(receipts)?;
        self.write(payments)?;
        self.write(ledger)?;
        self.collected.take(folded);
        Ok(())
    }

    /// Write levels, and give everything its final name.
    pub(crate) fn finish(mut self) -> Result<Written, ReplayError> {
        let mut collected = std::mem::take(&mut self.collected);
        collected.rows = Some(Rows::default());
        let (written, rows) = collected.finish();
        let stock: Vec<_> = rows.unwrap_or_default().stock.into_values().collect();
        self.write(&stock)?;
        for (_, file) in std::mem::take(&mut self.files) {
            let file = file.into_inner().map_err(|error| failed(&self.partial)(error.into_error()))?;
            file.sync_all().map_err(failed(&self.partial))?;
        }
        fs::rename(&self.partial, &self.path).map_err(failed(&self.path))?;
        Ok(written)
    }

    fn write<R: TableRow>(&mut self, rows: &[R]) -> Result<(), ReplayError> {
        if rows.is_empty() {
            return Ok(());
        }
        let path = self.partial.join(format!("{}.jsonl", R::TABLE));
        if !self.files.contains_key(R::TABLE) {
            let file = File::create(&path).map_err(failed(&path))?;
            self.files.insert(R::TABLE, BufWriter::new(file));
        }
        let Some(file) = self.files.get_mut(R::TABLE) else { return Ok(()) };
        for row in rows {
            writeln!(file, "{}", row.json()).map_err(failed(&path))?;
        }
        Ok(())
    }
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> ReplayError {
    ReplayError::output(path.display().to_string())
}
