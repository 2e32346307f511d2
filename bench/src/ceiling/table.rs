//! The reference ceiling's tables and statements.
//!
//! Plans are pinned to index scans in the order of the arrays (hash joins, merge joins and sequential scans are off, plans
//! generic), so rows that two stages touch are locked in ascending order and no plan depends on when statistics were
//! taken. There is no compare-and-set and no duplicate check: the ceiling has no logic.

use tokio_postgres::{Client, Statement};

use crate::error::{Doing, Result};
use crate::pipeline::PIECES;

/// How many SKUs there are.
pub(crate) const SKUS: u64 = 10_000;

/// Partitions of every topic; lanes are topic partitions.
pub(crate) const PARTITIONS: i32 = 12;

const TABLES: &str = "
create table orders (
    id bigint primary key, state smallint not null, version integer not null, customer text not null,
    currency text not null, total bigint not null, placed_at timestamptz not null, changed_at timestamptz not null,
    confirm_by timestamptz not null) with (fillfactor = 40);
create table order_lines (
    order_id bigint, line smallint, sku integer not null, quantity bigint not null, price bigint not null,
    primary key (order_id, line));
create table stock (
    sku integer primary key, received bigint not null, reserved bigint not null, shipped bigint not null)
    with (fillfactor = 40);
create table payments (
    order_id bigint primary key, state smallint not null, version integer not null, amount bigint not null,
    reference text, changed_at timestamptz not null) with (fillfactor = 40);
create table positions (
    stage smallint, partition integer, next_offset bigint not null, primary key (stage, partition))
    with (fillfactor = 10);
create table outbox (
    lane integer, sequence bigint, payload bytea not null, headers bytea not null, primary key (lane, sequence));";

const SESSION: &str = "
set plan_cache_mode = force_generic_plan; set enable_seqscan = off; set enable_hashjoin = off;
set enable_mergejoin = off; set jit = off;";

const INSERT_ORDERS: &str = "
insert into orders
select id, 1, 1, 'customer-' || id % 2000, 'USD', total, now(), now(), now() + interval '5 minutes'
from unnest($1::bigint[], $2::bigint[]) as new (id, total)";

const INSERT_LINES: &str = "
insert into order_lines
select * from unnest($1::bigint[], $2::smallint[], $3::integer[], $4::bigint[], $5::bigint[])";

const UPDATE_ORDERS: &str = "
update orders o set state = $2, version = o.version + 1, changed_at = now()
from unnest($1::bigint[]) as touched (id) where o.id = touched.id";

const RESERVE_STOCK: &str = "
update stock s set reserved = s.reserved + wanted.quantity
from unnest($1::integer[], $2::bigint[]) as wanted (sku, quantity) where s.sku = wanted.sku";

const COMMIT_STOCK: &str = "
update stock s set reserved = s.reserved - wanted.quantity, shipped = s.shipped + wanted.quantity
from unnest($1::integer[], $2::bigint[]) as wanted (sku, quantity) where s.sku = wanted.sku";

const INSERT_PAYMENTS: &str = "
insert into payments
select id, $2, 1, 1000 + id % 5000, null, now() from unnest($1::bigint[]) as new (id)";

const UPDATE_PAYMENTS: &str = "
update payments p set state = $2, version = p.version + 1, reference = 'reference-' || p.order_id, changed_at = now()
from unnest($1::bigint[]) as touched (id) where p.order_id = touched.id";

const MOVE_POSITIONS: &str = "
update positions p set next_offset = moved.next_offset
from unnest($2::integer[], $3::bigint[]) as moved (partition, next_offset)
where p.stage = $1 and p.partition = moved.partition";

const LOCK_LANES: &str = "select pg_advisory_xact_lock(1, lane) from unnest($1::integer[]) as lanes (lane)";

/// The head of each lane is read once; a row names its lane's place in `$1`, its lane and its place in the batch.
const APPEND: &str = "
with heads as materialized (
    select array_agg(coalesce((select max(o.sequence) from outbox o where o.lane = lanes.lane), 0) order by nth) as at
    from unnest($1::integer[]) with ordinality as lanes (lane, nth)),
added as (
    insert into outbox (lane, sequence, payload, headers)
    select new.lane, heads.at[new.place] + new.nth, new.payload, new.headers
    from unnest($2::integer[], $3::integer[], $4::bigint[], $5::bytea[], $6::bytea[])
         as new (place, lane, nth, payload, headers), heads)
select at from heads";

/// The statements of one connection.
pub(crate) struct Statements {
    /// (ids, totals)
    pub(crate) insert_orders: Statement,
    /// (order ids, lines, SKUs, quantities, prices)
    pub(crate) insert_lines: Statement,
    /// (ids, state)
    pub(crate) update_orders: Statement,
    /// (SKUs ascending, quantities)
    pub(crate) reserve_stock: Statement,
    /// (SKUs ascending, quantities)
    pub(crate) commit_stock: Statement,
    /// (ids, state)
    pub(crate) insert_payments: Statement,
    /// (ids, state)
    pub(crate) update_payments: Statement,
    /// (stage, partitions, next offsets)
    pub(crate) move_positions: Statement,
    /// (lanes ascending)
    pub(crate) lock_lanes: Statement,
    /// (lanes ascending, then per row: place of its lane, lane, nth of its lane, payload, headers) → heads
    pub(crate) append: Statement,
}

impl Statements {
    /// Settles the session and prepares everything.
    pub(crate) async fn prepare(client: &Client) -> Result<Self> {
        client.batch_execute(SESSION).await.doing("settling a session of the ceiling")?;
        let prepare = |text| async move { client.prepare(text).await.doing("preparing the ceiling's statements") };
        Ok(Statements {
            insert_orders: prepare(INSERT_ORDERS).await?,
            insert_lines: prepare(INSERT_LINES).await?,
            update_orders: prepare(UPDATE_ORDERS).await?,
            reserve_stock: prepare(RESERVE_STOCK).await?,
            commit_stock: prepare(COMMIT_STOCK).await?,
            insert_payments: prepare(INSERT_PAYMENTS).await?,
            update_payments: prepare(UPDATE_PAYMENTS).await?,
            move_positions: prepare(MOVE_POSITIONS).await?,
            lock_lanes: prepare(LOCK_LANES).await?,
            append: prepare(APPEND).await?,
        })
    }
}

/// Makes the tables in an empty database and fills stock and positions.
pub(crate) async fn create(client: &Client, stages: i16) -> Result<()> {
    client.batch_execute(TABLES).await.doing("making the ceiling's tables")?;
    let last_sku = i32::try_from(SKUS - 1).unwrap_or(i32::MAX);
    let stock = "insert into stock select sku, $2, 0, 0 from generate_series(0, $1::integer) as sku";
    client.execute(stock, &[&last_sku, &PIECES]).await.doing("filling the ceiling's stock")?;
    let positions = "insert into positions select stage, partition, 0 \
                     from generate_series(0, $1::integer) as stage, generate_series(0, $2::integer) as partition";
    let last = (i32::from(stages) - 1, PARTITIONS - 1);
    client.execute(positions, &[&last.0, &last.1]).await.doing("filling the ceiling's positions")?;
    client.batch_execute("vacuum analyze").await.doing("settling the ceiling's tables")?;
    client.batch_execute("checkpoint").await.doing("settling the ceiling's tables")
}

/// How many orders reached the last state, and whether their stock agrees: shipped pieces, pieces still reserved.
pub(crate) async fn sums(client: &Client) -> Result<(i64, i64, i64)> {
    let query = "select (select count(*) from orders where state = 9), \
                 sum(shipped)::bigint, sum(reserved)::bigint from stock";
    let row = client.query_one(query, &[]).await.doing("summing up the ceiling's tables")?;
    Ok((row.get(0), row.get(1), row.get(2)))
}
