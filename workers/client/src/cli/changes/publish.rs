//! Sends the commands: each to the partition on which its order lies, so that it comes after what it is about.

use std::collections::HashMap;

use futures_util::StreamExt as _;
use schemas::{CommandId, OrderId, TopicName};

use super::Change;
use super::orders::Wanted;
use super::report::Fate;
use crate::cli::Session;
use crate::cli::output::{Failure, reading_bar, spinner};
use crate::cli::way::SOURCE;
use crate::{ClientError, Connection, OrderPlace, Publisher, Selection, TopicReader};

/// Commands that wait for Kafka's confirmation at once.
const AT_ONCE: usize = 64;

/// What reads the answers: of one partition where there is one order.
pub(super) async fn answers_reader(connection: &Connection, wanted: &Wanted) -> Result<TopicReader, ClientError> {
    let key = if let [one] = &wanted.ids[..] { Some(one.as_str().to_owned()) } else { None };
    TopicReader::open(connection, Selection { topic: TopicName::OrderEvents, key, from_end: false }).await
}

/// Sends a command for each order, in the order in which they were given.
pub(super) async fn publish(
    session: &Session,
    connection: &Connection,
    change: &Change,
    id: &CommandId,
    wanted: &Wanted,
) -> Result<Vec<(OrderId, Fate)>, Failure> {
    let places = places(session, connection, &wanted.ids).await?;
    let publisher = Publisher::open(connection, SOURCE)?;
    publisher.check_topic(TopicName::OrderCommands).await?;
    let bar = spinner("{spinner} {pos} commands sent  {elapsed}");
    let send = |order_id: &OrderId| {
        let (order_id, partition) = (order_id.clone(), places.get(order_id).copied());
        let message = change.command(&order_id, id).into();
        let (publisher, bar) = (&publisher, &bar);
        async move {
            let fate = match publisher.publish_on(partition, &message).await {
                Ok(_) => Fate::Sent,
                Err(error) => Fate::NotSent(error.to_string()),
            };
            bar.inc(1);
            (order_id, fate)
        }
    };
    let sends: Vec<_> = wanted.ids.iter().map(send).collect();
    let fates = futures_util::stream::iter(sends).buffered(AT_ONCE).collect().await;
    bar.finish_and_clear();
    Ok(fates)
}

/// The partitions of the commands on which the orders lie; none for an order that was not found: where murmur2 puts it.
async fn places(session: &Session, connection: &Connection, ids: &[OrderId]) -> Result<HashMap<OrderId, i32>, Failure> {
    let bar = reading_bar();
    let places = OrderPlace::find_all(connection, ids, session.patience, |left| bar.set_position(left)).await;
    bar.finish_and_clear();
    Ok(places?)
}
