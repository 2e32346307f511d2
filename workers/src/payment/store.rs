//! All SQL of the payment service: what is made from the tables' descriptions (`tables::statements`), and the look at due
//! calls.
//!
//! `payments` and `ledger` are state; `payment_calls` is runtime and lives only until an outcome is recorded.

use domain::charge::{Payment, Posting};
use outbox::Transaction;
use schemas::{OrderId, Time};
use tables::{PaymentCallRow, PaymentRow, PostingRow, TableRow as _};
use tokio_postgres::Client;

use super::OpenCall;
use crate::columns::unreadable;
use crate::prepared::{Delete, Insert, Lock, Update};
use consumer::{Cause, Failure, Lanes, Working};

/// The most due calls that are read at once.
pub(super) const DUE_LIMIT: i64 = 2000;

/// The statements of a lane transaction.
#[derive(Debug)]
pub struct Statements {
    lock_payments: Lock<PaymentRow>,
    lock_calls: Lock<PaymentCallRow>,
    insert_payments: Insert<PaymentRow>,
    update_payments: Update<PaymentRow>,
    insert_postings: Insert<PostingRow>,
    insert_calls: Insert<PaymentCallRow>,
    update_calls: Update<PaymentCallRow>,
    delete_calls: Delete<PaymentCallRow>,
}

impl Statements {
    pub(super) async fn prepare(client: &Client) -> Result<Self, tokio_postgres::Error> {
        Ok(Statements {
            lock_payments: Lock::prepare(client).await?,
            lock_calls: Lock::prepare(client).await?,
            insert_payments: Insert::prepare(client).await?,
            update_payments: Update::prepare(client).await?,
            insert_postings: Insert::prepare(client).await?,
            insert_calls: Insert::prepare(client).await?,
            update_calls: Update::prepare(client).await?,
            delete_calls: Delete::prepare(client).await?,
        })
    }

    /// Lock these payments, ascending, and read them.
    pub(super) async fn lock_payments(
        &self,
        tx: &Transaction<'_>,
        ids: &[&str],
    ) -> Result<Working<OrderId, Payment>, Failure> {
        let mut payments = Working::with_capacity(ids.len());
        if ids.is_empty() {
            return Ok(payments);
        }
        for row in self.lock_payments.rows(tx, &[&ids]).await? {
            let payment = row?.into_payment().map_err(unreadable)?;
            payments.loaded(payment.order_id.clone(), payment.version, payment);
        }
        Ok(payments)
    }

    /// Lock the calls of these payments, ascending, and read them.
    pub(super) async fn lock_calls(&self, tx: &Transaction<'_>, ids: &[&str]) -> Result<Vec<OpenCall>, Failure> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        self.lock_calls.rows(tx, &[&ids]).await?.map(|row| open_call(row?)).collect()
    }

    pub(super) fn insert_payments(&self, tx: &mut Transaction<'_>, rows: &[Payment]) {
        self.insert_payments.defer(tx, rows.iter().map(PaymentRow::of).collect());
    }

    /// Each with the version that it was loaded with.
    pub(super) fn update_payments(&self, tx: &mut Transaction<'_>, rows: &[(i64, Payment)]) {
        let rows = rows.iter().map(|(loaded, payment)| ([*loaded], PaymentRow::of(payment)));
        self.update_payments.defer(tx, rows.collect());
    }

    pub(super) fn insert_postings(&self, tx: &mut Transaction<'_>, rows: &[Posting]) {
        self.insert_postings.defer(tx, rows.iter().map(PostingRow::of).collect());
    }

    pub(super) fn insert_calls(&self, tx: &mut Transaction<'_>, rows: &[OpenCall], partitions: i32) {
        self.insert_calls.defer(tx, rows.iter().map(|open| call_row(open, partitions)).collect());
    }

    pub(super) fn update_calls(&self, tx: &mut Transaction<'_>, rows: &[OpenCall], partitions: i32) {
        self.update_calls.defer(tx, rows.iter().map(|open| ([], call_row(open, partitions))).collect());
    }

    pub(super) fn delete_calls(&self, tx: &mut Transaction<'_>, ids: &[OrderId]) {
        self.delete_calls.defer(tx, ids.iter().map(|id| id.as_str().to_owned()).collect());
    }
}

/// Calls of these lanes that are due, or due later than any call can be (`Call::is_due`), with their lanes; the longest due
/// first.
pub(super) async fn load_due_calls(
    client: &Client,
    lanes: &Lanes,
    now: Time,
    latest: Time,
) -> Result<Vec<(OpenCall, i32)>, Failure> {
    let lanes: Vec<i32> = lanes.iter().copied().collect();
    let sql = format!(
        "select {} from payment_calls where partition = any ($1) and (due_at <= $2 or due_at > $3) \
         order by due_at limit $4",
        PaymentCallRow::column_list(),
    );
    let rows = client.query(&sql, &[&lanes, &now.to_timestamp(), &latest.to_timestamp(), &DUE_LIMIT]).await?;
    let calls = rows.iter().map(|row| {
        let row = PaymentCallRow::read(row).map_err(unreadable)?;
        let lane = row.partition;
        Ok((open_call(row)?, lane))
    });
    calls.collect()
}

fn call_row(open: &OpenCall, partitions: i32) -> PaymentCallRow {
    let Cause { id, trace_parent } = &open.cause;
    PaymentCallRow::of(&open.call, partitions, id.as_deref(), trace_parent.as_deref())
}

fn open_call(mut row: PaymentCallRow) -> Result<OpenCall, Failure> {
    let cause = Cause { id: row.cause_id.take(), trace_parent: row.trace_parent.take() };
    Ok(OpenCall { call: row.into_call().map_err(unreadable)?, cause })
}
