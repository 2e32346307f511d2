//! The part `restart`: workers that are killed with SIGKILL under load and started again at once, under the same `instance_id`.
//!
//! Each is the only one of its service, so that what its topics get afterwards is its own: the first record at all is its relay's
//! first message, the first record of something that it decided since shows its first committed batch (a few milliseconds late:
//! when it lies in the topic). Both are counted from the kill, so that starting the process is in them.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use schemas::{ServiceName, TopicName};

use crate::error::{BenchError, Result};
use crate::figures::Figures;
use crate::goals::{Goal, at_most};
use crate::pipeline::{Orders, Pipeline, TopicReader, Workers};
use crate::plan::{Plan, announce};
use crate::servers::Servers;

/// Orders a second meanwhile.
const RATE: f64 = 100.0;
/// Kills of each worker.
const KILLS: u32 = 20;
/// How long everything runs before each kill.
const CALM: Duration = Duration::from_secs(1);
/// How long a worker may take.
const LIMIT: Duration = Duration::from_secs(60);
/// How long one look at the topics may take.
const LOOK: Duration = Duration::from_millis(10);

const BATCH: &str = "kill to first committed batch, longest";
/// No goal: the relay has nothing to send until there is a batch. `bench-outbox` kills one that has.
const RELAY: &str = "kill to first message of the relay, longest";
/// What a worker may take.
const MOST_MS: f64 = 1_000.0;

/// From a kill on, in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Restarted {
    batch_ms: f64,
    relay_ms: f64,
}

/// Runs it.
pub(crate) async fn run(plan: &Plan, workers: &Workers, servers: &Servers) -> Result<Figures> {
    let mut pipeline = plan.start(workers, servers, "restart", Orders::Synthetic { lines: 5 }).await?;
    announce(&format!("{RATE:.0} orders/s, each worker is killed {KILLS} times"));
    let (restarts, _) =
        pipeline.under_load("restart", RATE, |pipeline, _| kill_all(pipeline, servers.brokers())).await?;
    pipeline.stop().await?;
    let mut figures = Figures::default();
    for (service, mut found) in restarts {
        let name = service.as_str();
        let longest = |of: fn(&Restarted) -> f64, found: &[Restarted]| found.iter().map(of).fold(0.0, f64::max);
        figures.add(name, BATCH, longest(|restarted| restarted.batch_ms, &found), "ms");
        figures.add(name, RELAY, longest(|restarted| restarted.relay_ms, &found), "ms");
        found.sort_by(|one, other| one.batch_ms.total_cmp(&other.batch_ms));
        let middle = found.get(found.len() / 2).map_or(0.0, |restarted| restarted.batch_ms);
        figures.add(name, "kill to first committed batch, median", middle, "ms");
    }
    Ok(figures)
}

fn kill_all(pipeline: &mut Pipeline<'_>, brokers: &str) -> Result<Vec<(ServiceName, Vec<Restarted>)>> {
    let written = |topic: TopicName| Some((pipeline.topic(topic), topic.written_by()?));
    let topics: Vec<(String, ServiceName)> = TopicName::ALL.into_iter().filter_map(written).collect();
    let names: Vec<String> = topics.iter().map(|(name, _)| name.clone()).collect();
    let reader = TopicReader::open(brokers, &names, true)?;
    let mut restarts = ServiceName::ALL.map(|service| (service, Vec::new())).to_vec();
    for _ in 0..KILLS {
        for (service, found) in &mut restarts {
            let began = Instant::now();
            while began.elapsed() < CALM {
                reader.next(LOOK, |_| ())?;
            }
            let own: Vec<&str> = topics.iter().filter(|(_, by)| by == service).map(|(name, _)| name.as_str()).collect();
            found.push(kill(pipeline, &reader, *service, &own)?);
        }
    }
    Ok(restarts)
}

fn kill(pipeline: &mut Pipeline<'_>, reader: &TopicReader, service: ServiceName, own: &[&str]) -> Result<Restarted> {
    let killed_us = Timestamp::now().as_microsecond();
    pipeline.kill_and_start(service)?;
    let (mut batch_ms, mut relay_ms) = (None, None);
    let began = Instant::now();
    while began.elapsed() < LIMIT {
        reader.next(LOOK, |seen| {
            let Some(time_us) = seen.time_ms.map(|ms| ms.saturating_mul(1_000)) else { return };
            if !own.contains(&seen.topic) || time_us <= killed_us {
                return;
            }
            relay_ms.get_or_insert(milliseconds(time_us - killed_us));
            if seen.decided_us.is_some_and(|decided_us| decided_us > killed_us) {
                batch_ms.get_or_insert(milliseconds(time_us - killed_us));
            }
        })?;
        if let (Some(batch_ms), Some(relay_ms)) = (batch_ms, relay_ms) {
            return Ok(Restarted { batch_ms, relay_ms });
        }
    }
    Err(BenchError::other(format!("{service} was killed and did nothing for {LIMIT:?}")))
}

#[expect(clippy::float_arithmetic, reason = "a figure for people, not an amount")]
fn milliseconds(us: i64) -> f64 {
    us as f64 / 1000.0
}

/// How fast they were; nothing where it was not run.
pub(crate) fn judge(figures: &Figures) -> Vec<Goal> {
    let goal = |service: &str| {
        let found = figures.get(service, BATCH)?;
        Some(at_most(format!("{service}: {BATCH}"), "ms", MOST_MS, found))
    };
    ServiceName::ALL.map(ServiceName::as_str).into_iter().filter_map(goal).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_of_each_worker_is_judged() {
        let mut figures = Figures::default();
        assert!(judge(&figures).is_empty());
        figures.add("order", BATCH, 1_001.0, "ms");
        figures.add("payment", BATCH, 1_000.0, "ms");
        assert_eq!(judge(&figures).iter().map(|goal| goal.met).collect::<Vec<_>>(), [false, true]);
    }
}
