//! Where the units of a service go, one after the other, and how they get there: some are folded while another is
//! written, never more than fit.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use crate::error::ReplayError;
use crate::progress::Progress;
use crate::rebuild::plan::Plan;
use crate::rebuild::unit::{self, Folded, Input};

/// Takes units.
pub(crate) trait Sink: Send {
    /// What it wants of a unit.
    type Part: Send + 'static;

    /// Make it, on the thread that has folded the unit.
    fn part(folded: Folded) -> Result<Self::Part, ReplayError>;

    /// Whether an earlier run has written the unit.
    fn has(&self, unit: usize) -> bool;

    /// Write a unit, whole or not at all.
    fn take(&mut self, unit: usize, part: Self::Part) -> impl Future<Output = Result<(), ReplayError>> + Send;
}

/// How many units may be held at once, by all services together, and how far they are.
#[derive(Debug, Clone)]
pub(crate) struct UnitLimit {
    permits: Arc<Semaphore>,
    parallel: usize,
    progress: Progress,
}

/// A unit that was folded and is not written.
struct Ready<P> {
    unit: usize,
    part: P,
    elapsed: Duration,
    permit: OwnedSemaphorePermit,
}

type Folding<P> = JoinSet<Result<Ready<P>, ReplayError>>;

impl UnitLimit {
    /// So many at once, at least one.
    pub(crate) fn new(parallel: usize) -> Self {
        let parallel = parallel.max(1);
        UnitLimit {
            permits: Arc::new(Semaphore::new(parallel)),
            parallel,
            progress: Progress::growing("records folded"),
        }
    }

    /// Fold all units that the sink does not have, and hand them to it. The seconds that folding took, summed over
    /// threads.
    pub(crate) async fn fill<S: Sink>(
        &self,
        input: &Input,
        plan: &Arc<Plan>,
        sink: &mut S,
    ) -> Result<f64, ReplayError> {
        let waiting: Vec<usize> = (0..plan.units.len()).filter(|unit| !sink.has(*unit)).collect();
        self.progress.expect(waiting.iter().map(|unit| plan.units[*unit].records()).sum());
        if waiting.len() < plan.units.len() {
            let (written, all) = (plan.units.len() - waiting.len(), plan.units.len());
            self.progress.tell(&format!("{written} of {all} parts were written by an earlier run"));
        }
        let mut waiting = waiting.into_iter();
        let mut folding = Folding::<S::Part>::new();
        let mut fold = Duration::ZERO;
        loop {
            // More would only queue up for permits.
            while folding.len() < self.parallel {
                let Some(unit) = waiting.next() else { break };
                self.spawn::<S>(&mut folding, input, plan, unit);
            }
            let Some(ready) = folding.join_next().await else { break };
            let Ready { unit, part, elapsed, permit } =
                ready.map_err(|_| ReplayError::Aborted { what: "a part of the topics".into() })??;
            fold += elapsed;
            sink.take(unit, part).await?;
            drop(permit);
        }
        Ok(fold.as_secs_f64())
    }

    /// Everything is done: nothing is drawn any more.
    pub(crate) fn finish(&self) {
        self.progress.finish();
    }

    fn spawn<S: Sink>(&self, folding: &mut Folding<S::Part>, input: &Input, plan: &Arc<Plan>, unit: usize) {
        let (input, permits, plan, progress) =
            (input.clone(), self.permits.clone(), Arc::clone(plan), self.progress.clone());
        folding.spawn(async move {
            let aborted = || ReplayError::Aborted { what: "a part of the topics".into() };
            let permit = permits.acquire_owned().await.map_err(|_| aborted())?;
            let folded = tokio::task::spawn_blocking(move || {
                let folded = unit::fold(&input, &plan, &plan.units[unit], &progress)?;
                let elapsed = folded.elapsed;
                Ok(Ready { unit, part: S::part(folded)?, elapsed, permit })
            });
            folded.await.map_err(|_| aborted())?
        });
    }
}
