//! All SQL of the payment service: what is made from the tables' descriptions (`tables::statements`), and the look at due
//! calls.
//!
//! `payments` and `ledger` are state; `payment_calls` is runtime and lives only until an outcome is recorded.

use domain::charge::{Payment, Posting};
use outbox::Transaction;
use schemas::{OrderId, Time};
use tables::{PaymentCallRow, PaymentRow, PostingRow, TableRow};
use tokio_postgres::Client;

use super::OpenCall;
use crate::columns::unreadable;
use crate::prepared::{Changes, Form, Insert, Lock};
use consumer::{Cause, Failure, Lanes, Working, Writes};

/// The most due calls that are read at once.
pub(super) const DUE_LIMIT: i64 = 2000;

/// The statements of a lane transaction.
#[derive(Debug)]
pub struct Statements {
    lock_payments: Lock<PaymentRow>,
    lock_calls: Lock<PaymentCallRow>,
    payments: Changes<PaymentRow>,
    insert_postings: Insert<PostingRow>,
    calls: Changes<PaymentCallRow>,
}

/// The guard of a stored call.
pub(super) type Guard = <PaymentCallRow as TableRow>::Guard;

/// What becomes of calls in a batch, each ascending by order; what was stored comes with its guard.
#[derive(Debug, Default)]
pub(super) struct CallWrites {
    pub(super) opened: Vec<OpenCall>,
    pub(super) changed: Vec<(Guard, OpenCall)>,
    pub(super) closed: Vec<(Guard, OrderId)>,
    /// Recalled and not changed.
    pub(super) unchanged: Vec<(Guard, OpenCall)>,
    /// Recalled as not being there, and not opened.
    pub(super) absent: Vec<OrderId>,
}

impl Statements {
    pub(super) async fn prepare(client: &Client) -> Result<Self, tokio_postgres::Error> {
        Ok(Statements {
            lock_payments: Lock::prepare(client).await?,
            lock_calls: Lock::prepare(client).await?,
            payments: Changes::new(),
            insert_postings: Insert::new(),
            calls: Changes::new(),
        })
    }

    /// Lock these payments, ascending, and read them.
    pub(super) async fn lock_payments(
        &self,
        tx: &Transaction<'_>,
        ids: &[&str],
    ) -> Result<Working<OrderId, Payment>, Failure> {
        self.lock_payments
            .aggregates(tx, ids, PaymentRow::into_payment, |payment| (&payment.order_id, payment.version))
            .await
    }

    /// Lock the calls of these payments, ascending, and read them.
    pub(super) async fn lock_calls(&self, tx: &Transaction<'_>, ids: &[&str]) -> Result<Vec<OpenCall>, Failure> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        self.lock_calls.rows(tx, ids).await?.map(|row| open_call(row?)).collect()
    }

    pub(super) fn write_payments(
        &self,
        tx: &mut Transaction<'_>,
        payments: Working<OrderId, Payment>,
        postings: &[Posting],
    ) -> Writes<OrderId, Payment> {
        let writes = self.payments.write(tx, payments, PaymentRow::of);
        self.insert_postings.rows(tx, Form::Many, postings.iter().map(PostingRow::of).collect());
        writes
    }

    pub(super) fn write_calls(&self, tx: &mut Transaction<'_>, form: Form, writes: &CallWrites, partitions: i32) {
        let CallWrites { opened, changed, closed, unchanged, absent } = writes;
        let id = |id: &OrderId| id.as_str().to_owned();
        self.calls.lack(tx, form, absent.iter().map(id).collect());
        self.calls.hold(tx, form, unchanged.iter().map(|(had, open)| (*had, id(&open.call.order_id))).collect());
        self.calls.update(tx, form, changed.iter().map(|(had, open)| (*had, call_row(open, partitions))).collect());
        self.calls.delete(tx, form, closed.iter().map(|(had, order_id)| (*had, id(order_id))).collect());
        self.calls.insert.rows(tx, form, opened.iter().map(|open| call_row(open, partitions)).collect());
    }
}

/// Calls of these lanes that are due, or due later than any call can be (`Call::is_due`), with their lanes; the longest due
/// first.
pub(super) async fn load_due_calls(
    client: &outbox::Client,
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
    let due = client.prepare_cached(&sql).await?;
    let rows = client.query(&due, &[&lanes, &now.to_timestamp(), &latest.to_timestamp(), &DUE_LIMIT]).await?;
    let calls = rows.iter().map(|row| {
        let row = PaymentCallRow::read(row).map_err(unreadable)?;
        let lane = row.partition;
        Ok((open_call(row)?, lane))
    });
    calls.collect()
}

fn call_row(open: &OpenCall, partitions: i32) -> PaymentCallRow {
    let Cause { id, trace_parent, .. } = &open.cause;
    PaymentCallRow::of(&open.call, partitions, id.as_deref(), trace_parent.as_deref())
}

fn open_call(mut row: PaymentCallRow) -> Result<OpenCall, Failure> {
    let cause = Cause { id: row.cause_id.take(), trace_parent: row.trace_parent.take(), ..Cause::default() };
    Ok(OpenCall { call: row.into_call().map_err(unreadable)?, cause })
}
