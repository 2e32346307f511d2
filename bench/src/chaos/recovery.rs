//! Whether everything works again: every worker is ready, and an order of every partition, placed afterwards, has ended.
//!
//! Readiness alone is a claim. An order goes through the same partition number of all three services, so one ended order
//! per partition proves every lane, every relay and every worker that owns something. What is missing is named.

use std::collections::{BTreeMap, BTreeSet};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use super::fleet::Fleet;
use super::load::{Load, TAG};
use super::place::Place;
use crate::error::{BenchError, Doing, Result};
use crate::measure::connect;
use crate::pipeline::order_id;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// How long the database may take for one answer.
const QUERY_LIMIT: Duration = Duration::from_secs(5);
/// A publisher without any acknowledgement for so long, though Kafka answers, has lost its broker for good.
const DEAF_AFTER: Duration = Duration::from_secs(10);

/// What is looked at.
pub(crate) struct Observer<'r> {
    /// The servers.
    pub(crate) place: &'r Place,
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
    /// Waits until everything works, at most `limit` from now, which is the moment of healing.
    pub(crate) fn wait(&mut self, limit: Duration) -> Result<Recovery> {
        let healed = Instant::now();
        let mut deaf_since = healed;
        self.load.book().begin_probes();
        loop {
            let mut missing = self.fleet.obstacles();
            self.held.extend(holds(&missing));
            let probes = self.load.book().probes();
            missing.extend(self.unfinished(&probes));
            if missing.is_empty() {
                return Ok(Recovery::Complete(healed.elapsed()));
            }
            self.load.check()?;
            self.fleet.check()?;
            if probes.is_empty() && deaf_since.elapsed() > DEAF_AFTER && self.place.kafka()?.is_ready() {
                self.load.book().renew_publisher();
                deaf_since = Instant::now();
            }
            if healed.elapsed() > limit {
                return Ok(Recovery::Missing(missing));
            }
            sleep(LOOK);
        }
    }

    /// Every partition without an ended probe.
    fn unfinished(&self, probes: &BTreeMap<i32, u64>) -> Vec<String> {
        let stages = match self.runtime.block_on(stages(self.place.database_url(), probes)) {
            Ok(stages) => stages,
            Err(error) => return vec![error.to_string()],
        };
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
        (0..i32::from(self.place.partitions())).filter_map(missing).collect()
    }
}

/// What of this is a held partition. Its duration grows with every look; the hold is the same.
pub(crate) fn holds(obstacles: &[String]) -> impl Iterator<Item = String> {
    let held = obstacles.iter().filter(|obstacle| obstacle.contains("held: "));
    held.map(|held| held.split(" for ").next().unwrap_or(held).to_owned())
}

/// The stage of every probe that the order service knows.
async fn stages(url: &str, probes: &BTreeMap<i32, u64>) -> Result<BTreeMap<u64, String>> {
    let ids: Vec<String> =
        probes.values().map(|number| order_id(TAG, *number).map(|id| id.to_string())).collect::<Result<_>>()?;
    let ask = async {
        let client = connect(url).await?;
        let query = "select order_id, stage from orders.orders where order_id = any ($1)";
        client.query(query, &[&ids]).await.doing("asking for the stages of orders")
    };
    let asked = tokio::time::timeout(QUERY_LIMIT, ask).await;
    let rows = asked.map_err(|_| BenchError::other(format!("Postgres gives no answer within {QUERY_LIMIT:?}")))??;
    let number = |id: String| crate::pipeline::number_of(TAG, id.as_bytes());
    Ok(rows.into_iter().filter_map(|row| Some((number(row.get(0))?, row.get(1)))).collect())
}
