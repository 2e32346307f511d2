//! What all services have said of an order, and several orders at once: for whoever looks at one closely, or at those that they chose.

use consumer::DatabaseError;
use domain::saga::Order;
use schemas::{OrderId, Time, TopicName};
use tables::{OrderRow, TableRow as _, Timestamptz};
use tokio_postgres::Row;

use super::{Reads, Said, Standing, order_of, said_of, standing_sql};

/// The topics in which an order's history is.
const TOPICS: [TopicName; 3] = [TopicName::OrderEvents, TopicName::InventoryEvents, TopicName::PaymentEvents];

/// Something that a service has said of an order.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// What, and where.
    pub said: Said,
    /// When, by that service's clock.
    pub at: Time,
}

pub(super) const HISTORY: &str = "select h.version, h.name, h.body, h.log_partition, h.log_offset, h.topic, h.at \
    from unnest ($1::text[]) as t (topic), lateral ( \
    select version, name, body, log_partition, log_offset, topic, at from heard \
    where topic = t.topic and key = $2 order by log_offset desc limit $3) as h";

pub(super) fn several_sql() -> String {
    standing_sql(&format!("select {} from orders where order_id = any ($1::text[])", OrderRow::column_list()))
}

impl Reads {
    /// What was said of an order: of each service the last so many messages, in the order in which they came about, as far as clocks
    /// tell it. One service's own stand in the order in which it said them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn history(&self, id: &OrderId, limit: i64) -> Result<Vec<Told>, DatabaseError> {
        let topics = TOPICS.map(TopicName::as_str);
        let rows = self.found(HISTORY, &[&topics.as_slice(), &id.as_str(), &limit]).await?;
        Ok(in_order(rows.iter().filter_map(told_of).collect()))
    }

    /// Those of these orders that there are, in no order.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn orders_of(&self, ids: &[OrderId]) -> Result<Vec<Standing<Order>>, DatabaseError> {
        let ids: Vec<&str> = ids.iter().map(OrderId::as_str).collect();
        self.rows(&several_sql(), &[&ids]).await?.iter().map(order_of).collect()
    }
}

/// By their times. Where a service's clock was set back, what it said then stands behind what it had said before.
fn in_order(mut told: Vec<Told>) -> Vec<Told> {
    told.sort_by_key(|told| (told.said.position.topic, told.said.position.offset));
    let (mut latest, mut topic) = (Time::EARLIEST, None);
    let mut timed = Vec::with_capacity(told.len());
    for told in told {
        let is_same = topic.replace(told.said.position.topic) == Some(told.said.position.topic);
        latest = if is_same { latest.max(told.at) } else { told.at };
        timed.push((latest, told));
    }
    timed.sort_by_key(|(latest, _)| *latest);
    timed.into_iter().map(|(_, told)| told).collect()
}

fn told_of(row: &Row) -> Option<Told> {
    let topic: String = row.get(5);
    let topic = TOPICS.into_iter().find(|one| one.as_str() == topic)?;
    Some(Told { said: said_of(topic, row), at: row.get::<_, Timestamptz>(6).0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::Position;

    #[test]
    fn a_clock_that_was_set_back_turns_no_service_s_words_round() {
        let told = |topic, offset, at| Told {
            said: Said {
                version: None,
                name: String::new(),
                body: String::new(),
                position: Position::of_event(topic, 0, offset),
            },
            at: Time::from_micros(at),
        };
        let (order, payment) = (TopicName::OrderEvents, TopicName::PaymentEvents);
        let given = vec![told(payment, 1, 5), told(order, 3, 6), told(order, 1, 4), told(order, 2, 1)];
        let ordered = in_order(given).into_iter().map(|told| (told.said.position.topic, told.said.position.offset));
        assert_eq!(ordered.collect::<Vec<_>>(), [(order, 1), (order, 2), (payment, 1), (order, 3)]);
    }
}
