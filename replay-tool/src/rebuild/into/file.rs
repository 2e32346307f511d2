//! State as a SQLite file: the services' tables, as every language reads them, by key.
//!
//! Written under another name and given its own when it is whole. Units are committed one by one with the note that they
//! are done, so a run that was killed goes on. Keys become unique indexes at the end: rows come in no order. The same
//! without a name is where state is put that is only to be compared or summed up: SQLite keeps it in memory as far as that
//! goes, then in a file that has no name and ends with the process.

mod merge;
mod notes;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

pub(crate) use notes::FileSink;

use crate::error::ReplayError;
use crate::keeper::Keeper;
use crate::rows::{EachTable, RowFormats as _, TableRow, each_table, sqlite_type};

/// Pages that are held in memory, in KiB.
const CACHE: &str = "pragma page_size = 8192; pragma cache_size = -32768; pragma temp_store = file;";

/// A SQLite file while it is written or read.
#[derive(Debug)]
pub(crate) struct StateFile {
    connection: Mutex<Connection>,
    /// Where it will be; none where it has no name.
    path: Option<PathBuf>,
}

impl StateFile {
    /// One without a name, with the tables of these keepers.
    pub(crate) fn temporary(keepers: &[Keeper]) -> Result<Arc<Self>, ReplayError> {
        let connection = Connection::open("").map_err(failed("a temporary file"))?;
        let settings = format!("{CACHE} pragma journal_mode = off; pragma synchronous = off;");
        connection.execute_batch(&settings).map_err(failed("a temporary file"))?;
        let file = StateFile { connection: Mutex::new(connection), path: None };
        for keeper in keepers {
            file.in_transaction(|tx| create_tables(tx, *keeper))?;
        }
        Ok(Arc::new(file))
    }

    /// Begin, or go on with what an earlier run has left; nobody else writes to it meanwhile. There must be no file of
    /// this name yet.
    pub(crate) fn create(path: &Path, is_restart: bool) -> Result<Arc<Self>, ReplayError> {
        if path.exists() {
            return Err(ReplayError::arguments(format!("{} exists already", path.display())));
        }
        let partial = partial(path);
        if is_restart && partial.exists() {
            fs::remove_file(&partial).map_err(ReplayError::output(partial.display().to_string()))?;
        }
        let open = || {
            let connection = Connection::open(&partial)?;
            let settings = "pragma journal_mode = delete; pragma synchronous = full; pragma locking_mode = exclusive;";
            connection.execute_batch(&format!("{CACHE} {settings}"))?;
            connection.execute_batch(notes::TABLES)?;
            Ok(connection)
        };
        let connection = open().map_err(failed(&partial.display().to_string()))?;
        Ok(Arc::new(StateFile { connection: Mutex::new(connection), path: Some(path.to_owned()) }))
    }

    /// Keys become indexes, what only the run needed is dropped, and the file gets its name.
    pub(crate) fn publish(self: Arc<Self>, keepers: &[Keeper]) -> Result<(), ReplayError> {
        let Some(path) = self.path.clone() else { return Ok(()) };
        let partial = partial(&path);
        let Some(file) = Arc::into_inner(self) else {
            return Err(ReplayError::arguments(format!("{} is still being written", partial.display())));
        };
        file.in_transaction(|tx| {
            keepers.iter().try_for_each(|keeper| each_table(*keeper, &mut KeyIndex(tx)))?;
            tx.execute_batch(notes::DROP)
        })?;
        let closed = file.connection.into_inner().unwrap_or_else(PoisonError::into_inner).close();
        closed.map_err(|(_, error)| failed(&partial.display().to_string())(error))?;
        let output = || ReplayError::output(path.display().to_string());
        // A link takes no name that somebody else has taken meanwhile.
        fs::hard_link(&partial, &path).and_then(|()| fs::remove_file(&partial)).map_err(output())?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(output())
    }

    /// Add rows to their table.
    pub(crate) fn add<R: TableRow>(&self, rows: Vec<R>) -> Result<(), ReplayError> {
        self.in_transaction(|tx| insert(tx, R::TABLE, rows.into_iter()))
    }

    /// Every row of a table, in no order.
    pub(crate) fn each<R: TableRow>(&self, mut take: impl FnMut(R)) -> Result<(), ReplayError> {
        let connection = self.lock();
        let mut read = || {
            let mut statement = connection.prepare(&format!("select {} from {}", R::column_list(), R::TABLE))?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                take(R::of_sqlite(row)?);
            }
            Ok(())
        };
        read().map_err(self.failed())
    }

    fn in_transaction<T>(&self, act: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, ReplayError> {
        let mut connection = self.lock();
        let done = || {
            let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = act(&tx)?;
            tx.commit()?;
            Ok(done)
        };
        done().map_err(self.failed())
    }

    /// A thread that panicked has left no half of a transaction behind.
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self) -> impl FnOnce(rusqlite::Error) -> ReplayError + use<> {
        let name = self.path.as_ref().map_or("a temporary file".to_owned(), |path| partial(path).display().to_string());
        failed(&name)
    }
}

/// What a file is called until it is whole.
fn partial(path: &Path) -> PathBuf {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    partial.into()
}

fn failed(name: &str) -> impl FnOnce(rusqlite::Error) -> ReplayError + use<> {
    let name = name.to_owned();
    move |source| match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            ReplayError::arguments(format!("another run is writing to {name}"))
        }
        Some(ErrorCode::NotADatabase) => {
            ReplayError::arguments(format!("{name} is not a file of a rebuild; --restart throws it away"))
        }
        Some(_) | None => ReplayError::StateFile { name, source },
    }
}

/// Tables without keys yet.
fn create_tables(tx: &Transaction<'_>, keeper: Keeper) -> rusqlite::Result<()> {
    struct Create<'t>(&'t Transaction<'t>);
    impl EachTable for Create<'_> {
        type Error = rusqlite::Error;

        fn table<R: TableRow>(&mut self) -> rusqlite::Result<()> {
            let columns: Vec<String> =
                R::COLUMNS.iter().map(|column| format!("\"{}\" {}", column.name, sqlite_type(column.kind))).collect();
            self.0.execute_batch(&format!("create table {} ({}) strict", R::TABLE, columns.join(", ")))
        }
    }
    each_table(keeper, &mut Create(tx))
}

struct KeyIndex<'t>(&'t Transaction<'t>);

impl EachTable for KeyIndex<'_> {
    type Error = rusqlite::Error;

    fn table<R: TableRow>(&mut self) -> rusqlite::Result<()> {
        let key: Vec<&str> = R::key_columns().map(|column| column.name).collect();
        self.0.execute_batch(&format!("create unique index {0}_key on {0} ({1})", R::TABLE, key.join(", ")))
    }
}

/// Rows into the table of this name, which has their columns and is there if there are any.
fn insert<R: TableRow>(tx: &Transaction<'_>, table: &str, rows: impl Iterator<Item = R>) -> rusqlite::Result<()> {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return Ok(());
    }
    let columns: Vec<String> = R::COLUMNS.iter().map(|column| format!("\"{}\"", column.name)).collect();
    let places = vec!["?"; columns.len()].join(", ");
    let mut statement = tx.prepare(&format!("insert into {table} ({}) values ({places})", columns.join(", ")))?;
    for row in rows {
        statement.execute(rusqlite::params_from_iter(row.to_sqlite()))?;
    }
    Ok(())
}
