//! What a form does about a letter: a redrive, a question to its service, the rehearsal of either, or a discard. Each says what it has seen, so that a form which is sent
//! twice, or by two people at once, does it once: the second finds a note more than it had seen.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use replay_tool::ReplayError;
use replay_tool::dead_letters::{Allowances, Edited, Filed, MAX_REDRIVES, Objection, Redrive, Ruling, Signature, Spot};
use serde::Deserialize;

use super::asking::{Asked, ask};
use super::letter::{Given, Told};
use super::{Named, WAIT, found, path_after, shown, spot};
use crate::console::trouble::Trouble;
use crate::console::visit::{Signed, Visit};
use crate::console::{Console, Shared};
use crate::http::{Kind, Problem};
use crate::keys::Role;

/// The longest note, in characters.
pub(super) const LONGEST_NOTE: usize = 1000;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Act {
    /// Publish it again.
    Redrive,
    /// Say what that would be.
    Rehearse,
    /// Have its service say again what its order waits for, and settle it.
    Ask,
    /// Say what that would be.
    RehearseAsking,
    /// Settle it.
    Discard,
}

/// What stands in a letter's form.
#[derive(Debug, Deserialize)]
pub(in crate::console) struct Form {
    act: Act,
    /// How many notes there were.
    seen: usize,
    note: String,
    #[serde(rename = "type")]
    name: Option<String>,
    body: Option<String>,
}

/// Does what a form says.
pub(in crate::console) async fn act(
    State(console): Shared,
    visit: Visit,
    Path(named): Path<Named>,
    headers: HeaderMap,
    Signed(form): Signed<Form>,
) -> Result<Response, Trouble> {
    visit.needs(Role::OpsAct)?;
    let spot = spot(&visit, named)?;
    // To its end, also where the visitor goes away: a record under way must not be looked for before it has come.
    let carried_out = tokio::spawn(in_turn(console, visit.clone(), headers, spot, form)).await;
    carried_out.unwrap_or_else(|error| {
        tracing::error!(%error, "an act on a dead letter has ended abnormally");
        Err(Trouble::of(
            &visit,
            Problem::new(Kind::Unavailable, "it has ended abnormally: load the letter's page again"),
        ))
    })
}

async fn in_turn(
    console: Arc<Console>,
    visit: Visit,
    headers: HeaderMap,
    spot: Spot,
    form: Form,
) -> Result<Response, Trouble> {
    let turn = tokio::time::timeout(WAIT, console.letters.turn.lock()).await;
    let busy =
        || Problem::new(Kind::Unavailable, "somebody else acts on a dead letter; send this once more in a moment");
    let _turn = turn.map_err(|_| Trouble::of(&visit, busy()))?;
    let filed = found(&console, &visit, spot).await?;
    let given = Given { name: form.name.clone(), body: form.body.clone(), note: form.note.clone() };
    match carry_out(&console, &visit, &headers, &filed, &form).await {
        Ok(Done::Written) => Ok(Redirect::to(&path_after(&console.letters, &filed).await).into_response()),
        Ok(Done::Rehearsed(words)) => {
            Ok(shown(&console, &visit, &filed, &Told { rehearsal: Some(words), given, problem: None }))
        }
        Err(problem) => {
            let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let told = Told { problem: Some(problem), given, rehearsal: None };
            let mut page = shown(&console, &visit, &filed, &told);
            *page.status_mut() = status;
            Ok(page)
        }
    }
}

/// What has come of it.
enum Done {
    Written,
    Rehearsed(String),
}

async fn carry_out(
    console: &Console,
    visit: &Visit,
    headers: &HeaderMap,
    filed: &Filed,
    form: &Form,
) -> Result<Done, Problem> {
    let office = &console.letters.office;
    let note = form.note.trim();
    if note.is_empty() || note.chars().count() > LONGEST_NOTE {
        return Err(Problem::bad(format!("say why, in at most {LONGEST_NOTE} characters")));
    }
    if filed.notes.len() != form.seen {
        let words =
            "somebody has done something about this letter since the page was made: see below what, and choose again";
        return Err(Problem::new(Kind::Refused, words));
    }
    let signed = |reason: String| Signature { by: visit.caller().name().to_owned(), reason: Some(reason) };
    let settle = async |reason: String| match filed.state().is_handled() {
        true => Err(Problem::new(Kind::Refused, "it is settled already")),
        false => office.discard(&filed.letter, signed(reason)).await.map(|()| Done::Written).map_err(unwritten),
    };
    match form.act {
        Act::Discard => return settle(note.to_owned()).await,
        Act::Ask | Act::RehearseAsking => {
            let is_dry = form.act == Act::RehearseAsking;
            return match ask(console, visit, headers, filed, note, is_dry).await? {
                Asked::WouldSay(names) => Ok(Done::Rehearsed(would_say(&names))),
                Asked::Told(order, id) => settle(format!("{note} (order {order} asks again: {id})")).await,
            };
        }
        Act::Redrive | Act::Rehearse => {}
    }
    let edited = edited(console, filed, form)?;
    // Whoever has seen its notes means it: what was handled is redriven again.
    let allowed = Allowances { again: true, unreadable: false, max_redrives: MAX_REDRIVES };
    let redrive = match office.rule(filed, edited.as_ref(), allowed) {
        Ruling::Publish(redrive) => redrive,
        Ruling::Settled(_) => return Err(Problem::new(Kind::Refused, "it is settled already")),
        Ruling::Refused(objection) => return Err(Problem::new(Kind::Refused, in_words(&objection))),
    };
    if form.act == Act::Rehearse {
        return Ok(Done::Rehearsed(plan(filed, edited.as_ref(), &redrive)));
    }
    let published =
        office.redrive(&filed.letter, edited.as_ref(), &redrive, signed(note.to_owned())).await.map_err(unwritten)?;
    let (by, letter) = (visit.caller().name(), filed.letter.spot);
    tracing::info!(by, %letter, partition = published.partition, offset = published.offset, "a dead letter was redriven");
    Ok(Done::Written)
}

fn edited(console: &Console, filed: &Filed, form: &Form) -> Result<Option<Edited>, Problem> {
    let (Some(name), Some(body)) = (&form.name, &form.body) else { return Ok(None) };
    let edited = Edited::of(name, body, filed.letter.topic, console.letters.office.codec());
    edited.map(Some).map_err(|error| Problem::bad(error.to_string()))
}

/// What an order would say that is asked again.
fn would_say(names: &[&str]) -> String {
    format!(
        "The order's service would say {}, through its outbox; this record itself is not published.",
        names.join(", ")
    )
}

/// What would be published.
fn plan(filed: &Filed, edited: Option<&Edited>, redrive: &Redrive) -> String {
    let letter = &filed.letter;
    let what = match edited {
        Some(Edited { message, payload }) => {
            format!("as {} under the key {:?}, {} bytes", message.name(), message.key(), payload.len())
        }
        None => format!("as it is, under its key {}", letter.key_in_words()),
    };
    let end = match redrive.begun {
        Some(_) => "; a redrive that was interrupted would be ended, and published only if it is not there",
        None => "",
    };
    format!("It would be published to {} {what}: redrive number {} of this message{end}.", letter.topic, redrive.count)
}

fn in_words(objection: &Objection) -> String {
    match objection {
        Objection::NotForOperators { writer } => {
            format!("only the {writer} service writes this topic; see below what to do instead")
        }
        Objection::NotKept { bytes } => format!("its body of {bytes} bytes was not kept: correct it, and send that"),
        Objection::WouldComeBack { fault } => format!("it would be set aside again: {fault}; correct it first"),
        Objection::TooOften { had, most } => format!(
            "it was redriven {had} times already, and {most} times is the most here; `replay-tool dead-letters redrive --max-redrives` \
             allows more"
        ),
    }
}

fn unwritten(error: ReplayError) -> Problem {
    tracing::warn!(%error, "a dead letter was not acted on");
    let words = "load the page again: it says whether a redrive has begun, and the next one ends it";
    Problem::new(Kind::Unavailable, format!("the brokers do not take it: {error}; {words}"))
}
