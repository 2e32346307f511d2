//! `/console`: the pipeline as people see it, out of this program itself. Each file of this folder has the pages of one thing.
//!
//! Pages are whole without any script; where there is one, the live parts are exchanged by what `live` sends. A page shows what the
//! read model and the daemons say, and its buttons publish the commands that `/v1` publishes, with who asks and why.
//! [`visit`] says who may; [`layout`] is what every page has around it. Nothing is looked up again and again by a browser: `live`
//! samples once for everybody, and `counts` counts seldom what takes long.
//!
//! Deliberately absent: a browser of topics, users of its own, and pages that decide anything.

mod act;
mod assets;
mod bulk;
mod business;
mod charts;
mod counts;
mod dead_letters;
mod harmless;
mod layout;
mod live;
mod order;
mod orders;
mod overview;
mod sku;
mod standing;
mod stock;
mod stuck;
mod supply;
mod sweep;
mod trouble;
mod visit;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use replay_tool::dead_letters::Office;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::http::{Door, gate};
use counts::Counts;
pub use dead_letters::BOUNDS as LETTER_BOUNDS;
use dead_letters::Letters;
use live::Live;
use sweep::Sweeps;

/// All that the pages work with.
pub struct Console {
    door: Arc<Door>,
    live: Live,
    counts: Counts,
    letters: Letters,
    sweeps: Sweeps,
    /// What the forms of this process are signed with where nobody has a key.
    salt: String,
}

type Shared = State<Arc<Console>>;

/// The longest form, in bytes.
const LONGEST_FORM: usize = 1024 * 1024;

impl Console {
    /// Over this door, with dead letters of this office; and what samples, counts and reads for it until asked to stop.
    pub fn start(
        door: Arc<Door>,
        office: Office,
        salt: String,
        stopping: watch::Receiver<bool>,
    ) -> (Arc<Self>, JoinHandle<()>) {
        let (live, counts) = (Live::default(), Counts::default());
        let sampling = live.clone().keep_sampling(Arc::clone(&door), counts.clone(), stopping.clone());
        let mut until = stopping.clone();
        let counting = counts.clone().keep_counting(Arc::clone(&door), stopping.clone());
        let (sweeps, queue) = Sweeps::new();
        let sweeping = queue.keep_working(Arc::clone(&door), stopping);
        let (letters, keeper) = Letters::new(office);
        let keeping = keeper.run(async move {
            // An error means that the sender is gone, which is an end as well.
            drop(until.wait_for(|stopped| *stopped).await);
        });
        let task = tokio::spawn(async {
            tokio::join!(sampling, counting, sweeping, keeping);
        });
        (Arc::new(Console { door, live, counts, letters, sweeps, salt }), task)
    }
}

/// All pages.
pub fn router(console: Arc<Console>) -> Router {
    let visited = Router::new()
        .route("/console", get(overview::page))
        .route("/console/live", get(live::stream))
        .route("/console/orders", get(orders::page))
        .route("/console/bulk", post(bulk::check))
        .route("/console/bulk/run", post(bulk::run))
        .route("/console/sweeps", post(sweep::begin))
        .route("/console/sweeps/{id}", get(sweep::page))
        .route("/console/sweeps/{id}/live", get(sweep::stream))
        .route("/console/sweeps/{id}/run", post(sweep::run))
        .route("/console/sweeps/{id}/stop", post(sweep::stop))
        .route("/console/sweeps/{id}/{file}", get(sweep::failed))
        .route("/console/orders/{id}", get(order::page))
        .route("/console/orders/{id}/live", get(order::stream))
        .route("/console/orders/{id}/{act}", post(order::act))
        .route("/console/stock", get(stock::page))
        .route("/console/stock/{sku}", get(sku::page))
        .route("/console/stock/{sku}/{act}", post(sku::act))
        .route("/console/business", get(business::page))
        .route("/console/stuck", get(stuck::page).post(stuck::act))
        .route("/console/dead-letters", get(dead_letters::page))
        .route("/console/dead-letters/{topic}/{partition}/{offset}", get(dead_letters::letter).post(dead_letters::act))
        .route_layer(from_fn_with_state(Arc::clone(&console), visit::admit));
    Router::new()
        .merge(visited)
        .route("/console/login", get(visit::login_page).post(visit::log_in))
        .route("/console/logout", post(visit::log_out))
        .merge(assets::router())
        .layer(DefaultBodyLimit::max(LONGEST_FORM))
        .layer(from_fn(layout::policy))
        .layer(from_fn(gate::surround))
        .with_state(console)
}
