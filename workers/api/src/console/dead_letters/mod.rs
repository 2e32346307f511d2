//! Dead letters: listed by topic and cause, each shown with what it brought and what was done about it, corrected and published again,
//! or settled.
//!
//! The topics are read when somebody asks, within bounds, by `replay-tool`'s library, which also publishes and writes the notes: there
//! is one way to do it, and the command line's notes and these are the same. Deliberately absent: publishing to a topic that a service
//! writes; the page says what to do instead.

mod act;
mod letter;
mod list;
#[cfg(test)]
mod tests;

use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::Response;
use replay_tool::ReplayError;
use replay_tool::dead_letters::{Bounds, Channel, Filed, Listed, Office, Spot};
use schemas::TopicName;
use tokio::sync::{Mutex, Semaphore};

pub(super) use act::act;

use super::layout::{self, Place};
use super::trouble::{Trouble, nothing};
use super::visit::{Asked, Visit};
use super::{Console, Shared};
use crate::http::{Kind, Problem};
use letter::Told;
use list::Search;

/// How much is read for one page.
pub const BOUNDS: Bounds = Bounds { records: 20_000, time: Duration::from_secs(10) };

/// So many pages read at once; another one waits.
const AT_ONCE: usize = 2;

/// How long it waits.
const WAIT: Duration = Duration::from_secs(10);

/// The dead letters, for all who look.
pub(super) struct Letters {
    office: Office,
    room: Semaphore,
    /// One act at a time: the next one sees what this one has noted.
    turn: Mutex<()>,
}

impl Letters {
    /// Of this office.
    pub(super) fn new(office: Office) -> Self {
        Letters { office, room: Semaphore::new(AT_ONCE), turn: Mutex::new(()) }
    }

    async fn list(&self) -> Result<Vec<Listed>, Problem> {
        let _room = self.enter().await?;
        self.office.list(TopicName::ALL.to_vec()).await.map_err(unreadable)
    }

    async fn find(&self, spot: Spot) -> Result<Option<Filed>, Problem> {
        let _room = self.enter().await?;
        self.office.letter(spot).await.map_err(unreadable)
    }

    async fn enter(&self) -> Result<tokio::sync::SemaphorePermit<'_>, Problem> {
        let entered = tokio::time::timeout(WAIT, self.room.acquire()).await;
        entered.ok().and_then(Result::ok).ok_or_else(|| {
            Problem::new(Kind::Unavailable, "others read the dead letters already; load the page again in a moment")
        })
    }
}

fn unreadable(error: ReplayError) -> Problem {
    tracing::warn!(%error, "the dead letters cannot be read");
    let words = "`replay-tool dead-letters list` reads them without a limit of time";
    Problem::new(Kind::Unavailable, format!("the dead letters cannot be read: {error}; {words}"))
}

/// Where a letter lies, as its page's path says it.
type Named = (String, i32, i64);

fn spot(visit: &Visit, (topic, partition, offset): Named) -> Result<Spot, Trouble> {
    let topic = TopicName::parse(&topic).ok_or_else(|| nothing(visit, format!("there is no topic {topic}")))?;
    Ok(Spot { channel: Channel::DeadLetters(topic), partition, offset })
}

fn path(filed: &Filed) -> String {
    let letter = &filed.letter;
    format!("/console/dead-letters/{}/{}/{}", letter.topic, letter.spot.partition, letter.spot.offset)
}

/// The list.
pub(super) async fn page(
    State(console): Shared,
    visit: Visit,
    Asked(asked): Asked<Search>,
) -> Result<Response, Trouble> {
    let listed = console.letters.list().await.map_err(|problem| Trouble::of(&visit, problem))?;
    Ok(layout::page(&visit, Some(Place::DeadLetters), "Dead letters", &list::body(&listed, &asked)))
}

/// One letter.
pub(super) async fn letter(
    State(console): Shared,
    visit: Visit,
    Path(named): Path<Named>,
) -> Result<Response, Trouble> {
    let filed = found(&console, &visit, spot(&visit, named)?).await?;
    Ok(shown(&console, &visit, &filed, &Told::default()))
}

async fn found(console: &Console, visit: &Visit, spot: Spot) -> Result<Filed, Trouble> {
    let found = console.letters.find(spot).await.map_err(|problem| Trouble::of(visit, problem))?;
    found.ok_or_else(|| {
        let words = format!(
            "there is no letter at {spot}, or newer ones lie before it: `replay-tool dead-letters show '{spot}'` reads all"
        );
        nothing(visit, words)
    })
}

fn shown(console: &Console, visit: &Visit, filed: &Filed, told: &Told) -> Response {
    let body = letter::body(visit, filed, console.letters.office.codec(), told);
    layout::page(visit, Some(Place::DeadLetters), "Dead letter", &body)
}
