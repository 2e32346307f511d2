//! `/console`: the pipeline as people see it, out of this program itself. Each file of this folder has the pages of one thing.
//!
//! Pages are whole without any script; where there is one, the live parts are exchanged by what `live` sends. A page shows what the
//! read model and the daemons say, and its buttons publish the commands that `/v1` publishes, with who asks and why.
//! [`visit`] says who may; [`layout`] is what every page has around it. Nothing is looked up again and again by a browser: `live`
//! samples once for everybody.
//!
//! Deliberately absent: a browser of topics, users of its own, and pages that decide anything.

mod assets;
mod dead_letters;
mod harmless;
mod layout;
mod live;
mod overview;
mod stuck;
mod trouble;
mod visit;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use replay_tool::dead_letters::Office;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::http::{Door, gate};
pub use dead_letters::BOUNDS as LETTER_BOUNDS;
use dead_letters::Letters;
use live::Live;

/// All that the pages work with.
pub struct Console {
    door: Arc<Door>,
    live: Live,
    letters: Letters,
    /// What the forms of this process are signed with where nobody has a key.
    salt: String,
}

type Shared = State<Arc<Console>>;

/// The longest form, in bytes.
const LONGEST_FORM: usize = 1024 * 1024;

impl Console {
    /// Over this door, with dead letters of this office; and what samples for it until asked to stop.
    pub fn start(
        door: Arc<Door>,
        office: Office,
        salt: String,
        stopping: watch::Receiver<bool>,
    ) -> (Arc<Self>, JoinHandle<()>) {
        let live = Live::default();
        let sampling = tokio::spawn(live.clone().keep_sampling(Arc::clone(&door), stopping));
        (Arc::new(Console { door, live, letters: Letters::new(office), salt }), sampling)
    }
}

/// All pages.
pub fn router(console: Arc<Console>) -> Router {
    let visited = Router::new()
        .route("/console", get(overview::page))
        .route("/console/live", get(live::stream))
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
        .layer(from_fn(gate::count))
        .layer(from_fn(layout::policy))
        .layer(from_fn(gate::secure))
        .with_state(console)
}
