//! All that is asked of the read model, with its SQL. Each row comes with the position at which it stands.
//!
//! Lists go from the newest order backwards, a page at a time: each begins behind the last order of the one before, so a page costs
//! the same wherever it is. Which index a list goes by is decided here, by the narrowest of its filters; the others are looked at
//! row by row.

mod figures;

use std::collections::HashSet;
use std::pin::pin;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use consumer::{Database, DatabaseError};
use domain::charge::Payment;
use domain::saga::{Order, Stage};
use futures_util::TryStreamExt as _;
use outbox::inbox::{Inbox, TopicPartition};
use schemas::{OrderId, Time, TopicName};
use tables::{ContentsRow, OrderRow, PaymentRow, TableRow as _, Timestamptz};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

pub use figures::{Became, Owed, SaidAt, Sold, Takings, Waiting};

use super::shared::Shared;
use super::together::Together;
use crate::placed::Placed;
use crate::position::Position;

mod history;
mod stock;

pub use history::Told;

/// Between two looks for a position: first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// A page is read in the order of an index, and ends when it is full. Nothing is collected and sorted first.
pub const SESSION: &str = "set enable_bitmapscan = off; set enable_sort = off";

/// The most events that are read at once.
const HEARD_AT_ONCE: i64 = 500;

/// The read model, for whoever asks; cheap to clone.
#[derive(Clone)]
pub struct Reads {
    database: Database,
    shared: Arc<Shared>,
    placing: Arc<Together>,
    placed: Arc<Placed>,
    inbox: Inbox,
    topic_prefix: String,
}

/// Something of the read model, and the position at which it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing<T> {
    /// What.
    pub what: T,
    /// Of the last thing that was said about it; none where nothing was.
    pub position: Option<Position>,
}

/// Which orders.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// Of this customer.
    pub customer: Option<String>,
    /// In this stage.
    pub stage: Option<String>,
    /// With this SKU.
    pub sku: Option<String>,
    /// Accepted no earlier.
    pub from: Option<Time>,
    /// Accepted earlier.
    pub before: Option<Time>,
    /// Behind this order, by when it was accepted, and which.
    pub behind: Option<(Time, String)>,
}

/// Something that was said.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    /// The version that it made; none of a refusal.
    pub version: Option<i64>,
    /// The message's name.
    pub name: String,
    /// What, as JSON.
    pub body: String,
    /// Where.
    pub position: Position,
}

/// Orders of one stage that are not finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// The stage.
    pub stage: String,
    /// How many.
    pub orders: i64,
    /// When the oldest of them was accepted.
    pub oldest: Time,
}

const EACH_ORDER: &str = "select order_id from orders limit $1";

const WHICH_ORDERS: &str = "select order_id from orders where order_id = any ($1::text[])";

static ONE_ORDER: LazyLock<String> = LazyLock::new(|| {
    standing_sql(&format!("select {} from orders where order_id = $1 offset 0", OrderRow::column_list()))
});

const OPEN_ORDERS: &str = "select s.stage, o.orders, o.oldest from unnest ($1::text[]) as s (stage), lateral ( \
    select count(*) as orders, min(accepted_at) as oldest from orders where stage = s.stage) as o where o.orders > 0";

const ONE_PAYMENT_OF: &str = "from payments where order_id = $1";

const SAID_SINCE: &str = "select version, name, body, log_partition, log_offset from heard \
    where topic = $1 and key = $2 and version > $3 order by log_offset limit $4";

const ANSWER: &str = "select version, name, body, log_partition, log_offset from heard \
    where topic = $1 and key = $2 and cause = $3 order by log_offset limit 1";

const LAST_REFUSAL: &str = "select version, name, body, log_partition, log_offset from heard \
    where topic = $1 and key = $2 and version is null order by log_offset desc limit 1";

/// What a key's rows stand at.
fn last_heard(topic: TopicName, key: &str) -> String {
    format!(
        "left join lateral (select log_partition, log_offset from heard where topic = '{topic}' and key = {key} \
         order by log_offset desc limit 1) as h on true"
    )
}

/// Orders of `rows`, which gives the columns of an order, with their lines and what they stand at.
fn standing_sql(rows: &str) -> String {
    format!(
        "select r.*, c.skus, c.quantities, c.unit_prices_minor, h.log_partition, h.log_offset from ({rows}) as r \
         left join lateral (select skus, quantities, unit_prices_minor from order_contents where order_id = r.order_id \
         offset 0) as c on true {}",
        last_heard(TopicName::OrderEvents, "r.order_id")
    )
}

/// Parameters: before which time and id; from which time; how many; customer, stage, SKU.
fn list_sql(filter: &Filter) -> String {
    const RANGE: &str = "(accepted_at, order_id) < ($1::timestamptz, $2::text) and accepted_at >= $3::timestamptz";
    const NEWEST_FIRST: &str = "order by accepted_at desc, order_id desc limit $4::bigint";
    let columns = OrderRow::column_list();
    let has_sku = "($7::text is null or exists (select from order_skus k where k.sku = $7 \
        and k.accepted_at = orders.accepted_at and k.order_id = orders.order_id))";
    let in_stage = "($6::text is null or stage = $6)";
    let rows = match (&filter.customer, &filter.sku, &filter.stage) {
        (Some(_), _, _) => {
            format!(
                "select {columns} from orders where customer_id = $5::text and {RANGE} and {in_stage} and {has_sku} {NEWEST_FIRST}"
            )
        }
        (None, Some(_), _) => format!(
            "select x.* from (select accepted_at, order_id from order_skus where sku = $7::text and {RANGE} \
                order by accepted_at desc, order_id desc) as k, \
             lateral (select {columns} from orders where order_id = k.order_id and {in_stage} \
                and ($5::text is null or customer_id = $5) offset 0) as x \
             order by k.accepted_at desc, k.order_id desc limit $4::bigint"
        ),
        (None, None, Some(_)) => format!(
            "select {columns} from orders where stage = $6::text and {RANGE} \
                and ($5::text is null or customer_id = $5) and {has_sku} {NEWEST_FIRST}"
        ),
        (None, None, None) => format!(
            "select {columns} from orders where {RANGE} and ($5::text is null or customer_id = $5) and {in_stage} \
                and {has_sku} {NEWEST_FIRST}"
        ),
    };
    format!("{} order by r.accepted_at desc, r.order_id desc", standing_sql(&rows))
}

impl Reads {
    /// Of this read model, of a deployment with this prefix.
    ///
    /// # Errors
    /// When the schema's name is none.
    pub fn new(database: Database, topic_prefix: &str, placed: Arc<Placed>) -> Result<Self, outbox::OutboxError> {
        let inbox = Inbox::new(database.schema())?;
        let (shared, placing, topic_prefix) = (Arc::default(), Arc::default(), topic_prefix.to_owned());
        Ok(Reads { database, shared, placing, placed, inbox, topic_prefix })
    }

    /// Of what is looked up by a key.
    async fn found(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, DatabaseError> {
        let client = self.shared.client(&self.database).await?;
        let statement = client.prepare_cached(sql).await?;
        Ok(client.query(&statement, values).await?)
    }

    /// Of what takes longer.
    async fn rows(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, DatabaseError> {
        let client = Box::pin(self.database.client()).await?;
        let statement = client.prepare_cached(sql).await?;
        Ok(client.query(&statement, values).await?)
    }

    /// An order.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn order(&self, id: &OrderId) -> Result<Option<Standing<Order>>, DatabaseError> {
        let found = self.found(&ONE_ORDER, &[&id.as_str()]).await?.first().map(order_of).transpose()?;
        // Whoever was told of it is not to place it as a new one.
        if found.is_some() {
            self.placed.note(id.as_str());
        }
        Ok(found)
    }

    /// Whether there is such an order: for whoever places one, and asked for all of them at once.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn has_order(&self, id: &OrderId) -> Result<bool, DatabaseError> {
        if self.placed.is_new(id.as_str()) {
            return Ok(false);
        }
        self.placing.is_there(id.as_str(), |ids| self.which_of(ids)).await
    }

    /// Shows the ids of all orders, at most so many; how many they are.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn each_order(&self, most: u64, show: impl Fn(&str) + Send) -> Result<u64, DatabaseError> {
        let client = Box::pin(self.database.client()).await?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let mut rows = pin!(client.query_raw(EACH_ORDER, [&most]).await?);
        let mut count = 0;
        while let Some(row) = rows.try_next().await? {
            show(row.get(0));
            count += 1;
        }
        Ok(count)
    }

    async fn which_of(&self, ids: Vec<String>) -> Result<HashSet<String>, DatabaseError> {
        Ok(self.found(WHICH_ORDERS, &[&ids]).await?.iter().map(|row| row.get(0)).collect())
    }

    /// At most so many orders, the newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn orders(&self, filter: &Filter, limit: i64) -> Result<Vec<Standing<Order>>, DatabaseError> {
        let latest = (filter.before.unwrap_or(Time::MAX), String::new());
        let (before, id) = match &filter.behind {
            Some(behind) if behind.0 < latest.0 => behind.clone(),
            Some(_) | None => latest,
        };
        let (before, from) = (Timestamptz(before), Timestamptz(filter.from.unwrap_or(Time::EARLIEST)));
        let values: [&(dyn ToSql + Sync); 7] =
            [&before, &id, &from, &limit, &filter.customer, &filter.stage, &filter.sku];
        self.rows(&list_sql(filter), &values).await?.iter().map(order_of).collect()
    }

    /// An order's payment.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn payment(&self, id: &OrderId) -> Result<Option<Payment>, DatabaseError> {
        let sql = format!("select {} {ONE_PAYMENT_OF}", PaymentRow::column_list());
        let rows = self.found(&sql, &[&id.as_str()]).await?;
        let of_row = |row: &Row| PaymentRow::read(row).map_err(unreadable)?.into_payment().map_err(unreadable);
        rows.first().map(of_row).transpose()
    }

    /// What was said about an order behind this version, in its order, a part at a time. Refusals make no version.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn said_since(&self, id: &OrderId, version: i64) -> Result<Vec<Said>, DatabaseError> {
        let topic = TopicName::OrderEvents;
        let rows = self.found(SAID_SINCE, &[&topic.as_str(), &id.as_str(), &version, &HEARD_AT_ONCE]).await?;
        Ok(rows.iter().map(|row| said_of(topic, row)).collect())
    }

    /// The first answer to the command with this `ce_id`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn answer(&self, topic: TopicName, key: &str, command: &str) -> Result<Option<Said>, DatabaseError> {
        let rows = self.found(ANSWER, &[&topic.as_str(), &key, &command]).await?;
        Ok(rows.first().map(|row| said_of(topic, row)))
    }

    /// The last refusal of a command about this order.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn last_refusal(&self, id: &OrderId) -> Result<Option<Said>, DatabaseError> {
        let topic = TopicName::OrderEvents;
        let rows = self.found(LAST_REFUSAL, &[&topic.as_str(), &id.as_str()]).await?;
        Ok(rows.first().map(|row| said_of(topic, row)))
    }

    /// Orders that are not finished, by stage.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn open(&self) -> Result<Vec<Open>, DatabaseError> {
        let rows = self.rows(OPEN_ORDERS, &[&Stage::UNFINISHED.as_slice()]).await?;
        let of_row = |row: &Row| Open { stage: row.get(0), orders: row.get(1), oldest: row.get::<_, Timestamptz>(2).0 };
        Ok(rows.iter().map(of_row).collect())
    }

    /// Waits until the read model has taken what lies there, or, of a command, its answer; whether it has within the limit.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn reaches(&self, position: &Position, key: &str, limit: Duration) -> Result<bool, DatabaseError> {
        let (begun, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            if self.has_reached(position, key).await? {
                return Ok(true);
            }
            let left = limit.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Ok(false);
            }
            tokio::time::sleep(pause.min(left)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn has_reached(&self, position: &Position, key: &str) -> Result<bool, DatabaseError> {
        if let Some(command) = &position.command {
            let Some(topic) = position.topic.answered_on() else { return Ok(true) };
            if self.answer(topic, key, command).await?.is_some() {
                return Ok(true);
            }
            // What was placed before is placed: nothing answers that.
            let placed = OrderId::new(key).ok().filter(|_| position.is_placing);
            return match placed {
                Some(id) => Ok(self.order(&id).await?.is_some()),
                None => Ok(false),
            };
        }
        let topic = format!("{}{}", self.topic_prefix, position.topic);
        let client = self.shared.client(&self.database).await?;
        let states = self.inbox.load(&client, &[TopicPartition { topic, partition: position.partition }]).await?;
        Ok(states.first().and_then(|state| state.next_offset).is_some_and(|next| next > position.offset))
    }
}

/// A row that this version cannot read: the schema is the right one, so somebody else wrote it.
fn unreadable(error: impl std::fmt::Display) -> DatabaseError {
    DatabaseError::Unusable(error.to_string())
}

/// The position in two columns that may be null.
fn position_of(topic: TopicName, row: &Row, first: usize) -> Option<Position> {
    let (partition, offset): (Option<i32>, Option<i64>) = (row.get(first), row.get(first + 1));
    Some(Position::of_event(topic, partition?, offset?))
}

fn order_of(row: &Row) -> Result<Standing<Order>, DatabaseError> {
    let read = OrderRow::read(row).map_err(unreadable)?;
    let own = OrderRow::COLUMNS.len();
    let contents = ContentsRow {
        order_id: read.order_id.clone(),
        skus: row.get::<_, Option<_>>(own).unwrap_or_default(),
        quantities: row.get::<_, Option<_>>(own + 1).unwrap_or_default(),
        unit_prices_minor: row.get::<_, Option<_>>(own + 2).unwrap_or_default(),
    };
    let (_, lines) = contents.into_lines().map_err(unreadable)?;
    let order = Order { lines, ..read.into_order().map_err(unreadable)? };
    Ok(Standing { what: order, position: position_of(TopicName::OrderEvents, row, own + 3) })
}

fn said_of(topic: TopicName, row: &Row) -> Said {
    let position = Position::of_event(topic, row.get(3), row.get(4));
    Said { version: row.get(0), name: row.get(1), body: row.get(2), position }
}

#[cfg(test)]
mod plan_tests;
