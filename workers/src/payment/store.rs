//! All SQL of the payment service: what is made from the tables' descriptions (`tables::statements`), the look at due calls, and
//! the rows that ask for a look at the provider.
//!
//! `payments` and `ledger` are state; `payment_calls` is runtime and lives only until an outcome is recorded, `payment_looks`
//! until a look has found no news.

use domain::charge::{Payment, Posting};
use jiff::Timestamp;
use outbox::Transaction;
use schemas::{OrderId, Time};
use tables::{PaymentCallRow, PaymentRow, PostingRow, TableRow};
use tokio_postgres::Client;

use super::OpenCall;
use crate::columns::unreadable;
use crate::prepared::{Changes, Form, Insert, Lock};
use consumer::{Cause, Database, Failure, Lanes, Working, Writes};

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

/// Orders for which an amount is held that lapses by then, whoever owns them.
pub(super) async fn load_lapsing(client: &outbox::Client, by: Time) -> Result<Vec<OrderId>, Failure> {
    let lapsing = "select order_id from payments where status = 'authorized' and expires_at <= $1 \
                   order by expires_at limit $2";
    let lapsing = client.prepare_cached(lapsing).await?;
    let rows = client.query(&lapsing, &[&by.to_timestamp(), &LAPSING_LIMIT]).await?;
    Ok(rows.iter().filter_map(|row| OrderId::new(row.get::<_, &str>(0)).ok()).collect())
}

/// The most orders that are read at once for which something lapses. Each is gone from there within seconds, while its lane has an
/// owner.
const LAPSING_LIMIT: i64 = 10_000;

/// The most rows of looks that are read at once.
const LOOKS_LIMIT: i64 = 2000;

/// A hint that nobody took for so long is none any more: it is of an order whose owner is gone, and its calls are looked up by
/// whoever owns them then.
const LOOKS_KEPT_MS: i64 = 3_600_000;

/// Orders whose payment is to be looked at by now, whoever owns them.
pub(super) async fn load_due_looks(client: &outbox::Client, now: Time) -> Result<Vec<OrderId>, Failure> {
    let due = "select order_id from payment_looks where due_at between $2 and $1 order by due_at limit $3";
    let (now, oldest) = (now.to_timestamp(), now.plus_ms(-LOOKS_KEPT_MS).to_timestamp());
    let due = client.prepare_cached(due).await?;
    let rows = client.query(&due, &[&now, &oldest, &LOOKS_LIMIT]).await?;
    Ok(rows.iter().filter_map(|row| OrderId::new(row.get::<_, &str>(0)).ok()).collect())
}

/// The channel on which it is told whose payment is to be looked at.
pub(super) fn looks_channel(schema: &str) -> String {
    format!("looks_{schema}")
}

/// A payment is to be looked at by whoever owns its order, who hears of it when this is committed.
pub(super) async fn want_look(database: &Database, order_id: &OrderId, now: Time) -> Result<(), Failure> {
    let client = database.client().await?;
    let want = "with wanted as (insert into payment_looks (order_id, due_at) values ($1, $2) \
                on conflict (order_id) do update set due_at = excluded.due_at, looks = 0 returning order_id) \
                select pg_notify($3, order_id) from wanted";
    let (want, old) = (
        client.prepare_cached(want).await?,
        client.prepare_cached("delete from payment_looks where due_at < $1").await?,
    );
    let channel = looks_channel(database.schema());
    client.execute(&want, &[&order_id.as_str(), &now.to_timestamp(), &channel]).await?;
    client.execute(&old, &[&now.plus_ms(-LOOKS_KEPT_MS).to_timestamp()]).await?;
    Ok(())
}

/// When the look was due, and how many there were.
pub(super) async fn look_row(database: &Database, order_id: &OrderId) -> Result<Option<(Timestamp, i32)>, Failure> {
    let client = database.client().await?;
    let find = client.prepare_cached("select due_at, looks from payment_looks where order_id = $1").await?;
    let row = client.query_opt(&find, &[&order_id.as_str()]).await?;
    Ok(row.map(|row| (row.get(0), row.get(1))))
}

/// The look that was due then is done: it is due again, or not. What was asked for meanwhile stays.
pub(super) async fn looked(
    database: &Database,
    order_id: &OrderId,
    due_at: Timestamp,
    again: Option<Time>,
) -> Result<(), Failure> {
    let client = database.client().await?;
    let (order_id, again) = (order_id.as_str(), again.map(Time::to_timestamp));
    match again {
        Some(again) => {
            let again_at =
                "update payment_looks set due_at = $3, looks = looks + 1 where order_id = $1 and due_at = $2";
            let again_at = client.prepare_cached(again_at).await?;
            client.execute(&again_at, &[&order_id, &due_at, &again]).await?;
        }
        None => {
            let done = client.prepare_cached("delete from payment_looks where order_id = $1 and due_at = $2").await?;
            client.execute(&done, &[&order_id, &due_at]).await?;
        }
    }
    Ok(())
}

/// The order of an authorization, by the provider's name for it.
pub(super) async fn order_of(database: &Database, reference: &str) -> Result<Option<OrderId>, Failure> {
    let client = database.client().await?;
    let find =
        client.prepare_cached("select order_id from payments where authorization_reference = $1 limit 1").await?;
    let row = client.query_opt(&find, &[&reference]).await?;
    Ok(row.and_then(|row| OrderId::new(row.get::<_, &str>(0)).ok()))
}

/// A payment and its call as they stand, without a lock: what is made of them is decided once more.
pub(super) async fn load_one(
    database: &Database,
    order_id: &OrderId,
) -> Result<(Option<Payment>, Option<OpenCall>), Failure> {
    let client = database.client().await?;
    let payment = format!("select {} from payments where order_id = $1", PaymentRow::column_list());
    let call = format!("select {} from payment_calls where order_id = $1", PaymentCallRow::column_list());
    let (payment, call) = (client.prepare_cached(&payment).await?, client.prepare_cached(&call).await?);
    // The call first: where it is gone, the payment has its outcome.
    let call = client.query_opt(&call, &[&order_id.as_str()]).await?;
    let payment = client.query_opt(&payment, &[&order_id.as_str()]).await?;
    let payment = payment.map(|row| PaymentRow::read(&row).map_err(unreadable)?.into_payment().map_err(unreadable));
    let call = call.map(|row| open_call(PaymentCallRow::read(&row).map_err(unreadable)?));
    Ok((payment.transpose()?, call.transpose()?))
}

fn call_row(open: &OpenCall, partitions: i32) -> PaymentCallRow {
    let Cause { id, trace_parent, .. } = &open.cause;
    PaymentCallRow::of(&open.call, partitions, id.as_deref(), trace_parent.as_deref())
}

fn open_call(mut row: PaymentCallRow) -> Result<OpenCall, Failure> {
    let cause = Cause { id: row.cause_id.take(), trace_parent: row.trace_parent.take(), ..Cause::default() };
    Ok(OpenCall { call: row.into_call().map_err(unreadable)?, cause })
}
