//! A rebuild from beginning to end: planned, or gone on with as it was begun; folded into its target; put in the place of
//! the live tables.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::try_join_all;
use schemas::{Codec, ServiceName, TopicName};

use super::into::{Counted, FileSink, Shadow, Sink, StateFile, Swap, Tail, UnitLimit, schema_beside, tails};
use super::plan::{Begun, Plan, Until, Vector};
use super::report::ServiceReport;
use super::standing::Standing;
use super::unit::{Input, Written};
use crate::error::ReplayError;
use crate::fold::Wanted;
use crate::keeper::Keeper;
use crate::log::Channel;
use crate::snapshot::{ServiceTables, Session};
use crate::source::Source;

/// Where rebuilt state goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A schema beside the live one.
    Schema,
    /// A SQLite file, which must not be there yet.
    File(PathBuf),
    /// Nowhere: counts and a digest.
    Memory,
}

/// How many parts are held at once unless told otherwise: two are folded while one is written.
pub(crate) const PARALLEL: usize = 3;

/// What to rebuild, from what, and how.
#[derive(Debug, Clone)]
pub(crate) struct Rebuild {
    pub(crate) source: Source,
    pub(crate) codec: Codec,
    pub(crate) target: Target,
    pub(crate) until: Until,
    /// The most records whose state is held at once.
    pub(crate) unit_records: u64,
    /// How many units are held at once.
    pub(crate) parallel: usize,
    /// The first problem ends the run.
    pub(crate) is_strict: bool,
    /// Whether an unfinished earlier run is thrown away.
    pub(crate) is_restart: bool,
}

impl Rebuild {
    /// Rebuild these keepers' tables into the target; all at once, as far as units may be held.
    pub(crate) async fn run(&self, keepers: &[(Keeper, ServiceTables)]) -> Result<Vec<ServiceReport>, ReplayError> {
        let limit = UnitLimit::new(self.parallel);
        let reports = match &self.target {
            Target::Schema => {
                try_join_all(keepers.iter().map(|(keeper, live)| self.beside_live(*keeper, live, &limit))).await?
            }
            Target::File(path) => {
                let file = StateFile::create(path, self.is_restart)?;
                let names: Vec<Keeper> = keepers.iter().map(|(keeper, _)| *keeper).collect();
                let to_file = names.iter().map(|keeper| self.to_file(*keeper, &file, &limit));
                let mut reports = try_join_all(to_file).await?;
                blocking(move || file.publish(&names)).await?;
                reports.iter_mut().for_each(|report| report.written_to = Some(path.display().to_string()));
                reports
            }
            Target::Memory => try_join_all(keepers.iter().map(|(keeper, _)| self.counted(*keeper, &limit))).await?,
        };
        limit.finish();
        Ok(reports)
    }

    /// Put what was rebuilt in the place of the live tables.
    pub(crate) async fn swap(
        &self,
        keeper: Keeper,
        live: &ServiceTables,
        report: &mut ServiceReport,
        reads_again: bool,
    ) -> Result<(), ReplayError> {
        if !report.problems.is_empty() {
            let problems = report.problems.found;
            return Err(ReplayError::arguments(format!("not swapped: {problems} problems; see above")));
        }
        let rebuilt = schema_beside(&live.schema);
        let tails = match keeper {
            Keeper::Service(service) => self.tails(service).await?,
            // It publishes nothing.
            Keeper::View => Vec::new(),
        };
        let positions = self.positions(keeper, &report.ends);
        let (lanes, tails) = (&report.lanes, &tails);
        let swap = Swap { keeper, live, rebuilt: &rebuilt, positions: &positions, lanes, tails, reads_again };
        report.swapped_out_to = Some(swap.run().await?);
        report.written_to = Some(live.schema.clone());
        Ok(())
    }

    /// Where what a service has published ends, all of which can be read.
    async fn tails(&self, service: ServiceName) -> Result<Vec<Tail>, ReplayError> {
        let source = self.source.clone();
        let own = move |channel: &Channel| channel.writer() == Some(service);
        let look = move || Ok((source.open_transactions(Channel::all().filter(own))?, tails(&source, service)?));
        let (open, tails) = blocking(look).await?;
        match open.first() {
            None => Ok(tails),
            Some(open) => {
                let reason = format!("not swapped: what the service has published behind it would be missing: {open}");
                Err(ReplayError::tables(service, reason))
            }
        }
    }

    /// A vector by the topics' full names.
    fn positions(&self, keeper: Keeper, vector: &Vector) -> Vec<(String, i32, i64)> {
        let of_topic = |topic: &TopicName| {
            let (name, ends) = (self.source.topic(Channel::Messages(*topic)), vector.of(topic.as_str()));
            (0..)
                .zip(ends.unwrap_or_default())
                .map(|(partition, end)| (name.clone(), partition, *end))
                .collect::<Vec<_>>()
        };
        keeper.topics().iter().flat_map(of_topic).collect()
    }

    /// Where the read model stands now.
    async fn stands_at(&self, live: &ServiceTables) -> Result<Vector, ReplayError> {
        let session = Session::connect(Keeper::View, live).await?;
        let inbox = session.inbox().await;
        session.close().await;
        let (inbox, source) = (inbox?, self.source.clone());
        let standing = blocking(move || Standing::find(&inbox, &source)).await?;
        match standing.missing.first() {
            None => Ok(standing.vector),
            Some(problem) => Err(ReplayError::tables(Keeper::View, problem)),
        }
    }

    fn input(&self) -> Input {
        Input { source: self.source.clone(), codec: self.codec.clone(), is_strict: self.is_strict }
    }

    async fn beside_live(
        &self,
        keeper: Keeper,
        live: &ServiceTables,
        limit: &UnitLimit,
    ) -> Result<ServiceReport, ReplayError> {
        let begun = Instant::now();
        let schema = schema_beside(&live.schema);
        let mut shadow = Shadow::open(keeper, live, &schema).await?;
        let earlier = if self.is_restart { None } else { shadow.begun().await? };
        let until = match (keeper, &self.until) {
            (Keeper::View, Until::End) => Until::Vector(self.stands_at(live).await?),
            (Keeper::View | Keeper::Service(_), until) => until.clone(),
        };
        let plan = self.plan_or_go_on(keeper, until, earlier.as_ref()).await?;
        if earlier.is_none() {
            shadow.create(&live.schema, &Begun::of(&plan, self.unit_records)).await?;
        }
        let ends = plan.ends.clone();
        let fold_s = self.fill(plan, &mut shadow, limit).await?;
        let written = Written { fold_s, ..shadow.finish().await? };
        shadow.close().await;
        let report = ServiceReport::new(keeper, Some(schema), written);
        Ok(ServiceReport { is_resumed: earlier.is_some(), ends, ..report }.took(begun.elapsed()))
    }

    async fn to_file(
        &self,
        keeper: Keeper,
        file: &Arc<StateFile>,
        limit: &UnitLimit,
    ) -> Result<ServiceReport, ReplayError> {
        let begun = Instant::now();
        let mut sink = FileSink::new(keeper, file);
        // Another service may be writing to the file for a while.
        let (mut sink, earlier) = blocking(move || sink.begun().map(|earlier| (sink, earlier))).await?;
        let plan = self.plan_or_go_on(keeper, self.until.clone(), earlier.as_ref()).await?;
        if earlier.is_none() {
            let begun = Begun::of(&plan, self.unit_records);
            sink = blocking(move || sink.create(&begun).map(|()| sink)).await?;
        }
        let fold_s = self.fill(plan, &mut sink, limit).await?;
        let written = Written { fold_s, ..blocking(move || sink.finish()).await? };
        let report = ServiceReport::new(keeper, None, written);
        Ok(ServiceReport { is_resumed: earlier.is_some(), ..report }.took(begun.elapsed()))
    }

    async fn counted(&self, keeper: Keeper, limit: &UnitLimit) -> Result<ServiceReport, ReplayError> {
        let begun = Instant::now();
        let plan = self.plan(keeper, self.until.clone(), Wanted::Everything, self.unit_records).await?;
        let mut counted = Counted::new(keeper);
        let fold_s = self.fill(plan, &mut counted, limit).await?;
        let written = Written { fold_s, ..counted.finish() };
        Ok(ServiceReport::new(keeper, None, written).took(begun.elapsed()))
    }

    /// The plan of a new run, or that of an earlier one, whose topics must still be the same.
    async fn plan_or_go_on(&self, keeper: Keeper, until: Until, earlier: Option<&Begun>) -> Result<Plan, ReplayError> {
        let Some(earlier) = earlier else {
            return self.plan(keeper, until, Wanted::Everything, self.unit_records).await;
        };
        let (source, marks) = (self.source.clone(), earlier.marks.clone());
        blocking(move || marks.check(&source)).await?;
        let plan = self.plan(keeper, earlier.until(), Wanted::Everything, earlier.unit_records).await?;
        Ok(Plan { until_ms: earlier.until_ms, marks: earlier.marks.clone(), ..plan })
    }

    pub(super) async fn plan(
        &self,
        keeper: Keeper,
        until: Until,
        wanted: Wanted,
        unit_records: u64,
    ) -> Result<Plan, ReplayError> {
        let source = self.source.clone();
        blocking(move || Plan::make(&source, keeper, &until, wanted, unit_records)).await
    }

    /// Everything of the plan into the sink, from topics that are the same to the end. The seconds that folding took,
    /// summed over threads.
    pub(super) async fn fill<S: Sink>(&self, plan: Plan, sink: &mut S, limit: &UnitLimit) -> Result<f64, ReplayError> {
        let plan = Arc::new(plan);
        let fold_s = limit.fill(&self.input(), &plan, sink).await?;
        let source = self.source.clone();
        blocking(move || plan.marks.check(&source)).await?;
        Ok(fold_s)
    }
}

/// On a thread that may block.
pub(super) async fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> Result<T, ReplayError> + Send + 'static,
) -> Result<T, ReplayError> {
    let done = tokio::task::spawn_blocking(act).await;
    done.map_err(|_| ReplayError::Aborted { what: "the topics".into() })?
}
