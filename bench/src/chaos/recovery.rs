//! Whether everything works again: every worker is ready, and an order of every partition, placed afterwards, has ended.
//!
//! Readiness alone is a claim. An order goes through the same partition number of all three services, so one ended order
//! per partition proves every lane, every relay and every worker that owns something. What is missing is named: a worker
//! that is not ready, a feed that has not moved since healing. A busy machine may take longer than the limit over what gathered
//! meanwhile; as long as every feed moves, that is slow and not away.

use std::collections::{BTreeMap, BTreeSet};
use std::thread::sleep;
use std::time::{Duration, Instant};

use outbox::inbox::Inbox;
use tokio::runtime::Runtime;
use tokio_postgres::Client;

use super::fleet::Fleet;
use super::load::{Load, TAG};
use super::site::Site;
use crate::error::{BenchError, Doing, Result};
use crate::measure::connect;
use crate::pipeline::{number_of, order_id};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// Where everything moves, so many limits are waited for the end.
const SLOW_LIMITS: u32 = 10;
/// How long the database may take for one answer.
const QUERY_LIMIT: Duration = Duration::from_secs(5);
/// A publisher without any acknowledgement for so long, though Kafka answers, has lost its broker for good.
const DEAF_AFTER: Duration = Duration::from_secs(10);

/// What is looked at.
pub(crate) struct Observer<'r> {
    /// The servers.
    pub(crate) site: &'r Site,
    /// The workers.
    pub(crate) fleet: &'r Fleet,
    /// The orders.
    pub(crate) load: &'r Load,
    /// For asking the database.
    pub(crate) runtime: &'r Runtime,
    /// Every hold that a worker told of, without its duration.
    pub(crate) held: BTreeSet<String>,
}

/// How a wait for recovery ended.
pub(crate) enum Recovery {
    /// Everything works, so long after healing.
    Complete(Duration),
    /// This does not, after the limit.
    Missing(Vec<String>),
}

impl Observer<'_> {
    /// Waits until everything works. What is away `limit` after now, which is the moment of healing, is not back.
    pub(crate) fn wait(&mut self, limit: Duration) -> Result<Recovery> {
        let healed = Instant::now();
        let mut deaf_since = healed;
        let mut at_healing = None;
        self.load.book().begin_probes();
        loop {
            let mut away = self.fleet.obstacles();
            self.held.extend(holds(&away));
            let probes = self.load.book().probes();
            let unfinished = match self.runtime.block_on(look(self.site.database_url(), &probes)) {
                Ok(seen) => {
                    let before = at_healing.get_or_insert_with(|| seen.feeds.clone());
                    let open = self.unfinished(&probes, &seen.stages);
                    away.extend(standing(before, &seen.feeds, &open));
                    open
                }
                Err(error) => {
                    away.push(error.to_string());
                    BTreeMap::new()
                }
            };
            if away.is_empty() && unfinished.is_empty() {
                return Ok(Recovery::Complete(healed.elapsed()));
            }
            self.load.check()?;
            self.fleet.check()?;
            if probes.is_empty() && deaf_since.elapsed() > DEAF_AFTER && self.site.kafka()?.is_ready() {
                self.load.book().renew_publisher();
                deaf_since = Instant::now();
            }
            if healed.elapsed() > limit && !away.is_empty() || healed.elapsed() > limit * SLOW_LIMITS {
                away.extend(unfinished.into_values());
                return Ok(Recovery::Missing(away));
            }
            sleep(LOOK);
        }
    }

    /// Every partition without an ended probe, in words.
    fn unfinished(&self, probes: &BTreeMap<i32, u64>, stages: &BTreeMap<u64, String>) -> BTreeMap<i32, String> {
        let missing = |partition: i32| {
            let Some(number) = probes.get(&partition) else {
                return Some(format!("partition {partition}: Kafka has acknowledged no new order"));
            };
            match stages.get(number).map(String::as_str) {
                Some("completed" | "cancelled") => None,
                Some(stage) => Some(format!("partition {partition}: order {TAG}-{number:010} is {stage}")),
                None => Some(format!("partition {partition}: order {TAG}-{number:010} was not taken")),
            }
        };
        (0..i32::from(self.site.partitions())).filter_map(|at| Some((at, missing(at)?))).collect()
    }
}

/// The feeds of these partitions that are where they were at healing.
fn standing(before: &Feeds, now: &Feeds, open: &BTreeMap<i32, String>) -> Vec<String> {
    let stands = |((topic, partition), next): &(&(String, i32), &i64)| {
        open.contains_key(partition) && before.get(&(topic.clone(), *partition)) == Some(*next)
    };
    let feeds = now.iter().filter(stands);
    feeds.map(|((topic, partition), next)| format!("{topic}[{partition}] stands at {next} since healing")).collect()
}

/// What of this is a held partition. Its duration grows with every look; the hold is the same.
pub(crate) fn holds(obstacles: &[String]) -> impl Iterator<Item = String> {
    let held = obstacles.iter().filter(|obstacle| obstacle.contains("held: "));
    held.map(|held| held.split(" for ").next().unwrap_or(held).to_owned())
}

/// The next offset of every feed, by topic and partition.
type Feeds = BTreeMap<(String, i32), i64>;

/// What the database tells.
struct Seen {
    /// Of every probe that the order service knows.
    stages: BTreeMap<u64, String>,
    feeds: Feeds,
}

async fn look(url: &str, probes: &BTreeMap<i32, u64>) -> Result<Seen> {
    let ids: Vec<String> =
        probes.values().map(|number| order_id(TAG, *number).map(|id| id.to_string())).collect::<Result<_>>()?;
    let ask = async {
        let client = connect(url).await?;
        let stages = "select order_id, stage from orders.orders where order_id = any ($1)";
        let stages = client.query(stages, &[&ids]).await.doing("asking for the stages of orders")?;
        Ok((stages, feeds(&client).await?))
    };
    let asked = tokio::time::timeout(QUERY_LIMIT, ask).await;
    let (stages, feeds) =
        asked.map_err(|_| BenchError::other(format!("Postgres gives no answer within {QUERY_LIMIT:?}")))??;
    let number = |id: String| number_of(TAG, id.as_bytes());
    Ok(Seen { stages: stages.into_iter().filter_map(|row| Some((number(row.get(0))?, row.get(1)))).collect(), feeds })
}

/// Where the feeds are that orders go through: nobody receives stock meanwhile.
async fn feeds(client: &Client) -> Result<Feeds> {
    let mut feeds = Feeds::new();
    for schema in ["orders", "inventory", "payments"] {
        let inbox = Inbox::new(schema).map_err(BenchError::other)?;
        for (at, state) in inbox.load_all(client).await.map_err(BenchError::other)? {
            if !at.topic.contains("stock.commands") {
                feeds.insert((at.topic, at.partition), state.next_offset.unwrap_or(0));
            }
        }
    }
    Ok(feeds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feed_that_does_not_move_is_away_only_while_its_partition_has_an_unfinished_probe() {
        let feeds = |offsets: [i64; 3]| -> Feeds {
            (0..3).zip(offsets).map(|(partition, next)| (("payment.commands.v1".to_owned(), partition), next)).collect()
        };
        let open = BTreeMap::from([(0, String::new()), (1, String::new())]);
        let standing = standing(&feeds([5, 6, 7]), &feeds([5, 9, 7]), &open);
        assert_eq!(standing, ["payment.commands.v1[0] stands at 5 since healing"]);
    }

    #[test]
    fn a_hold_is_the_same_however_long_it_lasts() {
        let at = |seconds: u32| vec![format!("order-1: held: order.commands.v1[2] at offset 7 for {seconds} s: x")];
        assert_eq!(holds(&at(1)).collect::<Vec<_>>(), holds(&at(9)).collect::<Vec<_>>());
        assert_eq!(holds(&["order-1: database: away".to_owned()]).count(), 0);
    }
}
