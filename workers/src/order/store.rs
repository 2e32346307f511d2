//! All SQL of the order service: set-based, one statement per kind of row, plans pinned to primary keys by `lateral`
//! (see `inventory::store`).
//!
//! Within a batch an order's lines are not read back: no decision needs them once the reservation was asked for.

use std::collections::BTreeMap;

use domain::saga::{Cancellation, ContentDigest, Order, Stage};
use outbox::{Expect, Transaction};
use provision::Timestamptz;
use schemas::{CommandId, CustomerId, OrderId, Time, partitioner};
use tokio_postgres::{Client, Row, Statement};

use crate::columns::{
    array_literal, awaiting_name, awaiting_named, column, get, get_time, number_array_literal, parsed, reason_name,
    reason_named,
};
use consumer::{Failure, Lanes, Working};

/// The statements of a lane transaction.
#[derive(Debug)]
pub struct Statements {
    lock_orders: Statement,
    insert_orders: Statement,
    insert_contents: Statement,
    update_orders: Statement,
}

impl Statements {
    pub(super) async fn prepare(client: &Client) -> Result<Self, tokio_postgres::Error> {
        let (lock_orders, insert_orders, insert_contents, update_orders) = tokio::try_join!(
            client.prepare(
                "select o.* from unnest ($1::text[]) as u (id), lateral ( \
                    select order_id, version, stage, awaiting, detail, cancel_reason, cancel_command_id, \
                           customer_id, placed_at, currency, total_minor, content, confirm_by, accepted_at, changed_at \
                    from orders where order_id = u.id for update) as o"
            ),
            client.prepare(
                "insert into orders (order_id, partition, version, stage, awaiting, detail, cancel_reason, \
                        cancel_command_id, customer_id, placed_at, currency, total_minor, content, confirm_by, \
                        accepted_at, changed_at) \
                 select * from unnest ($1::text[], $2::int[], $3::bigint[], $4::text[], $5::text[], $6::text[], \
                        $7::text[], $8::text[], $9::text[], $10::timestamptz[], $11::text[], $12::bigint[], \
                        $13::bytea[], $14::timestamptz[], $15::timestamptz[], $16::timestamptz[])"
            ),
            client.prepare(
                "insert into order_contents (order_id, skus, quantities, unit_prices_minor) \
                 select order_id, skus::text[], quantities::bigint[], prices::bigint[] \
                 from unnest ($1::text[], $2::text[], $3::text[], $4::text[]) as u (order_id, skus, quantities, prices)"
            ),
            // A row that is not at the expected version makes the count too small, and the division by zero raises.
            client.prepare(
                "with updated as ( \
                    update orders o set version = u.version, stage = u.stage, awaiting = u.awaiting, \
                        detail = u.detail, cancel_reason = u.cancel_reason, \
                        cancel_command_id = u.cancel_command_id, changed_at = u.changed_at \
                    from unnest ($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], \
                        $7::text[], $8::text[], $9::timestamptz[]) \
                        as u (id, expected, version, stage, awaiting, detail, cancel_reason, \
                              cancel_command_id, changed_at), lateral ( \
                        select x.ctid from orders x \
                        where x.order_id = u.id and x.version = u.expected offset 0) as t \
                    where o.ctid = t.ctid returning 1) \
                 select 1 / (count(*) = $10::bigint)::int from updated"
            ),
        )?;
        Ok(Statements { lock_orders, insert_orders, insert_contents, update_orders })
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
        for row in tx.query(&self.lock_orders, &[&ids]).await.map_err(Failure::of_outbox)? {
            let order = read_order(&row)?;
            orders.loaded(order.order_id.clone(), order.version, order);
        }
        Ok(orders)
    }

    pub(super) fn insert_orders(&self, tx: &mut Transaction<'_>, orders: &[Order], partitions: i32) {
        if orders.is_empty() {
            return;
        }
        let ids: Vec<String> = orders.iter().map(|order| order.order_id.as_str().to_owned()).collect();
        let homes: Vec<i32> = orders
            .iter()
            .map(|order| partitioner::partition_of(order.order_id.as_str().as_bytes(), partitions))
            .collect();
        tx.defer(
            &self.insert_orders,
            vec![
                Box::new(ids),
                Box::new(homes),
                column(orders, |order| order.version),
                column(orders, |order| order.stage.as_str()),
                column(orders, |order| awaiting_of(&order.stage)),
                column(orders, |order| detail_of(&order.stage)),
                column(orders, reason_of),
                column(orders, command_of),
                column(orders, |order| order.customer_id.as_str().to_owned()),
                column(orders, |order| Timestamptz(order.placed_at)),
                column(orders, |order| order.currency.clone()),
                column(orders, |order| order.total_minor),
                column(orders, |order| order.content.as_bytes().to_vec()),
                column(orders, |order| Timestamptz(order.confirm_by)),
                column(orders, |order| Timestamptz(order.accepted_at)),
                column(orders, |order| Timestamptz(order.changed_at)),
            ],
            Expect::Rows(orders.len() as u64),
        );
        tx.defer(
            &self.insert_contents,
            vec![
                column(orders, |order| order.order_id.as_str().to_owned()),
                column(orders, |order| array_literal(order.lines.iter().map(|line| line.sku.as_str()))),
                column(orders, |order| number_array_literal(order.lines.iter().map(|line| line.quantity))),
                column(orders, |order| number_array_literal(order.lines.iter().map(|line| line.unit_price_minor))),
            ],
            Expect::Rows(orders.len() as u64),
        );
    }

    pub(super) fn update_orders(&self, tx: &mut Transaction<'_>, orders: &[(i64, Order)]) {
        if orders.is_empty() {
            return;
        }
        let count = i64::try_from(orders.len()).unwrap_or(i64::MAX);
        tx.defer(
            &self.update_orders,
            vec![
                column(orders, |(_, order)| order.order_id.as_str().to_owned()),
                column(orders, |(expected, _)| *expected),
                column(orders, |(_, order)| order.version),
                column(orders, |(_, order)| order.stage.as_str()),
                column(orders, |(_, order)| awaiting_of(&order.stage)),
                column(orders, |(_, order)| detail_of(&order.stage)),
                column(orders, |(_, order)| reason_of(order)),
                column(orders, |(_, order)| command_of(order)),
                column(orders, |(_, order)| Timestamptz(order.changed_at)),
                Box::new(count),
            ],
            Expect::Rows(1),
        );
    }
}

/// Which orders still wait for a reply that their deadline covers.
const AWAITS_DEADLINE: &str = "(stage in ('placed', 'stock_reserved') \
    or awaiting in ('StockReservation', 'PaymentAuthorization') and stage = 'cancelling')";

/// Orders of a lane whose deadline passed after `from` and up to `now`, and which still wait for a reply that it covers.
pub(super) async fn load_due(
    client: &Client,
    lane: i32,
    from: Time,
    now: Time,
    limit: i64,
) -> Result<Vec<OrderId>, Failure> {
    let rows = client.query(&due_sql(), &[&lane, &from.to_timestamp(), &now.to_timestamp(), &limit]).await?;
    rows.iter().map(read_id).collect()
}

/// Orders of a lane that wait in the same way, were accepted after `now`, and are to be confirmed after `from`: by a clock
/// that was ahead.
pub(super) async fn load_ahead(
    client: &Client,
    lane: i32,
    now: Time,
    from: Time,
    limit: i64,
) -> Result<Vec<OrderId>, Failure> {
    let rows = client.query(&ahead_sql(), &[&lane, &from.to_timestamp(), &now.to_timestamp(), &limit]).await?;
    rows.iter().map(read_id).collect()
}

/// All orders of these lanes that are not finished, stuck ones included, by stage, with the oldest one's age in seconds.
/// Every stage has an entry, so that its gauge falls to 0.
pub(super) async fn count_unfinished(
    client: &Client,
    lanes: &Lanes,
    now: Time,
) -> Result<Vec<(&'static str, i64, i64)>, Failure> {
    let lanes: Vec<i32> = lanes.iter().copied().collect();
    let rows = client.query(COUNT_UNFINISHED, &[&lanes]).await?;
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

fn read_order(row: &Row) -> Result<Order, Failure> {
    let cancel_reason: Option<&str> = get(row, "cancel_reason")?;
    let cancel_command_id: Option<&str> = get(row, "cancel_command_id")?;
    let cancellation = match cancel_reason {
        None => None,
        Some(name) => Some(Cancellation {
            reason: parsed("cancel_reason", name, reason_named(name))?,
            command_id: match cancel_command_id {
                None => None,
                Some(text) => Some(parsed("cancel_command_id", text, CommandId::new(text).ok())?),
            },
        }),
    };
    let customer: &str = get(row, "customer_id")?;
    let content: &[u8] = get(row, "content")?;
    Ok(Order {
        order_id: read_id(row)?,
        version: get(row, "version")?,
        stage: read_stage(row)?,
        cancellation,
        customer_id: parsed("customer_id", customer, CustomerId::new(customer).ok())?,
        placed_at: get_time(row, "placed_at")?,
        currency: get(row, "currency")?,
        lines: Vec::new(),
        total_minor: get(row, "total_minor")?,
        content: ContentDigest::from_bytes(parsed("content", "bytes", content.try_into().ok())?),
        confirm_by: get_time(row, "confirm_by")?,
        accepted_at: get_time(row, "accepted_at")?,
        changed_at: get_time(row, "changed_at")?,
    })
}

fn read_stage(row: &Row) -> Result<Stage, Failure> {
    let awaiting: Option<&str> = get(row, "awaiting")?;
    let awaiting = awaiting.unwrap_or_default();
    let awaited = || parsed("awaiting", awaiting, awaiting_named(awaiting));
    let name: &str = get(row, "stage")?;
    Ok(match name {
        "placed" => Stage::Placed,
        "stock_reserved" => Stage::StockReserved,
        "confirmed" => Stage::Confirmed,
        "payment_captured" => Stage::PaymentCaptured,
        "completed" => Stage::Completed,
        "cancelling" => Stage::Cancelling { awaiting: awaited()? },
        "cancelled" => Stage::Cancelled,
        "stuck" => {
            Stage::Stuck { awaiting: awaited()?, detail: get::<Option<String>>(row, "detail")?.unwrap_or_default() }
        }
        other => return parsed("stage", other, None),
    })
}

fn awaiting_of(stage: &Stage) -> Option<&'static str> {
    match stage {
        Stage::Cancelling { awaiting } | Stage::Stuck { awaiting, .. } => Some(awaiting_name(*awaiting)),
        Stage::Placed
        | Stage::StockReserved
        | Stage::Confirmed
        | Stage::PaymentCaptured
        | Stage::Completed
        | Stage::Cancelled => None,
    }
}

fn detail_of(stage: &Stage) -> Option<String> {
    match stage {
        Stage::Stuck { detail, .. } => Some(detail.clone()),
        Stage::Placed
        | Stage::StockReserved
        | Stage::Confirmed
        | Stage::PaymentCaptured
        | Stage::Completed
        | Stage::Cancelling { .. }
        | Stage::Cancelled => None,
    }
}

fn reason_of(order: &Order) -> Option<&'static str> {
    order.cancellation.as_ref().map(|cancellation| reason_name(cancellation.reason))
}

fn command_of(order: &Order) -> Option<String> {
    order.cancellation.as_ref().and_then(|had| had.command_id.as_ref()).map(|id| id.as_str().to_owned())
}

#[cfg(test)]
mod plan_tests;
