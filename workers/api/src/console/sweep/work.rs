//! What sweeps do in the background: one task for all of them, which ends with the instance.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use schemas::{CommandId, OrderId, Time};
use tokio::sync::watch;
use tokio::time::Instant;

use super::{AT_ONCE, MOST, Phase, Progress, Queue, Sweep};
use crate::console::act::{Verdict, command, verdict};
use crate::console::bulk::{End, command_id, one};
use crate::http::{Door, Problem, gate};
use crate::view::Standing;
use domain::saga::Order;

/// So many orders are read at once.
const PAGE: i64 = 500;

/// So many commands of a sweep are under way at once.
const COMMANDS_AT_ONCE: usize = 16;

/// How long the answer to one command is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where commands wait for Kafka or the order service, a sweep waits for them: so often, and so long each time.
const TRIES: usize = 60;
const REST: Duration = Duration::from_secs(1);

impl Queue {
    /// Works on sweeps until asked to stop; so many at once.
    pub(in crate::console) async fn keep_working(mut self, door: Arc<Door>, mut stopping: watch::Receiver<bool>) {
        let mut under_way = FuturesUnordered::new();
        loop {
            tokio::select! {
                // An error means that the sender is gone, which is an end as well.
                _ = stopping.wait_for(|stopped| *stopped) => return,
                Some(()) = under_way.next() => {}
                Some(sweep) = self.0.recv(), if under_way.len() < AT_ONCE => under_way.push(work(Arc::clone(&door), sweep)),
            }
        }
    }
}

async fn work(door: Arc<Door>, sweep: Arc<Sweep>) {
    match sweep.phase() {
        Phase::Looking => {
            let looked = look(&door, &sweep).await;
            match looked {
                Ok(()) => sweep.note(Phase::Looked, |_| {}),
                Err(problem) => sweep.note(Phase::Broken, |progress| progress.broken = Some(problem.detail)),
            }
        }
        Phase::Doing => {
            let by = sweep.progress().by.clone();
            if let Some(by) = by {
                let name = by.name().to_owned();
                gate::asked_by(by, carry_out(&door, &sweep, &name)).await;
            }
            sweep.note(Phase::Done, |_| {});
        }
        Phase::Looked | Phase::Done | Phase::Broken => {}
    }
}

/// Which orders there are, and what it would do to each.
async fn look(door: &Door, sweep: &Sweep) -> Result<(), Problem> {
    let (thought, now) = (CommandId::new("thought")?, Time::from(Timestamp::now()));
    let mut filter = sweep.filter.clone();
    if let Some(id) = filter.customer.as_deref().and_then(|find| OrderId::new(find).ok())
        && let Some(named) = door.reads.order(&id).await?
    {
        sweep.note(Phase::Looking, |progress| judge(sweep, progress, &[named], &thought, now));
    }
    loop {
        let found = door.reads.orders(&filter, PAGE).await?;
        let room = MOST.saturating_sub(sweep.progress().looked_at);
        let taken = found.get(..room).unwrap_or(&found);
        sweep.note(Phase::Looking, |progress| {
            judge(sweep, progress, taken, &thought, now);
            progress.is_cut = taken.len() < found.len();
        });
        let last = found.last().filter(|_| i64::try_from(found.len()).is_ok_and(|count| count == PAGE));
        match last {
            Some(last) if taken.len() == found.len() => {
                filter.behind = Some((last.what.accepted_at, last.what.order_id.to_string()));
            }
            Some(_) | None => return Ok(()),
        }
    }
}

fn judge(sweep: &Sweep, progress: &mut Progress, found: &[Standing<Order>], thought: &CommandId, now: Time) {
    for order in found.iter().map(|found| &found.what) {
        progress.looked_at += 1;
        let asked = command(sweep.act, order, &sweep.fields, thought, "nobody");
        let why = match asked.map(|command| verdict(order, &command, now)) {
            Ok(Verdict::Done(_)) => {
                // The one that was found by its id comes first; it may be its customer's as well.
                if progress.meant.first() != Some(&order.order_id) {
                    progress.meant.push(order.order_id.clone());
                }
                continue;
            }
            Ok(Verdict::Nothing) => "there is nothing to do".to_owned(),
            Ok(Verdict::Refused(problem)) => {
                let code = problem.reasons.first().map(|reason| reason.code.clone());
                code.unwrap_or_else(|| problem.title.to_owned())
            }
            Err(words) => words,
        };
        *progress.others.entry(why).or_default() += 1;
    }
}

/// Does it to each of those that were shown.
async fn carry_out(door: &Door, sweep: &Sweep, by: &str) {
    let meant = sweep.progress().meant.clone();
    for some in meant.chunks(usize::try_from(PAGE).unwrap_or(1)) {
        let found = match door.reads.orders_of(some).await {
            Ok(found) => found,
            Err(error) => {
                let words = format!("it was not begun: {}", Problem::from(error).detail);
                let all = some.iter().map(|id| (id.clone(), words.clone()));
                sweep.note(Phase::Doing, |progress| progress.failed.extend(all));
                continue;
            }
        };
        let found: BTreeMap<&OrderId, &Order> = found.iter().map(|found| (&found.what.order_id, &found.what)).collect();
        let mut each = Vec::with_capacity(some.len());
        for id in some {
            each.push(end_of(door, sweep, id, found.get(id).copied(), by));
        }
        let mut ends = stream::iter(each).buffer_unordered(COMMANDS_AT_ONCE);
        while let Some((id, end)) = ends.next().await {
            sweep.note(Phase::Doing, |progress| match end {
                Ok(End::Done) => progress.done += 1,
                Ok(End::OnItsWay) => progress.on_their_way.push(id.clone()),
                Ok(End::Failed(problem)) => progress.failed.push((id.clone(), in_words(&problem))),
                Err(words) => progress.failed.push((id.clone(), words)),
            });
        }
    }
}

async fn end_of<'s>(
    door: &Door,
    sweep: &Sweep,
    id: &'s OrderId,
    order: Option<&Order>,
    by: &str,
) -> (&'s OrderId, Result<End, String>) {
    let command_id = command_id(&sweep.id, id);
    for _ in 0..TRIES {
        if sweep.is_stopped.load(Ordering::Relaxed) {
            return (id, Err("it was not begun: somebody has stopped the action".to_owned()));
        }
        let until = Instant::now() + PATIENCE;
        let end = one(door, sweep.act, &sweep.fields, order, &command_id, by, until, &HeaderMap::new()).await;
        match end {
            End::Failed(problem) if problem.status == StatusCode::TOO_MANY_REQUESTS.as_u16() => {
                tokio::time::sleep(REST).await;
            }
            End::Done | End::OnItsWay | End::Failed(_) => return (id, Ok(end)),
        }
    }
    (id, Err("it was not begun: too many commands wait for the order service".to_owned()))
}

fn in_words(problem: &Problem) -> String {
    match problem.reasons.is_empty() {
        true => problem.detail.clone(),
        false => {
            let reasons = problem.reasons.iter().map(|reason| format!("{}: {}", reason.code, reason.detail));
            reasons.collect::<Vec<_>>().join("; ")
        }
    }
}
