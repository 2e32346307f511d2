//! What is counted for people: what became of orders, what an hour has brought in, which stock runs out; and a SKU's history.
//!
//! Counts of many orders are asked for by a span of time, so an index gives their rows and those of no other time; `console::counts`
//! asks seldom, and never while somebody waits for a page. Sums come as texts, because Postgres' are wider than any amount of ours.

use consumer::DatabaseError;
use domain::saga::Stage;
use domain::stock::Level;
use schemas::{Sku, Time, TopicName};
use tables::{StockRow, TableRow as _, Timestamptz};
use tokio_postgres::Row;

use super::{Reads, Said, unreadable};
use crate::position::Position;

/// Orders of one stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Became {
    /// The stage.
    pub stage: String,
    /// Why they were cancelled.
    pub reason: Option<String>,
    /// How many.
    pub orders: i64,
}

/// What the orders of an hour have brought in, in one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Takings {
    /// ISO 4217 code.
    pub currency: String,
    /// Orders that were accepted.
    pub orders: i64,
    /// Of those, orders that were cancelled since.
    pub cancelled: i64,
    /// What all of them are for; none where it does not fit into 64 bits, as of all amounts here.
    pub ordered_minor: Option<i64>,
    /// Of that, what those are for that were cancelled before any money was taken.
    pub called_off_minor: Option<i64>,
    /// What the others are for whose money is not taken: not yet, or it cannot be.
    pub open_minor: Option<i64>,
    /// How much was taken, of whatever became of the order later.
    pub captured_minor: Option<i64>,
    /// How much of that is, or may be, given back.
    pub refunded_minor: Option<i64>,
}

/// What was sold of a SKU, in one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sold {
    /// Which SKU.
    pub sku: String,
    /// ISO 4217 code.
    pub currency: String,
    /// Pieces of orders that were not cancelled.
    pub pieces: Option<i64>,
    /// What they cost.
    pub amount_minor: Option<i64>,
}

/// An order that is not finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Which order.
    pub order_id: String,
    /// Its stage.
    pub stage: String,
    /// Who orders.
    pub customer_id: String,
    /// When it was accepted.
    pub accepted_at: Time,
}

/// Money of an order that was undone: it was given back, and came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    /// Whose.
    pub order_id: String,
    /// ISO 4217 code.
    pub currency: String,
    /// How much.
    pub amount_minor: i64,
    /// When it came back.
    pub since: Time,
}

/// Something that was said of a SKU, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct SaidAt {
    /// When.
    pub at: Time,
    /// What.
    pub said: Said,
}

/// Parameters: stages; from when; that of cancelled orders, which have a reason.
pub(super) const BECAME: &str = "select s.stage, null::text as reason, o.orders from unnest ($1::text[]) as s (stage), lateral ( \
        select count(*) as orders from orders where stage = s.stage and accepted_at >= $2::timestamptz) as o where o.orders > 0 \
    union all select stage, cancel_reason, count(*) from orders where stage = $3::text and accepted_at >= $2::timestamptz \
        group by stage, cancel_reason";

/// Parameters: from when, and until before when.
pub(super) const TAKINGS: &str = "select o.currency, count(*), count(*) filter (where o.stage = 'cancelled'), sum(o.total_minor)::text, \
        (sum(o.total_minor) filter (where o.stage = 'cancelled' and p.amount_minor is null))::text, \
        (sum(o.total_minor) filter (where o.stage <> 'cancelled' and p.amount_minor is null))::text, \
        sum(p.amount_minor)::text, sum(p.refunded_minor)::text \
    from orders as o left join lateral (select amount_minor, refunded_minor from payments where order_id = o.order_id \
        and capture_version is not null and capture_failure is null offset 0) as p on true \
    where o.accepted_at >= $1::timestamptz and o.accepted_at < $2::timestamptz group by o.currency";

/// Parameters: from when, until before when, and how many.
pub(super) const BEST: &str = "select k.sku, o.currency, sum(k.quantity)::text, sum(k.quantity::numeric * k.price)::text \
    from orders as o, lateral (select skus, quantities, unit_prices_minor from order_contents where order_id = o.order_id \
        offset 0) as c, lateral unnest (c.skus, c.quantities, c.unit_prices_minor) as k (sku, quantity, price) \
    where o.accepted_at >= $1::timestamptz and o.accepted_at < $2::timestamptz and o.stage <> 'cancelled' \
    group by k.sku, o.currency order by sum(k.quantity) desc, k.sku, o.currency limit $3::bigint";

/// Parameters: SKU, how many of its newest orders are looked at, the stages, and how many orders are wanted.
pub(super) const WAITING: &str = "select x.order_id, x.stage, x.customer_id, x.accepted_at from ( \
        select accepted_at, order_id from order_skus where sku = $1::text order by accepted_at desc, order_id desc limit $2::bigint) as k, \
    lateral (select order_id, stage, customer_id, accepted_at from orders where order_id = k.order_id and stage = any ($3::text[]) \
        offset 0) as x \
    order by k.accepted_at desc, k.order_id desc limit $4::bigint";

/// Parameters: topic, SKU, how many.
pub(super) const SAID_LAST: &str = "select version, name, body, log_partition, log_offset, at from heard \
    where topic = $1 and key = $2 and version is not null order by log_offset desc limit $3";

/// Parameters: at most so many pieces, and how many SKUs.
fn scarce_sql() -> String {
    const LEFT: &str = "received - reserved - shipped - written_off + returned";
    let columns = StockRow::column_list();
    format!(
        "select {columns} from stock where received > 0 and {LEFT} <= $1::bigint order by {LEFT}, sku limit $2::bigint"
    )
}

/// Parameters: how many refunds that came back are looked at, the newest.
pub(super) const OWED: &str = "select h.key, o.currency, (p.amount_minor - p.refunded_minor)::bigint, h.at from ( \
        select key, at from heard where name = 'PaymentRefundReversed' order by at desc limit $1::bigint) as h, \
    lateral (select currency, stage from orders where order_id = h.key offset 0) as o, \
    lateral (select amount_minor, refunded_minor from payments where order_id = h.key and capture_version is not null \
        and capture_failure is null offset 0) as p \
    where o.stage = 'cancelled' and p.amount_minor > p.refunded_minor";

impl Reads {
    /// Orders that were undone and whose money came back, the oldest first: of the newest refunds that did, so many.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn owed(&self, looked_at: i64) -> Result<Vec<Owed>, DatabaseError> {
        let rows = self.rows(OWED, &[&looked_at]).await?;
        let of_row = |row: &Row| Owed {
            order_id: row.get(0),
            currency: row.get(1),
            amount_minor: row.get(2),
            since: row.get::<_, Timestamptz>(3).0,
        };
        let mut owed: Vec<Owed> = rows.iter().map(of_row).collect();
        owed.sort_by(|one, other| (&one.order_id, one.since).cmp(&(&other.order_id, other.since)));
        owed.dedup_by(|next, first| next.order_id == first.order_id);
        owed.sort_by_key(|owed| owed.since);
        Ok(owed)
    }

    /// What became of the orders that were accepted since then.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn became(&self, since: Time) -> Result<Vec<Became>, DatabaseError> {
        let cancelled = Stage::Cancelled.as_str();
        let stages: Vec<&str> = Stage::names().filter(|stage| *stage != cancelled).collect();
        let rows = self.rows(BECAME, &[&stages, &Timestamptz(since), &cancelled]).await?;
        let of_row = |row: &Row| Became { stage: row.get(0), reason: row.get(1), orders: row.get(2) };
        Ok(rows.iter().map(of_row).collect())
    }

    /// What the orders that were accepted in this time have brought in, by currency.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn takings(&self, from: Time, before: Time) -> Result<Vec<Takings>, DatabaseError> {
        let rows = self.rows(TAKINGS, &[&Timestamptz(from), &Timestamptz(before)]).await?;
        let of_row = |row: &Row| Takings {
            currency: row.get(0),
            orders: row.get(1),
            cancelled: row.get(2),
            ordered_minor: sum(row, 3),
            called_off_minor: sum(row, 4),
            open_minor: sum(row, 5),
            captured_minor: sum(row, 6),
            refunded_minor: sum(row, 7),
        };
        let mut takings: Vec<Takings> = rows.iter().map(of_row).collect();
        takings.sort_by(|one, other| one.currency.cmp(&other.currency));
        Ok(takings)
    }

    /// What was ordered most in this time, by pieces.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn best(&self, from: Time, before: Time, limit: i64) -> Result<Vec<Sold>, DatabaseError> {
        let rows = self.rows(BEST, &[&Timestamptz(from), &Timestamptz(before), &limit]).await?;
        let of_row =
            |row: &Row| Sold { sku: row.get(0), currency: row.get(1), pieces: sum(row, 2), amount_minor: sum(row, 3) };
        Ok(rows.iter().map(of_row).collect())
    }

    /// SKUs of which something came in once, and no more than this is left; the scarcest first. Goes through all of them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn scarce(&self, at_most: i64, limit: i64) -> Result<Vec<(Sku, Level)>, DatabaseError> {
        let rows = self.rows(&scarce_sql(), &[&at_most, &limit]).await?;
        let of_row = |row: &Row| StockRow::read(row).map_err(unreadable)?.into_level().map_err(unreadable);
        rows.iter().map(of_row).collect()
    }

    /// Of the newest orders with this SKU, so many of which are looked at, those that are not finished; the newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn waiting_with(&self, sku: &Sku, looked_at: i64, limit: i64) -> Result<Vec<Waiting>, DatabaseError> {
        let open = Stage::UNFINISHED.as_slice();
        let rows = self.found(WAITING, &[&sku.as_str(), &looked_at, &open, &limit]).await?;
        let of_row = |row: &Row| Waiting {
            order_id: row.get(0),
            stage: row.get(1),
            customer_id: row.get(2),
            accepted_at: row.get::<_, Timestamptz>(3).0,
        };
        Ok(rows.iter().map(of_row).collect())
    }

    /// What was said last of a SKU, without refusals, by its versions, the newest first. Inventory says an event again whose command
    /// is repeated: each is here once, as it was said first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn said_last(&self, sku: &Sku, limit: i64) -> Result<Vec<SaidAt>, DatabaseError> {
        let topic = TopicName::StockEvents;
        let rows = self.found(SAID_LAST, &[&topic.as_str(), &sku.as_str(), &limit]).await?;
        let of_row = |row: &Row| SaidAt {
            at: row.get::<_, Timestamptz>(5).0,
            said: Said {
                version: row.get(0),
                name: row.get(1),
                body: row.get(2),
                position: Position::of_event(topic, row.get(3), row.get(4)),
            },
        };
        let mut said: Vec<SaidAt> = rows.iter().map(of_row).collect();
        // By offset descending: of one version the last one is the first that was said.
        said.reverse();
        said.sort_by_key(|said| std::cmp::Reverse(said.said.version));
        said.dedup_by_key(|said| said.said.version);
        Ok(said)
    }
}

/// A sum; of nothing it is nothing.
fn sum(row: &Row, column: usize) -> Option<i64> {
    row.get::<_, Option<&str>>(column).map_or(Some(0), |text| text.parse().ok())
}
