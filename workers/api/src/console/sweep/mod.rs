//! One thing done to all orders that a search finds: first it is looked, in the background, which they are and what it would do to
//! each; then, once somebody has seen that, it is done to those, and to no others.
//!
//! A sweep belongs to the instance, not to a page: it goes on while nobody looks, and whoever comes back sees how far it is. Its orders
//! are those of the look, by their ids. A command's id follows from the sweep and the order, so nothing is done twice. Deliberately
//! absent: keeping sweeps over a restart; what was not begun by then is not done, and the same search finds what is left.

mod draw;
mod work;

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Redirect, Response};
use futures_util::StreamExt as _;
use futures_util::stream::unfold;
use schemas::{CommandId, OrderId};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::act::{Act, Fields};
use super::layout::{self, Place};
use super::orders::Search;
use super::trouble::{Trouble, nothing};
use super::visit::{Signed, Visit};
use super::{Console, Shared};
use crate::http::{Kind, Problem, Room};
use crate::keys::Caller;
use crate::view::Filter;
pub(super) use draw::offer;

/// The most orders of one sweep: as many as the command line takes at once.
const MOST: usize = 10_000;

/// So many sweeps are remembered, and so many are under way at once.
const KEPT: usize = 32;
const AT_ONCE: usize = 4;

/// How long a form waits for its look to be over, so that a small one needs no second page.
const PATIENCE: Duration = Duration::from_millis(500);

/// Between two messages to whoever looks.
const PAUSE: Duration = Duration::from_millis(250);

/// How often a stream shows that it is alive.
const ALIVE: Duration = Duration::from_secs(15);

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It is looked which orders there are.
    Looking,
    /// Nothing was done yet.
    Looked,
    /// It is being done.
    Doing,
    /// It is over.
    Done,
    /// It could not be looked.
    Broken,
}

/// One thing done to many orders.
struct Sweep {
    /// Its id: the ids of its commands follow from it.
    id: CommandId,
    act: Act,
    fields: Fields,
    /// What was searched for.
    search: Search,
    filter: Filter,
    progress: Mutex<Progress>,
    /// Somebody wants no more of it to be begun.
    is_stopped: AtomicBool,
    changed: watch::Sender<Phase>,
}

/// What is known of it by now.
#[derive(Debug, Clone, Default)]
struct Progress {
    /// So many orders were looked at.
    looked_at: usize,
    /// Whether there are more than are looked at.
    is_cut: bool,
    /// Those that it is done to; nobody adds to them once they are shown.
    meant: Vec<OrderId>,
    /// How many of those that it would not be done to, by why.
    others: BTreeMap<String, usize>,
    /// Why it broke off.
    broken: Option<String>,
    /// Who has said that it is to be done.
    by: Option<Caller>,
    done: usize,
    on_their_way: Vec<OrderId>,
    failed: Vec<(OrderId, String)>,
}

impl Sweep {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn phase(&self) -> Phase {
        *self.changed.borrow()
    }

    /// Notes something, and tells whoever looks.
    fn note(&self, phase: Phase, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress());
        self.changed.send_replace(phase);
    }

    /// Whether it goes on to this phase from that one: for one of those who ask at the same time.
    fn goes_on(&self, from: Phase, to: Phase) -> bool {
        self.changed.send_if_modified(|phase| {
            let is_so = *phase == from;
            if is_so {
                *phase = to;
            }
            is_so
        })
    }

    fn path(&self) -> String {
        format!("/console/sweeps/{}", self.id)
    }

    fn is_over(&self) -> bool {
        matches!(self.phase(), Phase::Done | Phase::Broken | Phase::Looked)
    }
}

/// All sweeps of this instance.
pub(super) struct Sweeps {
    kept: Mutex<VecDeque<Arc<Sweep>>>,
    queue: mpsc::Sender<Arc<Sweep>>,
}

/// What is to be worked on.
pub(super) struct Queue(mpsc::Receiver<Arc<Sweep>>);

impl Sweeps {
    /// None yet; and the queue of those that are to be worked on.
    pub(super) fn new() -> (Self, Queue) {
        let (queue, receiver) = mpsc::channel(KEPT);
        (Sweeps { kept: Mutex::default(), queue }, Queue(receiver))
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Arc<Sweep>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, id: &str) -> Option<Arc<Sweep>> {
        self.kept().iter().find(|sweep| sweep.id.as_str() == id).cloned()
    }

    /// Keeps it, and forgets the oldest one at which nobody works.
    fn keep(&self, sweep: &Arc<Sweep>) -> Result<(), Problem> {
        let mut kept = self.kept();
        if kept.len() >= KEPT {
            let oldest = kept.iter().position(|sweep| sweep.is_over()).ok_or_else(too_many)?;
            kept.remove(oldest);
        }
        self.queue.try_send(Arc::clone(sweep)).map_err(|_| too_many())?;
        kept.push_back(Arc::clone(sweep));
        Ok(())
    }
}

fn too_many() -> Problem {
    Problem::new(Kind::TooMany, "too many of these are under way here; try again in a moment")
}

fn found(console: &Console, visit: &Visit, id: &str) -> Result<Arc<Sweep>, Trouble> {
    console.sweeps.of(id).ok_or_else(|| {
        let words = "there is no such action here: it is too old, or this instance was started again, or another one has it. \
                     What was not begun is not done; search again for what is left";
        nothing(visit, words)
    })
}

/// It is looked what it would do.
pub(super) async fn begin(
    State(console): Shared,
    visit: Visit,
    Signed(given): Signed<Vec<(String, String)>>,
) -> Result<Response, Trouble> {
    let mut fields = Fields(given);
    let bad = |words: String| Trouble::of(&visit, Problem::bad(words));
    let act = fields.text("act").and_then(Act::parse).filter(|act| Act::IN_BULK.contains(act));
    let act = act.ok_or_else(|| bad("choose what to do to the orders".to_owned()))?;
    visit.needs(act.role())?;
    if act.reason_code() == Some(true) && fields.text("reason_code").is_none() {
        return Err(bad(format!("{}: give a reason code", act.name())));
    }
    let search = Search::of(&fields);
    let filter = search.filter().map_err(bad)?;
    fields.0.push(("how".to_owned(), "all".to_owned()));
    let id = CommandId::new(format!("s-{}", Uuid::now_v7().simple())).map_err(|error| Trouble::of(&visit, error))?;
    let sweep = Arc::new(Sweep {
        id,
        act,
        fields,
        search,
        filter,
        progress: Mutex::default(),
        is_stopped: AtomicBool::new(false),
        changed: watch::Sender::new(Phase::Looking),
    });
    let mut changed = sweep.changed.subscribe();
    console.sweeps.keep(&sweep).map_err(|problem| Trouble::of(&visit, problem))?;
    // Whoever has not waited long enough sees on the page how it goes on.
    drop(tokio::time::timeout(PATIENCE, changed.wait_for(|phase| *phase != Phase::Looking)).await);
    Ok(Redirect::to(&sweep.path()).into_response())
}

/// How far it is.
pub(super) async fn page(State(console): Shared, visit: Visit, Path(id): Path<String>) -> Result<Response, Trouble> {
    let sweep = found(&console, &visit, &id)?;
    let title = format!("{}: all orders of a search", sweep.act.name());
    Ok(layout::page(&visit, Some(Place::Orders), &title, &draw::whole(&visit, &sweep)))
}

/// It is done to those that were shown; said twice, it is done once.
pub(super) async fn run(
    State(console): Shared,
    visit: Visit,
    Path(id): Path<String>,
    Signed(_): Signed<Vec<(String, String)>>,
) -> Result<Response, Trouble> {
    let sweep = found(&console, &visit, &id)?;
    visit.needs(sweep.act.role())?;
    if sweep.goes_on(Phase::Looked, Phase::Doing) {
        sweep.progress().by = Some(visit.caller().clone());
        if console.sweeps.queue.try_send(Arc::clone(&sweep)).is_err() {
            sweep.note(Phase::Looked, |_| {});
            return Err(Trouble::of(&visit, too_many()));
        }
    }
    Ok(Redirect::to(&sweep.path()).into_response())
}

/// What was not begun is not done.
pub(super) async fn stop(
    State(console): Shared,
    visit: Visit,
    Path(id): Path<String>,
    Signed(_): Signed<Vec<(String, String)>>,
) -> Result<Response, Trouble> {
    let sweep = found(&console, &visit, &id)?;
    visit.needs(sweep.act.role())?;
    sweep.is_stopped.store(true, Ordering::Relaxed);
    Ok(Redirect::to(&sweep.path()).into_response())
}

/// Those that failed, as a file.
pub(super) async fn failed(
    State(console): Shared,
    visit: Visit,
    Path((id, form)): Path<(String, String)>,
) -> Result<Response, Trouble> {
    let sweep = found(&console, &visit, &id)?;
    let failed = sweep.progress().failed.clone();
    let (kind, text) = match form.as_str() {
        "failed.csv" => ("text/csv; charset=utf-8", draw::csv(&failed)),
        "failed.jsonl" => ("application/x-ndjson", draw::json_lines(&failed)),
        _ => return Err(nothing(&visit, "there are failed.csv and failed.jsonl")),
    };
    let name = format!("attachment; filename=\"{}-{form}\"", sweep.act.as_str());
    Ok(([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, name)], text).into_response())
}

/// The changing part of its page, each time that it has changed.
pub(super) async fn stream(
    State(console): Shared,
    visit: Visit,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    let sweep = found(&console, &visit, &id)?;
    let room = Room::take(&console.door).map_err(|problem| Trouble::of(&visit, problem))?;
    let (pass, changed) = (visit.pass(&console, &headers), sweep.changed.subscribe());
    let stopping = console.door.stopping.clone();
    let first = (visit, sweep, changed, stopping, room);
    let stream = unfold((first, true), async |((visit, sweep, mut changed, mut stopping, room), is_first)| {
        if !is_first {
            tokio::select! {
                // An error means that the sender is gone, which is an end as well.
                _ = stopping.wait_for(|stopped| *stopped) => return None,
                came = changed.changed() => came.ok()?,
            }
            tokio::time::sleep(PAUSE).await;
        }
        changed.mark_unchanged();
        let drawn = draw::part(&visit, &sweep).into_string().replace('\r', "&#13;");
        Some((Ok::<_, Infallible>(Event::default().data(drawn)), ((visit, sweep, changed, stopping, room), false)))
    });
    let stream = stream.take_until(Box::pin(pass.ends()));
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(ALIVE)).into_response())
}
