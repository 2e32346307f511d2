//! Dead letters: listed by topic and cause, each shown with what it brought and what was done about it, corrected and published again,
//! or settled.
//!
//! The newest letters are kept in memory, with what was done about each, by a thread that reads the dead-letter topics on and on
//! (`keep`); a page that shows more than that, or says that what is kept may lag, reads the topics on request, within bounds. Whoever
//! acts does so on what the topics say then. All of it is `replay-tool`'s library, which also publishes and writes the notes: there is
//! one way to do it, and the command line's notes and these are the same. Deliberately absent: publishing to a topic that a service
//! writes: the order service is asked to make its request again instead (`asking`).

mod act;
mod asking;
mod letter;
mod list;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::Response;
use maud::{Markup, html};
use replay_tool::ReplayError;
use replay_tool::dead_letters::{
    Bounds, Channel, Filed, Keeper, Kept, Listed, Office, Room, Spot, Trouble as Hindrance,
};
use schemas::TopicName;
use serde::Deserialize;
use tokio::sync::{Mutex, Semaphore};

pub(super) use act::act;

use super::layout::{self, Place};
use super::trouble::{Trouble, nothing};
use super::visit::{Asked, Visit};
use super::{Console, Shared, harmless, words};
use crate::http::{Kind, Problem};
use letter::Told;
use list::Search;

/// How much is read for one page.
pub const BOUNDS: Bounds = Bounds { records: 20_000, time: Duration::from_secs(10) };

/// How much of each topic is kept in memory.
const ROOM: Room = Room { letters: 5_000, bytes: 8 * 1024 * 1024, letter_bytes: 64 * 1024 };

/// How long a form waits until what it has done is shown.
const SHOWN: Duration = Duration::from_secs(5);

/// So many pages read at once; another one waits.
const AT_ONCE: usize = 2;

/// How long it waits.
const WAIT: Duration = Duration::from_secs(10);

/// The dead letters, for all who look.
pub(super) struct Letters {
    office: Office,
    kept: Kept,
    room: Semaphore,
    /// One act at a time: the next one sees what this one has noted.
    turn: Mutex<()>,
}

impl Letters {
    /// Of this office; and who keeps the newest ones.
    pub(super) fn new(office: Office) -> (Self, Keeper) {
        let (kept, keeper) = office.keep(ROOM);
        (Letters { office, kept, room: Semaphore::new(AT_ONCE), turn: Mutex::new(()) }, keeper)
    }

    async fn list(&self) -> Result<Vec<Listed>, Problem> {
        let _room = self.enter().await?;
        self.office.list(TopicName::ALL.to_vec()).await.map_err(unreadable)
    }

    /// As the topic says now.
    async fn find(&self, spot: Spot) -> Result<Option<Arc<Filed>>, Problem> {
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

/// Whether the topics are to be read.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Reading {
    /// Where it is there, what is kept does not do.
    fresh: Option<String>,
}

/// The list.
pub(super) async fn page(
    State(console): Shared,
    visit: Visit,
    Asked(asked): Asked<Search>,
) -> Result<Response, Trouble> {
    let letters = &console.letters;
    let body = match letters.kept.standing().filter(|_| !asked.is_fresh()) {
        Some(standing) => html! {
            (hindrance(standing.trouble.as_ref()))
            (lag(standing.behind))
            (list::body(&standing.listed, &asked))
        },
        None => {
            let listed = letters.list().await.map_err(|problem| Trouble::of(&visit, problem))?;
            html! { p.hint { "Read from the topics for this page." } (list::body(&listed, &asked)) }
        }
    };
    Ok(layout::page(&visit, Some(Place::DeadLetters), "Dead letters", &body))
}

/// What is in the way of knowing more than what is kept.
fn hindrance(trouble: Option<&Hindrance>) -> Markup {
    html! {
        @if let Some(Hindrance { since, why }) = trouble {
            div.notice.warn {
                p { strong { "The dead-letter topics cannot be read since " (words::time(*since)) " UTC" } ": what came and was done after that is not here." }
                p.free { (harmless::line(why)) }
            }
        }
    }
}

fn lag(behind: i64) -> Markup {
    html! {
        @if behind > 0 {
            div.notice.warn { p { "This page is behind: " (grammar::counted(behind.unsigned_abs(), "record")) " of the dead-letter topics are still to be read." } }
        }
    }
}

/// One letter.
pub(super) async fn letter(
    State(console): Shared,
    visit: Visit,
    Path(named): Path<Named>,
    Asked(asked): Asked<Reading>,
) -> Result<Response, Trouble> {
    let (spot, kept) = (spot(&visit, named)?, &console.letters.kept);
    let (filed, told) = match kept.letter(spot).filter(|_| asked.fresh.is_none()) {
        Some(filed) => (filed, hindrance(kept.trouble().as_ref())),
        None => (found(&console, &visit, spot).await?, html! {}),
    };
    let body = letter::body(&visit, &filed, console.letters.office.codec(), &Told::default());
    Ok(layout::page(&visit, Some(Place::DeadLetters), "Dead letter", &html! { (told) (body) }))
}

async fn found(console: &Console, visit: &Visit, spot: Spot) -> Result<Arc<Filed>, Trouble> {
    let found = console.letters.find(spot).await.map_err(|problem| Trouble::of(visit, problem))?;
    found.ok_or_else(|| {
        let words = format!(
            "there is no letter at {spot}, or newer ones lie before it: `replay-tool dead-letters show '{spot}'` reads all"
        );
        nothing(visit, words)
    })
}

/// The page of a letter after something was done about it: with what was done, as soon as that is kept.
async fn path_after(letters: &Letters, filed: &Filed) -> String {
    let is_there = |kept: &Filed| kept.notes.len() > filed.notes.len() && kept.state().is_handled();
    let path = path(filed);
    match letters.kept.shows(filed.letter.spot, SHOWN, is_there).await {
        true => path,
        false => format!("{path}?fresh=yes"),
    }
}

fn shown(console: &Console, visit: &Visit, filed: &Filed, told: &Told) -> Response {
    let body = letter::body(visit, filed, console.letters.office.codec(), told);
    layout::page(visit, Some(Place::DeadLetters), "Dead letter", &body)
}
