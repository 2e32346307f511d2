//! State rebuilt from the topics, or from an archive of them: the daemons' own `evolve` over every message, written beside
//! the live tables, into files, or only counted.
//!
//! Nothing here decides, calls a provider or publishes: `evolve` cannot. `plan` cuts the work into units that fit into
//! memory, `unit` folds one of them, `shadow`, `directory` and `collected` take what comes out, `compare` holds it against
//! live tables, `swap` puts it in their place.

mod collected;
mod compare;
mod digest;
mod directory;
mod epochs;
mod lane;
mod library;
mod live;
mod moment;
mod plan;
mod problem;
mod report;
mod shadow;
mod state;
mod swap;
mod tail;
mod unit;
mod vector;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use schemas::{Codec, ServiceName, TopicName};
use tokio::task::JoinSet;

pub use compare::{Differences, RowDifference};
pub(crate) use digest::StateDigest;
pub use library::{RebuildConfig, Target, rebuild, rehearse};
pub(crate) use moment::Moment;
pub(crate) use plan::{Heads, Plan, UNIT_RECORDS, Wanted};
pub use problem::{Problem, Problems};
pub use report::{RebuildReport, ServiceReport, TableReport};
pub(crate) use shadow::schema_beside;
pub use unit::ReadCounts;
pub(crate) use vector::Until;
pub use vector::Vector;

use crate::config::ServiceTables;
use crate::error::ReplayError;
use crate::log::Source;
use crate::progress::Progress;
use crate::snapshot::Rows;
use collected::Collected;
use directory::Directory;
use live::Live;
use shadow::{Shadow, Written};
use swap::Swap;
use unit::{Folded, LaneEnd};

/// What to rebuild, from what, and how.
#[derive(Debug, Clone)]
pub(crate) struct Rebuild {
    pub(crate) source: Source,
    pub(crate) codec: Codec,
    pub(crate) target: Target,
    pub(crate) until: Until,
    /// The most records whose state is held at once.
    pub(crate) unit_records: u64,
    /// How many units are folded at once.
    pub(crate) concurrency: usize,
    /// The first problem ends the run.
    pub(crate) is_strict: bool,
    /// Whether an unfinished earlier run is thrown away.
    pub(crate) is_restart: bool,
}

impl Rebuild {
    /// Rebuild one service's state into the target.
    pub(crate) async fn run(&self, service: ServiceName, live: &ServiceTables) -> Result<ServiceReport, ReplayError> {
        let begun = Instant::now();
        match &self.target {
            Target::Schema => self.beside_live(service, live).await,
            Target::Directory(path) => {
                let plan = self.plan(&[service], self.until.clone(), Wanted::Everything, self.unit_records).await?;
                let path = path.join(service.as_str());
                let mut sink = Sink::Directory(Box::new(Directory::create(&path)?));
                let fold_s = self.units(&Arc::new(plan), &mut sink).await?;
                let (mut written, _) = sink.finish().await?;
                written.fold_s = fold_s;
                Ok(ServiceReport::new(service, Some(path.display().to_string()), written))
            }
            Target::Memory => {
                let (written, _) = self.in_memory(&[service], Wanted::Everything, false).await?;
                Ok(ServiceReport::new(service, None, written))
            }
        }
        .map(|report| report.took(begun.elapsed()))
    }

    /// What a rebuild would write, and how it differs from the live tables: these at one cut, the topics up to exactly
    /// there. Waits for what is committed and not yet published, as long as the source's silence is borne.
    pub(crate) async fn compare(
        &self,
        service: ServiceName,
        live: &ServiceTables,
        prefix: &str,
        patience: Duration,
    ) -> Result<ServiceReport, ReplayError> {
        let begun = Instant::now();
        let tables = Live::read(service, live, prefix).await?;
        loop {
            let mut plan = self.plan(&[service], Until::End, Wanted::Everything, self.unit_records).await?;
            plan.heads = Some(tables.heads.clone());
            let mut sink = Sink::Memory(Box::new(Collected::new(true)));
            self.units(&Arc::new(plan), &mut sink).await?;
            let (mut written, rows) = sink.finish().await?;
            let missing = missing(&written.lanes, &tables.heads);
            if !missing.is_empty() && begun.elapsed() < patience {
                tokio::time::sleep(LOOK_AGAIN).await;
                continue;
            }
            missing.into_iter().for_each(|problem| written.problems.add(problem));
            // What comes behind the cut was committed since, or the database has forgotten it.
            if written.lanes.iter().any(|lane| lane.beyond.is_some()) {
                let now = live::heads_now(service, live, prefix).await?;
                unknown(&written.lanes, &now).into_iter().for_each(|problem| written.problems.add(problem));
            }
            let mut report = ServiceReport::new(service, None, written);
            report.live_digest = Some(StateDigest::of(&tables.rows).to_hex());
            report.differences = Some(Differences::between(&tables.rows, &rows.unwrap_or_default(), &[service]));
            return Ok(report.took(begun.elapsed()));
        }
    }

    /// Put what was rebuilt in the place of the live tables.
    pub(crate) async fn swap(
        &self,
        service: ServiceName,
        live: &ServiceTables,
        report: &mut ServiceReport,
        reads_again: bool,
    ) -> Result<(), ReplayError> {
        if !report.problems.is_empty() {
            let problems = report.problems.found;
            return Err(ReplayError::arguments(format!("not swapped: {problems} problems; see above")));
        }
        let source = self.source.clone();
        let tails = tokio::task::spawn_blocking(move || tail::tails(&source, service)).await;
        let tails = tails.map_err(|_| ReplayError::Aborted { what: "the topics' ends".into() })??;
        let rebuilt = schema_beside(&live.schema);
        let swap = Swap { service, live, rebuilt: &rebuilt, lanes: &report.lanes, tails: &tails, reads_again };
        report.swapped_out_to = Some(swap.run().await?);
        report.written_to = Some(live.schema.clone());
        Ok(())
    }

    async fn beside_live(&self, service: ServiceName, live: &ServiceTables) -> Result<ServiceReport, ReplayError> {
        let schema = schema_beside(&live.schema);
        let mut shadow = Shadow::open(service, live, &schema).await?;
        let earlier = if self.is_restart { None } else { shadow.begun().await? };
        let (plan, resumed) = match earlier {
            Some(earlier) => {
                let mut plan = self.plan(&[service], earlier.until(), Wanted::Everything, earlier.unit_records).await?;
                plan.until_ms = earlier.until_ms;
                (plan, true)
            }
            None => {
                let plan = self.plan(&[service], self.until.clone(), Wanted::Everything, self.unit_records).await?;
                shadow.create(&live.schema, &plan, self.unit_records).await?;
                (plan, false)
            }
        };
        let mut sink = Sink::Shadow(Box::new(shadow));
        let fold_s = self.units(&Arc::new(plan), &mut sink).await?;
        let (mut written, _) = sink.finish().await?;
        written.fold_s = fold_s;
        let mut report = ServiceReport::new(service, Some(schema), written);
        report.is_resumed = resumed;
        Ok(report)
    }

    /// The state of these services in memory: its rows, or only what they amount to.
    pub(crate) async fn in_memory(
        &self,
        services: &[ServiceName],
        wanted: Wanted,
        with_rows: bool,
    ) -> Result<(Written, Option<Rows>), ReplayError> {
        let plan = self.plan(services, self.until.clone(), wanted, self.unit_records).await?;
        let mut sink = Sink::Memory(Box::new(Collected::new(with_rows)));
        let fold_s = self.units(&Arc::new(plan), &mut sink).await?;
        let (mut written, rows) = sink.finish().await?;
        written.fold_s = fold_s;
        Ok((written, rows))
    }

    async fn plan(
        &self,
        services: &[ServiceName],
        until: Until,
        wanted: Wanted,
        unit_records: u64,
    ) -> Result<Plan, ReplayError> {
        let (source, services) = (self.source.clone(), services.to_vec());
        let made = tokio::task::spawn_blocking(move || Plan::make(&source, &services, &until, wanted, unit_records));
        let plan = made.await.map_err(|_| ReplayError::Aborted { what: "the topics' ends".into() })??;
        Ok(plan)
    }

    /// Fold all units that are not done, some at once, and hand them to the sink one after the other: while one is
    /// written, others are read. The seconds that folding took, summed over threads.
    async fn units(&self, plan: &Arc<Plan>, sink: &mut Sink) -> Result<f64, ReplayError> {
        let mut fold = Duration::ZERO;
        let mut waiting = (0..plan.units.len()).filter(|unit| !sink.has(*unit)).collect::<Vec<_>>().into_iter();
        let mut folding: JoinSet<Result<(usize, Folded), ReplayError>> = JoinSet::new();
        let records = waiting.as_slice().iter().map(|unit| plan.units[*unit].records()).sum();
        let progress = Progress::new("records folded", records);
        let left = waiting.as_slice().len();
        if left < plan.units.len() {
            let written = plan.units.len() - left;
            progress.tell(&format!("{written} of {} parts were written by an earlier run", plan.units.len()));
        }
        loop {
            while folding.len() < self.concurrency.max(1) {
                let Some(unit) = waiting.next() else { break };
                self.spawn(&mut folding, plan, unit, &progress);
            }
            let Some(folded) = folding.join_next().await else { break };
            let (unit, folded) = folded.map_err(|_| ReplayError::Aborted { what: "a part of the topics".into() })??;
            if self.is_strict
                && let Some(problem) = folded.problems.listed.first()
            {
                return Err(ReplayError::arguments(format!("{problem} (--strict)")));
            }
            fold += folded.elapsed;
            sink.take(unit, folded).await?;
        }
        progress.finish();
        Ok(fold.as_secs_f64())
    }

    fn spawn(
        &self,
        folding: &mut JoinSet<Result<(usize, Folded), ReplayError>>,
        plan: &Arc<Plan>,
        unit: usize,
        progress: &Progress,
    ) {
        let (source, plan, codec) = (self.source.clone(), Arc::clone(plan), self.codec.clone());
        let progress = progress.clone();
        folding.spawn_blocking(move || {
            let folded = unit::fold(&source, &plan, &plan.units[unit], &codec, &progress)?;
            Ok((unit, folded))
        });
    }
}

/// How soon to look again whether everything is published.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

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
                "the topic goes on to sequence {beyond}, the outbox ends at {head}: the database was set back"
            ),
        })
    };
    lanes.iter().filter_map(unknown).collect()
}

/// Takes units.
enum Sink {
    Shadow(Box<Shadow>),
    Directory(Box<Directory>),
    Memory(Box<Collected>),
}

impl Sink {
    fn has(&self, unit: usize) -> bool {
        match self {
            Sink::Shadow(shadow) => shadow.has(unit),
            Sink::Directory(_) | Sink::Memory(_) => false,
        }
    }

    async fn take(&mut self, unit: usize, folded: Folded) -> Result<(), ReplayError> {
        match self {
            Sink::Shadow(shadow) => shadow.write(unit, &folded).await,
            Sink::Directory(directory) => directory.take(folded),
            Sink::Memory(collected) => {
                collected.take(folded);
                Ok(())
            }
        }
    }

    async fn finish(self) -> Result<(Written, Option<Rows>), ReplayError> {
        match self {
            Sink::Shadow(mut shadow) => {
                let written = shadow.finish().await?;
                shadow.close().await;
                Ok((written, None))
            }
            Sink::Directory(directory) => Ok((directory.finish()?, None)),
            Sink::Memory(collected) => Ok(collected.finish()),
        }
    }
}
