//! A transaction that owns its end: append and COMMIT are one call, so nothing can come between them.
//!
//! Two round trips serve a whole unit of work: BEGIN travels with the first statement; deferred statements, the changes with the
//! append (one statement, see `change`), and COMMIT travel together. A transaction that reads nothing and defers nothing needs
//! neither BEGIN nor COMMIT: its one statement is the transaction. Every answer is read and checked, because a COMMIT after an
//! error answers ROLLBACK without being an error itself. Deliberately absent: savepoints (they would release lane locks early).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use deadpool_postgres::ClientWrapper;
use futures_util::FutureExt;
use tokio_postgres::error::Severity;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

use crate::append::Batch;
use crate::change::{self, Change, Changing, Last};
use crate::error::OutboxError;
use crate::hint::{Hint, LeadTerm};
use crate::lanes::Lane;
use crate::message::OutboxMessage;
use crate::metrics::add_statements;
use crate::pipeline::{Sent, Unsent, send_in_order};
use crate::statement::{Deferrable, Param, ToStatement};
use crate::store::Shared;

const BEGIN: &str = "begin isolation level read committed";

/// How many rows a deferred statement must give or change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Exactly so many.
    Rows(u64),
    /// Any number.
    Any,
}

/// Where one message was put.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The lane (topic id << 16 | partition).
    pub lane: Lane,
    /// Its sequence there.
    pub sequence: i64,
}

/// What a commit did.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Where each message was put, in the order in which they were given.
    pub places: Vec<Appended>,
}

/// An open transaction on a borrowed connection. Dropped unfinished, it is rolled back.
#[derive(Debug)]
pub struct Transaction<'c> {
    shared: &'c Shared,
    client: &'c ClientWrapper,
    deferred: Vec<Deferred>,
    changes: Vec<Changing>,
    /// Whether the session's own transactions are as BEGIN would make them.
    is_plain_session: bool,
    term: LeadTerm,
    /// Statements run so far, without BEGIN.
    queries: AtomicU64,
    begin_sent: AtomicBool,
    begun: AtomicBool,
    failed: AtomicBool,
    finished: bool,
}

/// `S`: the statement, as it was given or as it is sent.
#[derive(Debug)]
struct Deferred<S = Deferrable> {
    statement: S,
    params: Vec<Param>,
    expect: Expect,
}

/// The last statements of a transaction.
struct Finale {
    /// The changes, and the append where it can be one with them.
    changes: Statement,
    /// The append by itself, in a planted form.
    append: Option<Statement>,
}

/// The answer to one step of the commit.
enum Answer {
    Count(u64),
    Heads(Vec<i64>),
    Done,
}

impl<'c> Transaction<'c> {
    pub(crate) async fn begin(shared: &'c Shared, client: &'c mut ClientWrapper) -> Result<Self, OutboxError> {
        let client: &'c ClientWrapper = client;
        let failed = OutboxError::database("preparing the outbox's statement");
        client.prepare_cached(&shared.append_sql).await.map_err(failed)?;
        Ok(Self {
            shared,
            client,
            deferred: Vec::new(),
            changes: Vec::new(),
            is_plain_session: false,
            term: shared.hints.term(),
            queries: AtomicU64::new(0),
            begin_sent: AtomicBool::new(false),
            begun: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            finished: false,
        })
    }

    /// Says that a transaction which the session begins by itself has isolation level read committed and may write (`set
    /// default_transaction_isolation = 'read committed'`). Then a unit of work that reads nothing here and defers nothing is
    /// committed by a single statement. Were the word wrong, the statement would refuse: nothing is committed then.
    #[must_use]
    pub fn of_plain_session(mut self) -> Self {
        self.is_plain_session = true;
        self
    }

    /// Runs a statement now and returns its rows. Calls polled together (`join!`) travel together, in the order in which
    /// they are polled first. After an error the transaction can only be rolled back.
    ///
    /// The text of a statement is prepared first where the connection has not seen it yet: a round trip of its own, once.
    pub async fn query<S: ToStatement + ?Sized>(
        &self,
        statement: &S,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, OutboxError> {
        let statement = self.prepared(statement).await?;
        self.run(self.client.query(&statement, params)).await
    }

    /// The same, for a statement that gives exactly one row.
    ///
    /// # Errors
    /// [`OutboxError::RowCount`] when it gives none or several; the transaction goes on.
    pub async fn query_one<S: ToStatement + ?Sized>(
        &self,
        statement: &S,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Row, OutboxError> {
        let row = self.query_opt(statement, params).await?;
        row.ok_or(OutboxError::RowCount { expected: "one", got: 0 })
    }

    /// The same, for a statement that gives one row or none.
    ///
    /// # Errors
    /// [`OutboxError::RowCount`] when it gives several; the transaction goes on.
    pub async fn query_opt<S: ToStatement + ?Sized>(
        &self,
        statement: &S,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Row>, OutboxError> {
        let mut rows = self.query(statement, params).await?;
        match rows.len() {
            0 | 1 => Ok(rows.pop()),
            got => Err(OutboxError::RowCount { expected: "at most one", got }),
        }
    }

    /// Runs a statement now, as [`Transaction::query`] does, and returns how many rows it changed.
    pub async fn execute<S: ToStatement + ?Sized>(
        &self,
        statement: &S,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, OutboxError> {
        let statement = self.prepared(statement).await?;
        self.run(self.client.execute(&statement, params)).await
    }

    async fn prepared<S: ToStatement + ?Sized>(&self, statement: &S) -> Result<Statement, OutboxError> {
        statement.prepare(self.client).await.map_err(|source| {
            // Preparing is a statement too: after an error of one, an open transaction is lost.
            self.failed.store(true, Ordering::Release);
            OutboxError::Database { doing: "preparing a statement of a transaction", source }
        })
    }

    /// Sends a statement, behind BEGIN if it is the first.
    async fn run<T>(&self, sending: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, OutboxError> {
        self.queries.fetch_add(1, Ordering::Relaxed);
        let (began, answer) = if self.begin_sent.swap(true, Ordering::AcqRel) {
            (Ok(()), sending.await)
        } else {
            futures_util::future::join(self.client.batch_execute(BEGIN), sending).await
        };
        match (began, answer) {
            (Ok(()), Ok(answer)) => {
                self.begun.store(true, Ordering::Release);
                Ok(answer)
            }
            (Err(source), _) | (Ok(()), Err(source)) => {
                self.failed.store(true, Ordering::Release);
                Err(OutboxError::Database { doing: "running a statement of a transaction", source })
            }
        }
    }

    /// The connection, for preparing statements. Do not end the transaction through it.
    pub fn client(&self) -> &ClientWrapper {
        self.client
    }

    /// Adds a statement that is sent with the commit, in the order of the calls, before the lanes are locked. Because
    /// COMMIT travels with it, it must raise by itself when it finds something unexpected; `expect` is checked too, but
    /// only after the fact. The text of a statement is prepared at the commit where the connection has not seen it yet.
    pub fn defer<S: ToStatement + ?Sized>(&mut self, statement: &S, params: Vec<Param>, expect: Expect) {
        self.deferred.push(Deferred { statement: statement.deferrable(), params, expect });
    }

    /// Adds a change that is carried out with the append, in the order of the calls, behind what is deferred: cheaper than that,
    /// and the server itself refuses the whole where it does not give exactly so many rows. No two changes of a transaction may
    /// meet the same row.
    pub fn change(&mut self, change: &Change, params: Vec<Param>, rows: u64) {
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        self.changes.push(Changing { change: change.clone(), params, rows });
    }

    /// Sends the deferred statements, carries out the changes, locks the lanes, appends the messages and commits, in one round trip. `Ok` only if
    /// every answer is. The messages then go to the relay of this process, if it has one.
    ///
    /// # Errors
    /// After [`OutboxError::OutcomeUnknown`] the transaction may have been committed; after any other error it is not,
    /// except [`OutboxError::UnexpectedRows`], which says so.
    pub async fn commit(mut self, messages: Vec<OutboxMessage>) -> Result<Committed, OutboxError> {
        if self.failed.load(Ordering::Acquire) {
            return Err(OutboxError::TransactionFailed);
        }
        let shared = self.shared;
        let batch = Batch::new(&messages, &shared.lanes, shared.config.max_message_bytes, shared.fixed_bytes)?;
        let is_single = self.is_plain_session
            && self.deferred.is_empty()
            && !self.begin_sent.load(Ordering::Acquire)
            && shared.is_composed();
        // Were BEGIN to fail unnoticed, what follows it in the pipeline would commit statement by statement.
        if !is_single && !self.begun.load(Ordering::Acquire) {
            self.begin_sent.store(true, Ordering::Release);
            self.client.batch_execute(BEGIN).await.map_err(OutboxError::database("beginning a transaction"))?;
        }
        let deferred = self.take_deferred().await?;
        let finale = self.finale(&batch).await?;
        let steps = self.steps(&deferred, &finale, &batch, is_single);
        let statements = self.queries.load(Ordering::Relaxed) + u64::from(!is_single) + steps.len() as u64;
        let sent = send_in_order(steps).await;
        let answers = match sent {
            Sent::Stopped(source) => return Err(OutboxError::Database { doing: "sending a transaction", source }),
            Sent::All(answers) => answers,
        };
        self.finished = true;
        let heads = check(answers, &deferred)?;
        add_statements(&shared.config.schema, statements);
        let places = place(&batch, &heads);
        drop(batch);
        self.hand_over(&places, messages);
        Ok(Committed { places })
    }

    /// Ends the transaction without effect.
    pub async fn rollback(mut self) -> Result<(), OutboxError> {
        if self.begin_sent.load(Ordering::Acquire) {
            self.client.batch_execute("rollback").await.map_err(OutboxError::database("rolling back"))?;
        }
        self.finished = true;
        Ok(())
    }

    async fn take_deferred(&mut self) -> Result<Vec<Deferred<Statement>>, OutboxError> {
        let mut ready = Vec::with_capacity(self.deferred.len());
        for Deferred { statement, params, expect } in std::mem::take(&mut self.deferred) {
            let prepared = statement.prepared(self.client).await;
            let statement = prepared.map_err(OutboxError::database("preparing a deferred statement"))?;
            ready.push(Deferred { statement, params, expect });
        }
        Ok(ready)
    }

    /// The statements that carry out changes and append.
    async fn finale(&self, batch: &Batch<'_>) -> Result<Finale, OutboxError> {
        let texts = self.shared.finale_texts(&self.changes, batch);
        let prepare = |text: String| async move { self.client.prepare_cached(&text).await };
        let failed = || OutboxError::database("preparing the append");
        let append = match texts.append {
            Some(text) => Some(prepare(text).await.map_err(failed())?),
            None => None,
        };
        Ok(Finale { changes: prepare(texts.changes).await.map_err(failed())?, append })
    }

    fn steps<'s>(
        &'s self,
        deferred: &'s [Deferred<Statement>],
        finale: &'s Finale,
        batch: &'s Batch<'s>,
        is_single: bool,
    ) -> Vec<Unsent<'s, Answer>> {
        let client = self.client;
        let mut steps: Vec<Unsent<'s, Answer>> = Vec::with_capacity(deferred.len() + 3);
        for one in deferred {
            steps.push(Box::pin(async move {
                let params = one.params.iter().map(|p| -> &(dyn ToSql + Sync) { &**p });
                client.execute_raw(&one.statement, params.collect::<Vec<_>>()).await.map(Answer::Count)
            }));
        }
        match &finale.append {
            None if batch.lanes.is_empty() => steps.push(Box::pin(self.heads(&finale.changes, Last::Guard))),
            None => steps.push(Box::pin(self.heads(&finale.changes, Last::Append(batch)))),
            Some(append) => {
                steps.push(Box::pin(self.heads(&finale.changes, Last::Guard).map(|_| Ok(Answer::Done))));
                steps.push(Box::pin(self.append(append, batch)));
            }
        }
        if !is_single {
            steps.push(Box::pin(client.batch_execute("commit").map(|r| r.map(|()| Answer::Done))));
        }
        steps
    }

    async fn heads(&self, statement: &Statement, last: Last<'_>) -> Result<Answer, tokio_postgres::Error> {
        let row = self.client.query_one(statement, &change::parameters(&self.changes, last)).await?;
        row.try_get::<_, Option<Vec<i64>>>(0).map(|heads| Answer::Heads(heads.unwrap_or_default()))
    }

    async fn append(&self, statement: &Statement, batch: &Batch<'_>) -> Result<Answer, tokio_postgres::Error> {
        self.client.query_one(statement, &batch.parameters()).await?.try_get(0).map(Answer::Heads)
    }

    fn hand_over(&self, places: &[Appended], messages: Vec<OutboxMessage>) {
        let hints = places.iter().zip(messages);
        let hints = hints.map(|(place, message)| Hint { lane: place.lane, sequence: place.sequence, message });
        self.shared.hints.hand(self.term, hints.collect());
    }
}

impl Drop for Transaction<'_> {
    /// The first poll of the future puts ROLLBACK on the wire, in front of whatever uses the connection next; if the
    /// connection is closed, the server rolls back by itself.
    fn drop(&mut self) {
        if self.begin_sent.load(Ordering::Acquire) && !self.finished {
            let _sent = self.client.batch_execute("rollback").now_or_never();
        }
    }
}

/// Finds the first failure among the answers, else the heads of the lanes.
fn check(
    answers: Vec<Result<Answer, tokio_postgres::Error>>,
    deferred: &[Deferred<Statement>],
) -> Result<Vec<i64>, OutboxError> {
    let last = answers.len().saturating_sub(1);
    let mut heads = Vec::new();
    let mut unexpected = None;
    for (index, answer) in answers.into_iter().enumerate() {
        match answer {
            Ok(Answer::Done) => {}
            Ok(Answer::Heads(found)) => heads = found,
            Ok(Answer::Count(got)) => {
                if let Some(Expect::Rows(expected)) = deferred.get(index).map(|d| d.expect)
                    && expected != got
                {
                    unexpected.get_or_insert(OutboxError::UnexpectedRows { expected, got });
                }
            }
            Err(source) if leaves_open(&source, index == last) => return Err(OutboxError::OutcomeUnknown { source }),
            Err(source) => return Err(OutboxError::Database { doing: "committing", source }),
        }
    }
    unexpected.map_or(Ok(heads), Err)
}

/// Whether an error may hide a successful COMMIT: no answer at all, or a session that died while committing.
fn leaves_open(error: &tokio_postgres::Error, at_commit: bool) -> bool {
    match error.as_db_error() {
        None => true,
        Some(server) => at_commit && server.parsed_severity() != Some(Severity::Error),
    }
}

fn place(batch: &Batch<'_>, heads: &[i64]) -> Vec<Appended> {
    let places = batch.slots.iter().zip(&batch.ordinals).filter_map(|(slot, ordinal)| {
        let index = usize::try_from(*slot).ok()?.checked_sub(1)?;
        Some(Appended { lane: *batch.lanes.get(index)?, sequence: heads.get(index)? + ordinal })
    });
    places.collect()
}
