//! All SQL of the order service: what is made from the tables' descriptions (`tables::statements`), and the look at deadlines
//! and unfinished orders.
//!
//! Within a batch an order's lines are only read back where something is done to them: no other decision needs them once the
//! reservation was asked for.

use std::collections::BTreeMap;

use domain::saga::{Order, Stage};
use outbox::Transaction;
use schemas::{OrderId, Time};
use tables::{ContentsRow, OrderRow, Timestamptz};
use tokio_postgres::{Client, Row};

use crate::columns::{get, get_time, parsed, unreadable};
use crate::prepared::{Changes, Form, Insert, Lock, LookUp};
use consumer::{Failure, Lanes, Working, Writes};

/// The statements of a lane transaction.
#[derive(Debug)]
pub struct Statements {
    lock_orders: Lock<OrderRow>,
    look_up_contents: LookUp<ContentsRow>,
    insert_contents: Insert<ContentsRow>,
    orders: Changes<OrderRow>,
}

impl Statements {
    pub(super) async fn prepare(client: &Client) -> Result<Self, tokio_postgres::Error> {
        let (lock_orders, look_up_contents) = (Lock::prepare(client).await?, LookUp::prepare(client).await?);
        Ok(Statements { lock_orders, look_up_contents, insert_contents: Insert::new(), orders: Changes::new() })
    }

    /// Lock these orders, ascending, and read them.
    pub(super) async fn lock_orders(
        &self,
        tx: &Transaction<'_>,
        ids: &[&str],
    ) -> Result<Working<OrderId, Order>, Failure> {
        self.lock_orders.aggregates(tx, ids, OrderRow::into_order, |order| (&order.order_id, order.version)).await
    }

    /// Read the lines of these orders, which are locked, into them.
    pub(super) async fn load_lines(
        &self,
        tx: &Transaction<'_>,
        ids: &[&str],
        orders: &mut Working<OrderId, Order>,
    ) -> Result<(), Failure> {
        if ids.is_empty() {
            return Ok(());
        }
        for row in self.look_up_contents.rows(tx, &[&ids]).await? {
            let (order_id, lines) = row?.into_lines().map_err(unreadable)?;
            orders.complete(&order_id, |order| order.lines = lines);
        }
        Ok(())
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

/// What the gauges say of some lanes.
pub(super) struct Gauges {
    /// By stage: how many orders are not finished, stuck ones included, and the oldest one's age in seconds.
    pub(super) unfinished: Vec<(&'static str, i64, i64)>,
    /// How many orders should have been shipped, and for how many seconds the oldest of them waits beyond that.
    pub(super) overdue: (i64, i64),
    /// How many orders are held.
    pub(super) held: i64,
}

/// Count the orders of these lanes.
pub(super) async fn count(client: &outbox::Client, lanes: &Lanes, now: Time) -> Result<Gauges, Failure> {
    let numbers: Vec<i32> = lanes.iter().copied().collect();
    let (overdue, held) = (client.prepare_cached(COUNT_OVERDUE).await?, client.prepare_cached(COUNT_HELD).await?);
    let row = client.query_one(&overdue, &[&numbers, &now.to_timestamp()]).await?;
    let late_s = match get::<Option<Timestamptz>>(&row, "oldest")? {
        Some(Timestamptz(oldest)) => (now.as_micros() - oldest.as_micros()) / 1_000_000,
        None => 0,
    };
    let overdue = (get(&row, "orders")?, late_s);
    let held = get(&client.query_one(&held, &[&numbers]).await?, "orders")?;
    Ok(Gauges { unfinished: count_unfinished(client, lanes, now).await?, overdue, held })
}

/// All orders of these lanes that are not finished, stuck ones included, by stage, with the oldest one's age in seconds.
/// Every stage has an entry, so that its gauge falls to 0.
async fn count_unfinished(
    client: &outbox::Client,
    lanes: &Lanes,
    now: Time,
) -> Result<Vec<(&'static str, i64, i64)>, Failure> {
    let lanes: Vec<i32> = lanes.iter().copied().collect();
    let count = client.prepare_cached(COUNT_UNFINISHED).await?;
    let rows = client.query(&count, &[&lanes]).await?;
    let mut counts: BTreeMap<&'static str, (i64, i64)> = Stage::UNFINISHED.map(|stage| (stage, (0, 0))).into();
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
        "select order_id from ( \
             (select order_id, confirm_by as due from orders \
              where unfinished_partition = $1 and confirm_by > $2 and confirm_by <= $3 and {AWAITS_DEADLINE} \
              order by confirm_by limit $4) \
             union all \
             (select order_id, wake_at from orders where partition = $1 and wake_at > $2 and wake_at <= $3 \
              order by wake_at limit $4)) as d \
         order by due limit $4"
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

const COUNT_OVERDUE: &str = "select count(*) as orders, min(ship_by) as oldest from orders \
    where partition = any ($1) and ship_by <= $2";

/// A hold is what wakes an order that is not finished.
const COUNT_HELD: &str = "select count(*) as orders from orders \
    where partition = any ($1) and wake_at is not null and unfinished_partition is not null";

fn read_id(row: &Row) -> Result<OrderId, Failure> {
    let text: String = get(row, "order_id")?;
    parsed("order_id", &text, OrderId::new(text.clone()).ok())
}

#[cfg(test)]
mod plan_tests;
