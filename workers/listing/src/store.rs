//! The SQL of a list: the next orders behind one, found by an index, and which of them are wanted.
//!
//! Indexes are those that the service has for itself: each begins with the partition, so the first orders of each are taken
//! and merged. A filter picks among so many candidates and never looks for further ones, so that a statement ends.

use std::time::Duration;

use outbox::Client;
use schemas::{OrderId, Time};
use tables::{OrderRow, TableRow as _, Timestamptz};
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;

use super::{Cursor, ListError, Listed, Only, OrderFilter};

/// Orders that one statement looks at.
const CANDIDATES: i64 = 5_000;

/// What a page brought.
#[derive(Debug)]
pub(super) struct Page {
    /// Of the orders that were looked at, those that are wanted.
    pub(super) wanted: Vec<Listed>,
    /// Behind which one to go on; none at the end.
    pub(super) next: Option<Cursor>,
}

/// Which index leads through the orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Way {
    /// What it begins with.
    partition: &'static str,
    /// What orders it.
    due: &'static str,
    /// Which orders it holds.
    holds: &'static str,
}

const UNFINISHED: Way =
    Way { partition: "unfinished_partition", due: "confirm_by", holds: "unfinished_partition is not null" };
const ALL: Way = Way { partition: "partition", due: "confirm_by", holds: "true" };
const HELD: Way =
    Way { partition: "partition", due: "wake_at", holds: "wake_at is not null and unfinished_partition is not null" };
const OVERDUE: Way = Way { partition: "partition", due: "ship_by", holds: "ship_by is not null" };

impl Way {
    fn of(filter: &OrderFilter) -> Self {
        let is_finished = |stage: &String| ["completed", "cancelled"].contains(&stage.as_str());
        match filter.only {
            Some(Only::Held) => HELD,
            Some(Only::Overdue) => OVERDUE,
            None if filter.with_finished || filter.stages.iter().any(is_finished) => ALL,
            None => UNFINISHED,
        }
    }

    /// Parameters: due and order id of the last order, the latest due, how many; then stages, customer, time of the last change
    /// and SKU, null for any.
    fn sql(self) -> String {
        let Way { partition, due, holds } = self;
        let columns = OrderRow::column_list();
        format!(
            "with recursive partitions (n) as ( \
                 (select {partition} from orders where {holds} and {partition} >= 0 order by {partition} limit 1) \
                 union all \
                 select (select {partition} from orders where {holds} and {partition} > n order by {partition} limit 1) \
                 from partitions where n is not null), \
             candidates as ( \
                 select o.* from partitions, lateral ( \
                     select {columns}, {due} as due from orders \
                     where {partition} = n and {holds} and ({due}, order_id) > ($1, $2) and {due} <= $3 \
                     order by {due}, order_id limit $4) as o \
                 where n is not null order by due, order_id limit $4), \
             judged as ( \
                 select c.*, row_number () over (order by due, order_id) = count(*) over () as is_last, \
                     count(*) over () as looked_at, \
                     ($5::text[] is null or stage = any ($5)) and ($6::text is null or customer_id = $6) \
                     and ($7::timestamptz is null or changed_at <= $7) and ($8::text is null or $8 = any (l.skus)) as is_wanted \
                 from candidates c left join lateral ( \
                     select skus from order_contents x where x.order_id = c.order_id offset 0) as l on $8::text is not null) \
             select {columns}, due, is_last, is_wanted, looked_at from judged where is_wanted or is_last \
             order by due, order_id"
        )
    }
}

/// Read only, these tables, and no statement for longer than this. Without statistics a plan would sort a whole partition to
/// take its first orders: an index gives them in nearly the wanted order.
pub(super) async fn set_up(client: &Client, schema: &str, patience: Duration) -> Result<(), ListError> {
    let patience_ms = i64::try_from(patience.as_millis()).unwrap_or(i64::MAX).clamp(1, i64::from(i32::MAX));
    let settings = "select set_config ('search_path', quote_ident ($1), false), \
         set_config ('statement_timeout', $2, false), set_config ('default_transaction_read_only', 'on', false), \
         set_config ('plan_cache_mode', 'force_custom_plan', false), set_config ('enable_sort', 'off', false)";
    client.query_one(settings, &[&schema, &patience_ms.to_string()]).await.map(|_| ()).map_err(failed)
}

/// The next orders behind this one, or from the beginning.
pub(super) async fn page(
    client: &Client,
    filter: &OrderFilter,
    after: Option<&Cursor>,
    now: Time,
) -> Result<Page, ListError> {
    let way = Way::of(filter);
    let values = Values::of(filter, after, now);
    let rows = client.query(&way.sql(), &values.parameters()).await.map_err(failed)?;
    let mut page = Page { wanted: Vec::new(), next: None };
    for row in &rows {
        let listed = read(row)?;
        if get::<bool>(row, "is_last")? && get::<i64>(row, "looked_at")? >= CANDIDATES {
            page.next = Some(listed.cursor.clone());
        }
        if get::<bool>(row, "is_wanted")? {
            page.wanted.push(listed);
        }
    }
    Ok(page)
}

/// The parameters of [`Way::sql`].
struct Values {
    after: Timestamptz,
    after_id: String,
    until: Timestamptz,
    stages: Option<Vec<String>>,
    customer: Option<String>,
    unchanged_since: Option<Timestamptz>,
    sku: Option<String>,
}

impl Values {
    fn of(filter: &OrderFilter, after: Option<&Cursor>, now: Time) -> Self {
        let is_overdue = filter.only == Some(Only::Overdue);
        Values {
            after: Timestamptz(after.map_or(Time::EARLIEST, |cursor| cursor.due)),
            after_id: after.map_or_else(String::new, |cursor| cursor.order_id.to_string()),
            until: Timestamptz(if is_overdue { now } else { Time::MAX }),
            stages: (!filter.stages.is_empty()).then(|| filter.stages.clone()),
            customer: filter.customer.as_ref().map(ToString::to_string),
            unchanged_since: filter.unchanged_since.map(Timestamptz),
            sku: filter.sku.as_ref().map(ToString::to_string),
        }
    }

    fn parameters(&self) -> [&(dyn ToSql + Sync); 8] {
        let Values { after, after_id, until, stages, customer, unchanged_since, sku } = self;
        [after, after_id, until, &CANDIDATES, stages, customer, unchanged_since, sku]
    }
}

fn read(row: &Row) -> Result<Listed, ListError> {
    let unknown = |reason: String| ListError::Unknown(reason);
    let order = OrderRow::read(row).map_err(|unreadable| unknown(unreadable.to_string()))?;
    let order_id = OrderId::new(order.order_id.clone()).map_err(|error| unknown(error.to_string()))?;
    let order = order.into_order().map_err(|error| unknown(format!("order {order_id}: {error}")))?;
    let Timestamptz(due) = get(row, "due")?;
    Ok(Listed { order, cursor: Cursor { due, order_id } })
}

fn get<'r, T: tokio_postgres::types::FromSql<'r>>(row: &'r Row, column: &str) -> Result<T, ListError> {
    row.try_get(column).map_err(|error| ListError::Unknown(error.to_string()))
}

fn failed(error: tokio_postgres::Error) -> ListError {
    let reason = outbox::explain(&error);
    match error.code() {
        Some(&SqlState::UNDEFINED_TABLE | &SqlState::UNDEFINED_COLUMN) => ListError::NoTables {
            reason,
            advice: "`order-worker migrate` makes the tables of this version; --schema names theirs",
        },
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            ListError::NoTables { reason, advice: "docs/postgres.md has the rights of a role that reads" }
        }
        Some(_) | None => ListError::Database(reason),
    }
}

#[cfg(test)]
mod plan_tests;
