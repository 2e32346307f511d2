//! What an order event means for its points, and the rows that keep them. All SQL of the service is here.
//!
//! An entry belongs to the partition of its order, whose position the consumer holds locked. An account may be written from
//! several partitions at once, so what is written there is a difference.

use consumer::{Either, Failure, FromTo, Handler, Reads};
use outbox::Transaction;
use schemas::OrderEvent;

use crate::contract::{Entry, Orders, State};

/// A point for each whole hundred minor units of an order's total, whatever its currency; the rest gives none.
pub const MINOR_PER_POINT: i64 = 100;

/// The tables, in the schema that the connection has as its path.
pub(crate) const TABLES: &str = "
    create table if not exists loyalty_entries (order_id text primary key, customer text not null,
        points bigint not null check (points >= 0), state text not null);
    create table if not exists loyalty_accounts (customer text primary key, points bigint not null)";
const LOAD: &str = "select to_jsonb(e)::text from loyalty_entries e where order_id = $1";
const SAVE: &str = "insert into loyalty_entries
    select * from jsonb_populate_record(null::loyalty_entries, $1::text::jsonb)
    on conflict (order_id) do update set state = excluded.state";
const ADD: &str = "insert into loyalty_accounts as a (customer, points) values ($1, $2)
    on conflict (customer) do update set points = a.points + excluded.points";

type Said = Either<OrderEvent, Entry>;

/// Gives points.
pub struct Points;

impl Handler for Points {
    const NAME: &'static str = "loyalty";
    type Contract = FromTo<Orders, Entry>;
    const INPUTS: &'static [&'static str] = &[Orders::TOPIC];

    async fn handle(&self, message: &Said, tx: &Transaction<'_>) -> Result<Vec<Said>, Failure> {
        let Either::Read(event) = message else { return Ok(Vec::new()) };
        let row = tx.query_opt(LOAD, &[&event.key().as_str()]).await?;
        let entry = row.map(|row| serde_json::from_str(row.get(0))).transpose()?;
        let Some(entry) = answer(event, entry.as_ref()) else { return Ok(Vec::new()) };
        tx.execute(SAVE, &[&serde_json::to_string(&entry)?]).await?;
        if let Some(points) = entry.added() {
            tx.execute(ADD, &[&entry.customer, &points]).await?;
        }
        Ok(vec![Either::Said(entry)])
    }
}

/// The entry that an order event makes of the one before; none where it changes nothing, as a repeated event does.
pub fn answer(event: &OrderEvent, entry: Option<&Entry>) -> Option<Entry> {
    let to = |entry: &Entry, state| Some(Entry { state, ..entry.clone() });
    match (event, entry.map(|entry| (entry, entry.state))) {
        (OrderEvent::OrderPlaced(placed), None) => Some(Entry {
            order_id: placed.order_id.to_string(),
            customer: placed.customer_id.to_string(),
            points: placed.total_minor / MINOR_PER_POINT,
            state: State::Promised,
        }),
        (OrderEvent::OrderConfirmed(_), Some((entry, State::Promised))) => to(entry, State::Earned),
        (OrderEvent::OrderCancelled(_), Some((entry, State::Promised))) => to(entry, State::Lapsed),
        (OrderEvent::OrderCancelled(_), Some((entry, State::Earned))) => to(entry, State::TakenBack),
        _ => None,
    }
}

impl Entry {
    /// What the account gets when an entry comes to its state; none where it stays as it is.
    pub fn added(&self) -> Option<i64> {
        match self.state {
            State::Promised | State::Lapsed => None,
            State::Earned => Some(self.points),
            State::TakenBack => self.points.checked_neg(),
        }
    }
}
