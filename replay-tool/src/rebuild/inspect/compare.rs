//! What a rebuild would write, against the live tables: these at one cut, the topics up to exactly there.
//!
//! Both go into files without a name, and are compared there in the order of keys: memory does not grow with the state,
//! and the live database's snapshot ends as soon as its tables are copied.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use schemas::TopicName;

use super::live::{self, Live};
use crate::error::ReplayError;
use crate::fold::Wanted;
use crate::keeper::Keeper;
use crate::rebuild::into::{FileSink, StateFile, UnitLimit};
use crate::rebuild::plan::{Heads, Plan, Until};
use crate::rebuild::report::ServiceReport;
use crate::rebuild::run::{Rebuild, blocking};
use crate::rebuild::standing::Standing;
use crate::rebuild::unit::{LaneEnd, Problem, Written};
use crate::snapshot::ServiceTables;

/// How soon to look again whether everything is published.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

impl Rebuild {
    /// How these keepers' live tables differ from what the topics tell. Waits, but no longer than `patience`, for what
    /// is committed and not yet published; the workers may run on.
    pub(crate) async fn compare(
        &self,
        keepers: &[(Keeper, ServiceTables)],
        prefix: &str,
        patience: Duration,
    ) -> Result<Vec<ServiceReport>, ReplayError> {
        let limit = UnitLimit::new(self.parallel);
        let comparing = keepers.iter().map(|(keeper, live)| async {
            match *keeper {
                Keeper::Service(_) => self.compare_one(*keeper, live, prefix, patience, &limit).await,
                Keeper::View => self.compare_view(live, prefix, patience, &limit).await,
            }
        });
        let reports = try_join_all(comparing).await?;
        limit.finish();
        Ok(reports)
    }

    async fn compare_one(
        &self,
        keeper: Keeper,
        tables: &ServiceTables,
        prefix: &str,
        patience: Duration,
        limit: &UnitLimit,
    ) -> Result<ServiceReport, ReplayError> {
        let begun = Instant::now();
        let live = Live::read(keeper, tables, prefix).await?;
        loop {
            let plan = self.plan(keeper, Until::End, Wanted::Everything, self.unit_records).await?;
            let plan = Plan { heads: Some(live.heads.clone()), ..plan };
            let rebuilt = StateFile::temporary(&[keeper])?;
            let mut sink = FileSink::new(keeper, &rebuilt);
            let fold_s = self.fill(plan, &mut sink, limit).await?;
            let mut written = Written { fold_s, ..blocking(move || sink.finish()).await? };
            let missing = missing(&written.lanes, &live.heads);
            if !missing.is_empty() && begun.elapsed() < patience {
                tokio::time::sleep(LOOK_AGAIN).await;
                continue;
            }
            missing.into_iter().for_each(|problem| written.problems.add(problem));
            // What comes behind the cut was committed since, or the database has forgotten it.
            if written.lanes.iter().any(|lane| lane.beyond.is_some()) {
                let now = live::heads_now(keeper, tables, prefix).await?;
                unknown(&written.lanes, &now).into_iter().for_each(|problem| written.problems.add(problem));
            }
            let differences = blocking(move || live.file.differences(&rebuilt, &[keeper])).await?;
            let mut report = ServiceReport::new(keeper, None, written);
            report.live_digest = Some(live.digest.to_hex());
            report.differences = Some(differences);
            return Ok(report.took(begun.elapsed()));
        }
    }
}

impl Rebuild {
    /// The same of the read model, which has no outbox: the topics are folded to where it stands. What the source lacks of that is
    /// waited for, and then told; nothing is concluded from it.
    async fn compare_view(
        &self,
        tables: &ServiceTables,
        prefix: &str,
        patience: Duration,
        limit: &UnitLimit,
    ) -> Result<ServiceReport, ReplayError> {
        let (begun, keeper) = (Instant::now(), Keeper::View);
        let live = Live::read(keeper, tables, prefix).await?;
        let Standing { vector, missing, behind } = loop {
            let (inbox, source) = (Arc::clone(&live.inbox), self.source.clone());
            let standing = blocking(move || Standing::find(&inbox, &source)).await?;
            if standing.missing.is_empty() || begun.elapsed() >= patience {
                break standing;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        };
        let plan = self.plan(keeper, Until::Vector(vector), Wanted::Everything, self.unit_records).await?;
        let rebuilt = StateFile::temporary(&[keeper])?;
        let mut sink = FileSink::new(keeper, &rebuilt);
        let fold_s = self.fill(plan, &mut sink, limit).await?;
        let mut written = Written { fold_s, ..blocking(move || sink.finish()).await? };
        let is_whole = missing.is_empty();
        missing.into_iter().for_each(|problem| written.problems.add(problem));
        let differences = match is_whole {
            true => Some(blocking(move || live.file.differences(&rebuilt, &[keeper])).await?),
            false => None,
        };
        let report = ServiceReport::new(keeper, None, written);
        let live_digest = Some(live.digest.to_hex());
        Ok(ServiceReport { live_digest, differences, behind: Some(behind), ..report }.took(begun.elapsed()))
    }
}

/// Partitions in which messages are missing that the tables' outbox holds.
fn missing(lanes: &[LaneEnd], heads: &Heads) -> Vec<Problem> {
    let ends: HashMap<_, _> = lanes.iter().map(|lane| ((lane.topic, lane.partition), lane)).collect();
    let missing = |((topic, partition), head): (&(TopicName, i32), &i64)| {
        let lane = ends.get(&(*topic, *partition));
        let end = lane.and_then(|lane| lane.highest).map_or(0, |(_, sequence)| sequence);
        (end < *head).then(|| Problem {
            topic: topic.as_str().to_owned(),
            partition: *partition,
            offset: lane.map_or(0, |lane| lane.next_offset),
            cause: format!("the outbox holds messages up to sequence {head}; the topic ends at {end}"),
        })
    };
    let mut missing: Vec<Problem> = heads.iter().filter_map(missing).collect();
    missing.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
    missing
}

/// Partitions that hold messages which the outbox has never heard of.
fn unknown(lanes: &[LaneEnd], heads_now: &Heads) -> Vec<Problem> {
    let unknown = |lane: &LaneEnd| {
        let head = heads_now.get(&(lane.topic, lane.partition)).copied().unwrap_or(0);
        let beyond = lane.beyond.filter(|beyond| *beyond > head)?;
        Some(Problem {
            topic: lane.topic.as_str().to_owned(),
            partition: lane.partition,
            offset: lane.next_offset,
            cause: format!(
                "the topic continues to sequence {beyond}, the outbox ends at {head}: the database was set back"
            ),
        })
    };
    lanes.iter().filter_map(unknown).collect()
}
