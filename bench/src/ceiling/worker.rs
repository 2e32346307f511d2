//! Takes orders for one step in batches and writes each batch in one transaction, in one round trip.
//!
//! Everything from BEGIN to COMMIT is sent before the first answer comes; afterwards every answer is read and checked,
//! and what was appended is published from memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::time::{Instant, timeout_at};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Statement};

use super::batch::{Append, lines, positions, wanted};
use super::step::{Link, STEPS, Work};
use super::table::Statements;
use super::wire::{Arrival, Writer};
use crate::error::{BenchError, Doing, Result};

/// How long a step waits for a batch to fill; only the last orders of a run wait that long.
const GATHER: Duration = Duration::from_millis(100);

/// What all workers count.
#[derive(Default)]
pub(crate) struct Counts {
    /// Transactions committed.
    pub(crate) transactions: AtomicU64,
    /// Statements sent, BEGIN and COMMIT among them.
    pub(crate) statements: AtomicU64,
    /// Orders taken by all steps together.
    pub(crate) orders: AtomicU64,
}

/// One of the workers of a step.
pub(crate) struct Worker {
    /// The step's index.
    pub(crate) step: usize,
    /// Its own connection.
    pub(crate) client: Client,
    /// Where its orders come from, shared with the step's other workers.
    pub(crate) orders: Arc<Mutex<Receiver<Arrival>>>,
    /// Where they go when the step appends nothing.
    pub(crate) hand_on: Option<Sender<Arrival>>,
    /// Publishes what was appended.
    pub(crate) writer: Arc<Writer>,
    /// Shared counts.
    pub(crate) counts: Arc<Counts>,
    /// Orders per batch.
    pub(crate) batch: usize,
    /// Lines per order.
    pub(crate) lines: u32,
}

impl Worker {
    /// Runs until nobody sends orders any more.
    pub(crate) async fn run(self) -> Result<()> {
        let statements = Statements::prepare(&self.client).await?;
        let step = STEPS.get(self.step).ok_or_else(|| BenchError::other("no such step"))?;
        let mut orders = Vec::with_capacity(self.batch);
        loop {
            orders.clear();
            self.gather(&mut orders).await;
            if orders.is_empty() {
                return Ok(());
            }
            let append = Append::of(step, &orders, self.writer.filler());
            let heads = self.transact(step, &statements, &orders, &append).await?;
            self.publish(&append, &heads)?;
            if let Some(next) = &self.hand_on {
                for arrival in &orders {
                    let handed = Arrival { read_at: None, ..*arrival };
                    next.send(handed).await.map_err(|_| BenchError::other("the next step ended early"))?;
                }
            }
        }
    }

    async fn gather(&self, orders: &mut Vec<Arrival>) {
        let mut receiver = self.orders.lock().await;
        receiver.recv_many(orders, self.batch).await;
        let until = Instant::now() + GATHER;
        while !orders.is_empty() && orders.len() < self.batch {
            let more = timeout_at(until, receiver.recv_many(orders, self.batch - orders.len())).await;
            if matches!(more, Ok(0) | Err(_)) {
                return;
            }
        }
    }

    /// One transaction; the head of each lane before it.
    async fn transact(
        &self,
        step: &Link,
        statements: &Statements,
        orders: &[Arrival],
        append: &Append<'_>,
    ) -> Result<Vec<i64>> {
        let client = &self.client;
        let (partitions, offsets) = positions(orders);
        let number = i16::try_from(self.step).map_err(BenchError::other)?;
        let moving = async {
            if partitions.is_empty() {
                return Ok(0);
            }
            client.execute(&statements.move_positions, &[&number, &partitions, &offsets]).await
        };
        let (begun, written, moved, heads, committed) = futures_util::join!(
            client.batch_execute("begin"),
            self.write(step.work, statements, orders),
            moving,
            self.append(statements, append),
            client.batch_execute("commit"),
        );
        begun.doing("beginning a transaction of the ceiling")?;
        let (rows, sent) = written.doing("writing the tables of the ceiling")?;
        let moved = moved.doing("moving the positions of the ceiling")?;
        let heads = heads.doing("appending to the outbox of the ceiling")?;
        committed.doing("committing a transaction of the ceiling")?;
        if rows == 0 || usize::try_from(moved) != Ok(partitions.len()) || heads.len() != append.lanes.len() {
            return Err(BenchError::other(format!("step {} wrote {rows} rows, moved {moved} positions", self.step)));
        }
        let statements = 2 + sent + u64::from(!partitions.is_empty()) + if append.rows.is_empty() { 0 } else { 2 };
        self.counts.transactions.fetch_add(1, Ordering::Relaxed);
        self.counts.statements.fetch_add(statements, Ordering::Relaxed);
        self.counts.orders.fetch_add(u64::try_from(orders.len()).unwrap_or(0), Ordering::Relaxed);
        Ok(heads)
    }

    /// The step's own tables; how many rows were written, by how many statements.
    async fn write(
        &self,
        work: Work,
        statements: &Statements,
        orders: &[Arrival],
    ) -> std::result::Result<(u64, u64), Error> {
        let client = &self.client;
        let ids: Vec<i64> = orders.iter().map(|arrival| arrival.order).collect();
        let update = async |statement, state: i16| client.execute(statement, &[&ids, &state]).await;
        match work {
            Work::Place => {
                let lines = lines(orders, self.lines);
                let totals: Vec<i64> = ids.iter().map(|id| 1000 + id % 5000).collect();
                let new: [&(dyn ToSql + Sync); 2] = [&ids, &totals];
                let (a, b, c, d, e) = (&lines.orders, &lines.numbers, &lines.skus, &lines.quantities, &lines.prices);
                let details: [&(dyn ToSql + Sync); 5] = [a, b, c, d, e];
                let (placed, detailed, updated) = futures_util::join!(
                    client.execute(&statements.insert_orders, &new),
                    client.execute(&statements.insert_lines, &details),
                    update(&statements.update_orders, 2),
                );
                Ok((placed?.min(detailed?).min(updated?), 3))
            }
            Work::Order { state } => Ok((update(&statements.update_orders, state).await?, 1)),
            Work::Pay => Ok((update(&statements.insert_payments, 1).await?, 1)),
            Work::Payment { state } => Ok((update(&statements.update_payments, state).await?, 1)),
            Work::Reserve => self.move_stock(&statements.reserve_stock, orders).await,
            Work::Ship => self.move_stock(&statements.commit_stock, orders).await,
        }
    }

    async fn move_stock(&self, statement: &Statement, orders: &[Arrival]) -> std::result::Result<(u64, u64), Error> {
        let (skus, quantities) = wanted(orders, self.lines);
        Ok((self.client.execute(statement, &[&skus, &quantities]).await?, 1))
    }

    /// Locks the lanes, then, in a further statement, reads their heads and inserts the rows.
    async fn append(&self, statements: &Statements, append: &Append<'_>) -> std::result::Result<Vec<i64>, Error> {
        if append.rows.is_empty() {
            return Ok(Vec::new());
        }
        let places: Vec<i32> = append.rows.iter().map(|row| row.place).collect();
        let lanes: Vec<i32> = append.rows.iter().map(|row| row.lane).collect();
        let nths: Vec<i64> = append.rows.iter().map(|row| row.nth).collect();
        let payloads: Vec<&[u8]> = append.rows.iter().map(|row| &row.payload[..]).collect();
        let headers: Vec<&[u8]> = append.headers.iter().map(|headers| &headers[..]).collect();
        let rows: [&(dyn ToSql + Sync); 6] = [&append.lanes, &places, &lanes, &nths, &payloads, &headers];
        let (locked, appended) = futures_util::join!(
            self.client.execute(&statements.lock_lanes, &rows[..1]),
            self.client.query_one(&statements.append, &rows),
        );
        locked?;
        appended?.try_get(0)
    }

    /// Publishes committed rows straight from memory, with their sequences.
    fn publish(&self, append: &Append<'_>, heads: &[i64]) -> Result<()> {
        for row in &append.rows {
            let place = usize::try_from(row.place - 1).map_err(BenchError::other)?;
            let head = heads.get(place).ok_or_else(|| BenchError::other("a lane has no head"))?;
            self.writer.write(row.topic, row.order, &row.payload, head + row.nth)?;
        }
        Ok(())
    }
}
