//! All SQL of the order service: what is made from the tables' descriptions (`tables::statements`), and the look at deadlines
//! and unfinished orders.
//!
//! Within a batch an order's lines are not read back: no decision needs them once the reservation was asked for.

use std::collections::BTreeMap;

use domain::saga::Order;
use outbox::Transaction;
use schemas::{OrderId, Time};
use tables::{ContentsRow, OrderRow};
use tokio_postgres::{Client, Row};

use crate::columns::{get, get_time, parsed, unreadable};
use crate::prepared::{Changes, Form, Insert, Lock};
use consumer::{Failure, Lanes, Working, Writes};

/// The statements of a lane transaction.
#[derive(Debug)]
pub struct Statements {
    lock_orders: Lock<OrderRow>,
    insert_contents: Insert<ContentsRow>,
    orders: Changes<OrderRow>,
}

impl Statements {
    pub(super) async fn prepare(client: &Client) -> Result<Self, tokio_postgres::Error> {
        let lock_orders = Lock::prepare(client).await?;
        Ok(Statements { lock_orders, insert_contents: Insert::new(), orders: Changes::new() })
    }

    /// Lock these orders, ascending, and read them.
    pub(super) async fn lock_orders(
        &self,
        tx: &Transaction<'_>,
        ids: &[&str],
    ) -> Result<Working<OrderId, Order>, Failure> {
        let mut orders = Working::with_capacity(ids.len());
        if ids.is_empty() {
            return Ok(orders);
        }
        for row in self.lock_orders.rows(tx, ids).await? {
            let order = row?.into_order().map_err(unreadable)?;
            orders.loaded(order.order_id.clone(), order.version, order);
        }
        Ok(orders)
    }

    pub(super) fn write(
        &self,
        tx: &mut Transaction<'_>,
        orders: Working<OrderId, Order>,
        partitions: i32,
    ) -> Writes<OrderId, Order> {
        let form = Form::of(orders.len());
        let writes = self.orders.write(tx, orders, |order| OrderRow::of(order, partitions));
        self.insert_contents.rows(tx, form, writes.inserts.iter().map(ContentsRow::of).collect());
        writes
    }
}

/// Which orders still wait for a reply that their deadline covers.
const AWAITS_DEADLINE: &str = "(stage in ('placed', 'stock_reserved') \
    or awaiting in ('StockReservation', 'PaymentAuthorization') and stage = 'cancelling')";

/// Orders of a lane whose deadline passed after `from` and up to `now`, and which still wait for a reply that it covers.
pub(super) async fn load_due(
    client: &outbox::Client,
    lane: i32,
    from: Time,
    now: Time,
    limit: i64,
) -> Result<Vec<OrderId>, Failure> {
    let due = client.prepare_cached(&due_sql()).await?;
    let rows = client.query(&due, &[&lane, &from.to_timestamp(), &now.to_timestamp(), &limit]).await?;
    rows.iter().map(read_id).collect()
}

/// Orders of a lane that wait in the same way, were accepted after `now`, and are to be confirmed after `from`: by a clock
/// that was ahead.
pub(super) async fn load_ahead(
    client: &outbox::Client,
    lane: i32,
    now: Time,
    from: Time,
    limit: i64,
) -> Result<Vec<OrderId>, Failure> {
    let ahead = client.prepare_cached(&ahead_sql()).await?;
    let rows = client.query(&ahead, &[&lane, &from.to_timestamp(), &now.to_timestamp(), &limit]).await?;
    rows.iter().map(read_id).collect()
}

/// All orders of these lanes that are not finished, stuck ones included, by stage, with the oldest one's age in seconds.
/// Every stage has an entry, so that its gauge falls to 0.
pub(super) async fn count_unfinished(
    client: &outbox::Client,
    lanes: &Lanes,
    now: Time,
) -> Result<Vec<(&'static str, i64, i64)>, Failure> {
    let lanes: Vec<i32> = lanes.iter().copied().collect();
    let count = client.prepare_cached(COUNT_UNFINISHED).await?;
    let rows = client.query(&count, &[&lanes]).await?;
    let mut counts: BTreeMap<&'static str, (i64, i64)> = UNFINISHED.map(|stage| (stage, (0, 0))).into();
    for row in &rows {
        let stage: &str = get(row, "stage")?;
        let age_s = (now.as_micros() - get_time(row, "oldest")?.as_micros()) / 1_000_000;
        let known = counts.iter_mut().find(|(name, _)| **name == stage).map(|(_, count)| count);
        *parsed("stage", stage, known)? = (get(row, "orders")?, age_s);
    }
    Ok(counts.into_iter().map(|(stage, (count, age_s))| (stage, count, age_s)).collect())
}

fn due_sql() -> String {
    format!(
        "select order_id from orders \
         where unfinished_partition = $1 and confirm_by > $2 and confirm_by <= $3 and {AWAITS_DEADLINE} \
         order by confirm_by limit $4"
    )
}

fn ahead_sql() -> String {
    format!(
        "select order_id from orders \
         where unfinished_partition = $1 and confirm_by > $2 and accepted_at > $3 and {AWAITS_DEADLINE} \
         order by confirm_by limit $4"
    )
}

const COUNT_UNFINISHED: &str = "select stage, count(*) as orders, min(accepted_at) as oldest from orders \
    where unfinished_partition = any ($1) group by stage";

const UNFINISHED: [&str; 6] = ["placed", "stock_reserved", "confirmed", "payment_captured", "cancelling", "stuck"];

fn read_id(row: &Row) -> Result<OrderId, Failure> {
    let text: String = get(row, "order_id")?;
    parsed("order_id", &text, OrderId::new(text.clone()).ok())
}

#[cfg(test)]
mod plan_tests;
