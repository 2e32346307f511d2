//! A service's tables, made once more from what it has said: to compare them with the live ones, or to have them again.
//!
//! For any service whose rows follow from its own events: it says how one event changes its state ([`Derived::evolve`], which
//! its live path should use too) and which rows a state makes. The live tables and the ends of the outbox' lanes are read in
//! one snapshot, so the service may work meanwhile; each lane is then followed to exactly its end. What does not count (a
//! repetition, what a restore has made void) is passed over; what is missing is an error, never a smaller state.
//!
//! The whole state is in memory, and so are the tables. Deliberately absent: topics that no longer begin at their beginning,
//! and putting the new tables in the place of the live ones, which is a person's `alter table … set schema`.

mod difference;
mod log;
mod store;

use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::contract::Contract;
use crate::database::Database;
pub use difference::{Comparison, Difference};

/// How long nothing may come of a topic that has to go on.
const SILENCE: Duration = Duration::from_secs(30);

/// State that follows from events; begins with none.
pub trait Derived: Default + Send + 'static {
    /// The service's messages.
    type Contract: Contract;
    /// The topics whose messages are the state.
    const TOPICS: &'static [<Self::Contract as Contract>::Topic];

    /// One event later. Events of one topic partition come in their order, those of several in any.
    ///
    /// # Errors
    /// In words, why this event cannot follow: the rebuild ends.
    fn evolve(&mut self, event: <Self::Contract as Contract>::Message) -> Result<(), String>;

    /// The tables that this state makes; all of them, also where they are empty.
    fn tables(&self) -> Vec<Table>;
}

/// A table of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    name: &'static str,
    key: &'static [&'static str],
    rows: Vec<Value>,
}

impl Table {
    /// The table of this name in the service's schema, with the columns that are its key, and its rows: objects of columns. What
    /// a row does not name is not compared.
    pub fn new<R: Serialize>(
        name: &'static str,
        key: &'static [&'static str],
        rows: impl IntoIterator<Item = R>,
    ) -> Self {
        // What cannot be written as JSON is no row, and is told when the columns are looked at.
        let rows = rows.into_iter().map(|row| serde_json::to_value(row).unwrap_or(Value::Null)).collect();
        Table { name, key, rows }
    }
}

/// Why there is no rebuild.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The database.
    #[error("the database: {0}")]
    Database(String),
    /// The brokers.
    #[error("the brokers: {0}")]
    Kafka(String),
    /// A topic does not tell all that was said.
    #[error("{topic}[{partition}]: {what}")]
    Log {
        /// Its full name.
        topic: String,
        /// Which partition.
        partition: i32,
        /// What is wrong.
        what: String,
    },
    /// A table is not as the service's rows are.
    #[error("table {table}: {what}")]
    Table {
        /// Its name.
        table: &'static str,
        /// What is wrong.
        what: String,
    },
}

impl From<tokio_postgres::Error> for RebuildError {
    fn from(error: tokio_postgres::Error) -> Self {
        RebuildError::Database(outbox::explain(&error))
    }
}

impl From<outbox::OutboxError> for RebuildError {
    fn from(error: outbox::OutboxError) -> Self {
        RebuildError::Database(error.to_string())
    }
}

/// A state made of its events, and the live tables as they were at the same moment.
pub struct Rebuilt<D> {
    state: D,
    /// By table, in the order of `D::tables`.
    live: Vec<Vec<store::Row>>,
    database: Database,
}

/// Makes the state of everything that the service has said until now. `topic_prefix` is its deployment's.
///
/// # Errors
/// [`RebuildError`], in words.
pub async fn rebuild<D: Derived>(
    contract: D::Contract,
    database: &Database,
    kafka: &ClientConfig,
    topic_prefix: &str,
) -> Result<Rebuilt<D>, RebuildError> {
    let client = store::connect(database).await?;
    let cut = outbox::cut::begin(&client, database.schema()).await?;
    let mut live = Vec::new();
    for table in D::default().tables() {
        live.push(store::read(&client, database.schema(), &table).await?);
    }
    client.batch_execute("commit").await?;
    let lanes = log::lanes::<D>(cut, topic_prefix)?;
    let (contract, kafka) = (Arc::new(contract), kafka.clone());
    let folding = tokio::task::spawn_blocking(move || log::fold::<D>(&contract, &kafka, lanes, SILENCE));
    let state = folding.await.map_err(|error| RebuildError::Kafka(error.to_string()))??;
    Ok(Rebuilt { state, live, database: database.clone() })
}

impl<D: Derived> Rebuilt<D> {
    /// The state.
    pub fn state(&self) -> &D {
        &self.state
    }

    /// Row by row, against the live tables.
    ///
    /// # Errors
    /// When the database does not answer, or a table is not as the service's rows are.
    pub async fn compare(&self) -> Result<Comparison, RebuildError> {
        let client = store::connect(&self.database).await?;
        let mut comparison = Comparison::default();
        for (table, live) in self.state.tables().iter().zip(&self.live) {
            let rebuilt = store::as_stored(&client, self.database.schema(), table).await?;
            comparison.add(table, live, &rebuilt);
        }
        Ok(comparison)
    }

    /// Writes the tables into a schema that is made for it, with the columns, keys and checks of the live ones: all of them, or
    /// nothing.
    ///
    /// # Errors
    /// When the schema exists, a row breaks a rule of its table, or the database does not answer.
    pub async fn write_to(&self, schema: &str) -> Result<(), RebuildError> {
        store::write(&self.database, schema, &self.state.tables()).await
    }
}

/// The columns of a row.
fn columns<'r>(table: &Table, row: &'r Value) -> Result<&'r Map<String, Value>, RebuildError> {
    row.as_object().ok_or_else(|| RebuildError::Table { table: table.name, what: format!("{row} is no row") })
}
