//! Orders by their state, age, customer or SKU: what no topic can be asked for, from the order service's tables.
//!
//! Read page by page behind the last order that was looked at, oldest deadline first, with a role that need not write. Each
//! statement looks at a bounded number of orders, however few of them are wanted. `store` has the SQL.
//!
//! Deliberately absent: any change. What is to be done about the orders that are found is a command on a topic.

mod store;

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use domain::saga::Order;
use outbox::{Client, OutboxError};
use schemas::{CustomerId, OrderId, Sku, Time};

/// Why a list cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// No connection, or it cannot be set up.
    #[error("no database connection: {0}")]
    Connection(#[from] OutboxError),
    /// The server does not answer a question.
    #[error("the orders cannot be listed: {0}")]
    Database(String),
    /// The tables are of another version, or the role may not read them.
    #[error("the orders cannot be listed: {reason}; {advice}")]
    NoTables {
        /// What the server says.
        reason: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// A row is none that this version knows.
    #[error("the orders cannot be listed: {0}")]
    Unknown(String),
}

/// Which orders are wanted. Everything that is given has to be so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrderFilter {
    /// Their stages by name; any where there is none.
    pub stages: Vec<String>,
    /// Completed and cancelled ones too.
    pub with_finished: bool,
    /// Not changed since then.
    pub unchanged_since: Option<Time>,
    /// Whose.
    pub customer: Option<CustomerId>,
    /// That have a line of it.
    pub sku: Option<Sku>,
    /// Only those that wait for something in particular.
    pub only: Option<Only>,
}

/// What orders wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Only {
    /// Somebody holds them.
    Held,
    /// They should have been shipped.
    Overdue,
}

/// Where a list goes on: behind this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The time by which the list is ordered.
    pub due: Time,
    /// The order.
    pub order_id: OrderId,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.due, self.order_id)
    }
}

impl FromStr for Cursor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no place in a list; give what the list before it ended with");
        let (due, order_id) = text.split_once('/').ok_or_else(wrong)?;
        let order_id = OrderId::new(order_id).map_err(|_| wrong())?;
        Ok(Cursor { due: due.parse().map_err(|_| wrong())?, order_id })
    }
}

/// An order of the list, without its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The order.
    pub order: Order,
    /// Where the list goes on behind it.
    pub cursor: Cursor,
}

/// A list that is read page by page.
pub struct OrderList {
    client: Client,
    filter: OrderFilter,
    now: Time,
    /// Behind which order to go on; none once everything was looked at.
    next: Option<Option<Cursor>>,
    read: VecDeque<Listed>,
}

impl OrderList {
    /// Connects to the tables in this schema. `now` is what is taken for overdue; `patience` bounds every question.
    ///
    /// # Errors
    /// There is no connection.
    pub async fn open(
        database: &outbox::Database,
        schema: &str,
        filter: OrderFilter,
        after: Option<Cursor>,
        now: Time,
        patience: Duration,
    ) -> Result<Self, ListError> {
        let client = database.connect().await?;
        store::set_up(&client, schema, patience).await?;
        Ok(OrderList { client, filter, now, next: Some(after), read: VecDeque::new() })
    }

    /// The next order that is wanted; none at the end.
    ///
    /// # Errors
    /// The tables cannot be read.
    pub async fn next(&mut self) -> Result<Option<Listed>, ListError> {
        while self.read.is_empty() {
            let Some(after) = self.next.take() else { return Ok(None) };
            let page = store::page(&self.client, &self.filter, after.as_ref(), self.now).await?;
            self.next = page.next.map(Some);
            self.read = page.wanted.into();
        }
        Ok(self.read.pop_front())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_a_list_can_be_written_down() {
        let cursor = Cursor { due: Time::from_micros(1), order_id: OrderId::new("a/b").unwrap() };
        assert_eq!(cursor.to_string(), "1970-01-01T00:00:00.000001Z/a/b");
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in ["", "a", "yesterday/a", "1970-01-01T00:00:00Z/"] {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }
}
