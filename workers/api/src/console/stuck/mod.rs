//! What waits for a person: orders that are stuck, partitions and lanes that are held, keys that are parked.
//!
//! A stuck order is freed here, as the state machine allows. What is held or parked the daemons tell of themselves, and their command
//! line frees: its lines are here to be copied, because they need a look at what would be lost. Deliberately absent: a second way to
//! act on them.

mod held;
mod orders;

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use client::stage_in_words;
use maud::{Markup, html};
use schemas::{CommandId, OrderCommand, OrderId, ResolveOrder, RetryOrder, SkipOrderStep};
use serde::Deserialize;
use tokio::time::Instant;

use super::layout::{self, Place};
use super::trouble::{Trouble, notice};
use super::visit::{Asked, Signed, Visit};
use super::{Console, Shared, harmless};
use crate::http::{Ending, Fate, Problem, StuckQuery, escaped, stuck_page};
use crate::keys::Role;

/// How long a form waits for what came of it.
const WAIT: Duration = Duration::from_secs(5);

/// Orders of one page.
const PAGE: i64 = 25;

/// What the page shows.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Search {
    /// Behind this order.
    cursor: Option<String>,
    /// An order that something was asked of.
    order: Option<String>,
}

/// What is done about a stuck order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Act {
    /// Its step is tried again.
    Retry,
    /// Its step is taken for done.
    Skip,
    /// It ends, and its goods are with the customer.
    ResolveCompleted,
    /// It ends, and they are not.
    ResolveCancelled,
}

impl Act {
    const fn as_str(self) -> &'static str {
        match self {
            Act::Retry => "retry",
            Act::Skip => "skip",
            Act::ResolveCompleted => "resolve-completed",
            Act::ResolveCancelled => "resolve-cancelled",
        }
    }

    /// As the state machine's offers have it.
    fn named(name: &str, outcome: Option<Ending>) -> Option<Self> {
        match (name, outcome) {
            ("retry", _) => Some(Act::Retry),
            ("skip", _) => Some(Act::Skip),
            ("resolve", Some(Ending::Completed)) => Some(Act::ResolveCompleted),
            ("resolve", Some(Ending::Cancelled)) => Some(Act::ResolveCancelled),
            _ => None,
        }
    }
}

/// What stands in an order's form.
#[derive(Debug, Deserialize)]
pub(super) struct Form {
    act: Act,
    order_id: String,
    /// The step that was seen.
    #[serde(default)]
    step: String,
    /// New for each form: what is sent twice is done once.
    command_id: String,
    note: String,
}

/// The page.
pub(super) async fn page(
    State(console): Shared,
    visit: Visit,
    Asked(asked): Asked<Search>,
) -> Result<Response, Trouble> {
    let told = match &asked.order {
        Some(order) => stands(&console, order).await.map_err(|problem| Trouble::of(&visit, problem))?,
        None => html! {},
    };
    shown(&console, &visit, asked.cursor, &told).await
}

async fn shown(console: &Console, visit: &Visit, cursor: Option<String>, told: &Markup) -> Result<Response, Trouble> {
    let asked = StuckQuery { cursor, limit: Some(PAGE), ..StuckQuery::default() };
    let stuck = stuck_page(&console.door, asked).await.map_err(|problem| Trouble::of(visit, problem))?;
    let body = html! {
        (told)
        (orders::section(visit, &stuck))
        (held::sections(&console.door.daemons.heard()))
    };
    Ok(layout::page(visit, Some(Place::Stuck), "Stuck, held, parked", &body))
}

/// How an order stands of which something was asked.
async fn stands(console: &Console, order: &str) -> Result<Markup, Problem> {
    let found = console.door.reads.order(&OrderId::new(order)?).await?;
    let Some(found) = found else { return Ok(html! {}) };
    Ok(html! {
        div.notice role="status" {
            p { "Sent. Order " a.id href=(order_path(order)) { (harmless::line(order)) } " stands so: " (harmless::line(&stage_in_words(&found.what))) }
        }
    })
}

fn order_path(order: &str) -> String {
    format!("/console/orders/{}", escaped(order))
}

/// Does what a form says.
pub(super) async fn act(
    State(console): Shared,
    visit: Visit,
    headers: HeaderMap,
    Signed(form): Signed<Form>,
) -> Result<Response, Trouble> {
    visit.needs(Role::OpsAct)?;
    match carry_out(&console, &visit, &headers, &form).await {
        Ok(Fate::Done { .. } | Fate::OnItsWay(_)) => {
            Ok(Redirect::to(&format!("/console/stuck?order={}", escaped(&form.order_id))).into_response())
        }
        Err(problem) => {
            let told = html! { p { "Order " span.id { (harmless::line(&form.order_id)) } ":" } (notice(&problem)) };
            let mut page = shown(&console, &visit, None, &told).await?;
            *page.status_mut() = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            Ok(page)
        }
    }
}

async fn carry_out(console: &Console, visit: &Visit, headers: &HeaderMap, form: &Form) -> Result<Fate, Problem> {
    let (id, command) = command(form, visit.caller().name())?;
    console.door.act(command, &id, Some(Instant::now() + WAIT), headers).await
}

/// The command that a form asks for, and its id: each button of a form has its own.
fn command(form: &Form, by: &str) -> Result<(CommandId, OrderCommand), Problem> {
    let note = form.note.trim();
    if note.is_empty() {
        return Err(Problem::bad("say in the note who has seen to it, and how"));
    }
    let order_id = OrderId::new(form.order_id.as_str())?;
    let id = CommandId::new(format!("{}-{}", form.command_id, form.act.as_str()))?;
    let (command_id, by, note) = (id.clone(), Some(by.to_owned()), Some(note.to_owned()));
    let step = Some(form.step.clone()).filter(|step| !step.is_empty());
    let resolve = |outcome: Ending| outcome.as_str().to_owned();
    let command = match form.act {
        Act::Retry => RetryOrder { order_id, command_id, step, by, note }.into(),
        Act::Skip => SkipOrderStep { order_id, command_id, step, by, note }.into(),
        Act::ResolveCompleted => {
            ResolveOrder { order_id, command_id, outcome: resolve(Ending::Completed), by, note }.into()
        }
        Act::ResolveCancelled => {
            ResolveOrder { order_id, command_id, outcome: resolve(Ending::Cancelled), by, note }.into()
        }
    };
    Ok((id, command))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(act: Act, note: &str) -> Form {
        let (order_id, command_id) = ("o-1".to_owned(), uuid::Uuid::now_v7().to_string());
        Form { act, order_id, step: "PaymentVoid".to_owned(), command_id, note: note.to_owned() }
    }

    #[test]
    fn every_button_of_a_form_is_a_command_of_its_own_and_says_who_and_why() {
        let acts = [Act::Retry, Act::Skip, Act::ResolveCompleted, Act::ResolveCancelled];
        let ids: std::collections::BTreeSet<String> = acts
            .map(|act| {
                let form = Form { command_id: "c".to_owned(), ..form(act, " seen to ") };
                let (id, command) = command(&form, "kim").unwrap();
                let said = client::body_json(&command.into());
                assert_eq!((&said["by"], &said["note"]), (&"kim".into(), &"seen to".into()), "{said}");
                id.to_string()
            })
            .into();
        assert_eq!(ids.len(), acts.len());
        for act in acts {
            assert!(command(&form(act, " "), "kim").unwrap_err().detail.contains("note"));
            assert!(command(&form(act, "n"), "kim").is_ok(), "its id is not too long");
        }
    }
}
