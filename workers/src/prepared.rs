//! The statements on a table of rows, as lane transactions run them.
//!
//! Their texts come from the table's description (`tables::statements`), in a form for one row and one for many. Reads are
//! prepared once per connection and carried out at once; changes are carried out with the commit, as one statement.

use std::hash::Hash;
use std::marker::PhantomData;

use outbox::{Change, Transaction};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};

use crate::columns::unreadable;
use consumer::{Failure, Working, Writes};
use tables::{Parameter, TableRow, Unknown, statements};

/// What identifies an aggregate: an order, a SKU.
pub trait Id: Clone + Eq + Hash + Ord + Into<String> {}

impl<K: Clone + Eq + Hash + Ord + Into<String>> Id for K {}

/// Locks rows by a key of one text and reads them.
#[derive(Debug)]
pub struct Lock<R> {
    single: Statement,
    many: Statement,
    row: PhantomData<fn() -> R>,
}

impl<R: TableRow<Key = (String,)>> Lock<R> {
    /// On this connection.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn prepare(client: &Client) -> Result<Self, tokio_postgres::Error> {
        let (single, many) = (statements::single::lock::<R>(), statements::lock::<R>());
        let (single, many) = tokio::try_join!(client.prepare(&single), client.prepare(&many))?;
        Ok(Lock { single, many, row: PhantomData })
    }

    /// Those that are there of these keys, which ascend.
    pub async fn rows(
        &self,
        tx: &Transaction<'_>,
        keys: &[&str],
    ) -> Result<impl Iterator<Item = Result<R, Failure>> + use<R>, Failure> {
        let rows = match keys {
            [key] => tx.query(&self.single, &[key]).await,
            _ => tx.query(&self.many, &[&keys]).await,
        };
        Ok(rows.map_err(Failure::of_outbox)?.into_iter().map(|row| R::read(&row).map_err(unreadable)))
    }

    /// The aggregates of a batch: those that are there of these ids, which ascend, each under its id with the version that it was
    /// loaded with. Nothing is asked for no ids.
    pub async fn aggregates<K: Id, V>(
        &self,
        tx: &Transaction<'_>,
        ids: &[&str],
        read: impl Fn(R) -> Result<V, Unknown>,
        known_as: impl Fn(&V) -> (&K, i64),
    ) -> Result<Working<K, V>, Failure> {
        let mut aggregates = Working::with_capacity(ids.len());
        if ids.is_empty() {
            return Ok(aggregates);
        }
        for row in self.rows(tx, ids).await? {
            let aggregate = read(row?).map_err(unreadable)?;
            let (id, version) = known_as(&aggregate);
            aggregates.loaded(id.clone(), version, aggregate);
        }
        Ok(aggregates)
    }
}

/// Reads rows by key and locks nothing.
#[derive(Debug)]
pub struct LookUp<R> {
    statement: Statement,
    row: PhantomData<fn() -> R>,
}

impl<R: TableRow> LookUp<R> {
    /// On this connection.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn prepare(client: &Client) -> Result<Self, tokio_postgres::Error> {
        LookUp::of(client, &statements::look_up::<R>()).await
    }

    /// A look-up of the table's own, which gives all columns.
    pub async fn of(client: &Client, sql: &str) -> Result<Self, tokio_postgres::Error> {
        Ok(LookUp { statement: client.prepare(sql).await?, row: PhantomData })
    }

    /// Those that are there.
    pub async fn rows(
        &self,
        tx: &Transaction<'_>,
        keys: &[&(dyn ToSql + Sync)],
    ) -> Result<impl Iterator<Item = Result<R, Failure>> + use<R>, Failure> {
        let rows = tx.query(&self.statement, keys).await.map_err(Failure::of_outbox)?;
        Ok(rows.into_iter().map(|row| R::read(&row).map_err(unreadable)))
    }
}

/// Inserts rows, with the commit.
#[derive(Debug)]
pub struct Insert<R> {
    forms: Forms,
    row: PhantomData<fn() -> R>,
}

impl<R: TableRow> Default for Insert<R> {
    fn default() -> Self {
        Insert::new()
    }
}

impl<R: TableRow> Insert<R> {
    /// The statements of the table.
    pub fn new() -> Self {
        let forms = Forms::new(statements::single::insert::<R>(), statements::insert::<R>());
        Insert { forms, row: PhantomData }
    }

    /// All of them, or the transaction fails.
    pub fn rows(&self, tx: &mut Transaction<'_>, form: Form, rows: Vec<R>) {
        match form.part(rows) {
            Part::Nothing => {}
            Part::Single(row) => tx.change(&self.forms.single, row.insert_values(), 1),
            Part::Many(rows) => {
                let count = rows.len() as u64;
                tx.change(&self.forms.many, R::insert_parameters(rows), count);
            }
        }
    }
}

/// Inserts rows, and changes those that are as they were loaded, or remembered, with the commit. None is sent for no rows.
#[derive(Debug)]
pub struct Changes<R> {
    /// Of new rows.
    pub insert: Insert<R>,
    update: Forms,
    delete: Forms,
    hold: Forms,
    find: Forms,
    row: PhantomData<fn() -> R>,
}

/// Which form the changes of a batch have: that of one row is cheaper, and that of many takes one too. It is the same for all
/// tables of a batch: a connection keeps every combination that it has seen prepared, so there must be few.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A batch of one aggregate.
    Single,
    /// Any other.
    Many,
}

impl Form {
    /// For a batch of so many aggregates.
    pub const fn of(aggregates: usize) -> Self {
        if aggregates == 1 { Form::Single } else { Form::Many }
    }

    /// The one row, if it is to have the form of one; else all, unless there are none.
    fn part<T>(self, mut rows: Vec<T>) -> Part<T> {
        match (self, rows.len()) {
            (_, 0) => Part::Nothing,
            (Form::Single, 1) => rows.pop().map_or(Part::Nothing, Part::Single),
            (Form::Single | Form::Many, _) => Part::Many(rows),
        }
    }
}

/// Rows in their form.
enum Part<T> {
    Nothing,
    Single(T),
    Many(Vec<T>),
}

/// A change in its two forms.
#[derive(Debug)]
struct Forms {
    single: Change,
    many: Change,
}

impl Forms {
    fn new(single: String, many: String) -> Self {
        Forms { single: Change::new(single), many: Change::new(many) }
    }
}

impl<R: TableRow> Default for Changes<R> {
    fn default() -> Self {
        Changes::new()
    }
}

impl<R: TableRow> Changes<R> {
    /// The statements of the table.
    pub fn new() -> Self {
        use statements::single;
        Changes {
            insert: Insert::new(),
            update: Forms::new(single::update::<R>(), statements::update::<R>()),
            delete: Forms::new(single::delete::<R>(), statements::delete::<R>()),
            hold: Forms::new(single::hold::<R>(), statements::hold::<R>()),
            find: Forms::new(single::find::<R>(), statements::find::<R>()),
            row: PhantomData,
        }
    }

    /// Write all of them, each with the guard that it was loaded with, or the transaction fails.
    pub fn update(&self, tx: &mut Transaction<'_>, form: Form, rows: Vec<(R::Guard, R)>) {
        match form.part(rows) {
            Part::Nothing => {}
            Part::Single((guard, row)) => tx.change(&self.update.single, row.update_values(guard), 1),
            Part::Many(rows) => {
                let count = rows.len() as u64;
                tx.change(&self.update.many, R::update_parameters(rows), count);
            }
        }
    }
}

impl<R: TableRow<Key = (String,)>> Changes<R> {
    /// Delete all of them, each with the guard that it was loaded with, or the transaction fails.
    pub fn delete(&self, tx: &mut Transaction<'_>, form: Form, rows: Vec<(R::Guard, String)>) {
        keyed::<R>(tx, &self.delete, form, rows);
    }

    /// Lock all of them, each with the guard that it was remembered with, or the transaction fails.
    pub fn hold(&self, tx: &mut Transaction<'_>, form: Form, rows: Vec<(R::Guard, String)>) {
        keyed::<R>(tx, &self.hold, form, rows);
    }

    /// None of these keys is there, or the transaction fails.
    pub fn lack(&self, tx: &mut Transaction<'_>, form: Form, keys: Vec<String>) {
        match form.part(keys) {
            Part::Nothing => {}
            Part::Single(key) => tx.change(&self.find.single, vec![Box::new(key)], 0),
            Part::Many(keys) => tx.change(&self.find.many, vec![Box::new(keys)], 0),
        }
    }
}

impl<R: TableRow<Key = (String,), Guard = [i64; 1]>> Changes<R> {
    /// What a batch has come to: new rows, changed ones, and, where they were recalled, those that must be as they are remembered
    /// or must not be there. All of it, or the transaction fails.
    pub fn write<K: Id, V>(
        &self,
        tx: &mut Transaction<'_>,
        aggregates: Working<K, V>,
        row: impl Fn(&V) -> R,
    ) -> Writes<K, V> {
        let form = Form::of(aggregates.len());
        let writes = aggregates.into_writes();
        let text = |id: &K| id.clone().into();
        self.lack(tx, form, writes.absent.iter().map(text).collect());
        self.hold(tx, form, writes.unchanged.iter().map(|(version, id, _)| ([*version], text(id))).collect());
        self.update(tx, form, writes.updates.iter().map(|(version, state)| ([*version], row(state))).collect());
        self.insert.rows(tx, form, writes.inserts.iter().map(row).collect());
        writes
    }
}

fn keyed<R: TableRow>(tx: &mut Transaction<'_>, forms: &Forms, form: Form, rows: Vec<(R::Guard, String)>) {
    match form.part(rows) {
        Part::Nothing => {}
        Part::Single((guard, key)) => {
            let guard = guard.as_ref().iter().map(|had| Box::new(*had) as Parameter);
            let parameters = std::iter::once(Box::new(key) as Parameter).chain(guard);
            tx.change(&forms.single, parameters.collect(), 1);
        }
        Part::Many(rows) => {
            let count = rows.len() as u64;
            let (guards, keys): (Vec<R::Guard>, Vec<String>) = rows.into_iter().unzip();
            let mut parameters: Vec<Parameter> = vec![Box::new(keys)];
            parameters.append(&mut tables::guard_parameters(&guards, R::GUARD.len()));
            tx.change(&forms.many, parameters, count);
        }
    }
}

#[cfg(test)]
mod plan_tests;
