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
use domain::saga::Order;
use maud::{Markup, html};
use schemas::{CommandId, OrderCommand, OrderId};
use serde::Deserialize;
use tokio::time::Instant;

use super::act::{self, Act, Fields};
use super::layout::{self, Place};
use super::trouble::{Trouble, notice};
use super::visit::{Asked, Signed, Visit};
use super::{Console, Shared, harmless};
use crate::http::{Ending, Fate, Kind, Problem, StuckQuery, escaped, stuck_page};

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

/// What is done about a stuck order: a button of its form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Button {
    /// Its step is tried again.
    Retry,
    /// Its step is taken for done.
    Skip,
    /// It ends, and its goods are with the customer.
    ResolveCompleted,
    /// It ends, and they are not.
    ResolveCancelled,
}

impl Button {
    const fn as_str(self) -> &'static str {
        match self {
            Button::Retry => "retry",
            Button::Skip => "skip",
            Button::ResolveCompleted => "resolve-completed",
            Button::ResolveCancelled => "resolve-cancelled",
        }
    }

    /// As the state machine's offers have it.
    fn named(name: &str, outcome: Option<Ending>) -> Option<Self> {
        match (name, outcome) {
            ("retry", _) => Some(Button::Retry),
            ("skip", _) => Some(Button::Skip),
            ("resolve", Some(Ending::Completed)) => Some(Button::ResolveCompleted),
            ("resolve", Some(Ending::Cancelled)) => Some(Button::ResolveCancelled),
            _ => None,
        }
    }

    /// What it does to an order.
    const fn act(self) -> Act {
        match self {
            Button::Retry => Act::Retry,
            Button::Skip => Act::Skip,
            Button::ResolveCompleted | Button::ResolveCancelled => Act::Resolve,
        }
    }

    /// How the order ends, where it does.
    const fn outcome(self) -> Option<Ending> {
        match self {
            Button::ResolveCompleted => Some(Ending::Completed),
            Button::ResolveCancelled => Some(Ending::Cancelled),
            Button::Retry | Button::Skip => None,
        }
    }
}

/// What stands in an order's form.
#[derive(Debug, Deserialize)]
pub(super) struct Form {
    act: Button,
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
    visit.needs(form.act.act().role())?;
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
    let order_id = OrderId::new(form.order_id.as_str())?;
    let order = console.door.reads.order(&order_id).await?;
    let order = order.ok_or_else(|| Problem::new(Kind::NotFound, format!("there is no order {order_id}")))?.what;
    let (id, command) = command(form, &order, visit.caller().name())?;
    console.door.act(command, &id, Some(Instant::now() + WAIT), headers).await
}

/// The command that a form asks for, and its id: each button of a form has its own.
fn command(form: &Form, order: &Order, by: &str) -> Result<(CommandId, OrderCommand), Problem> {
    let id = CommandId::new(format!("{}-{}", form.command_id, form.act.as_str()))?;
    let outcome = form.act.outcome().map(|outcome| ("outcome", outcome.as_str()));
    let fields = [("note", form.note.as_str()), ("step", form.step.as_str())].into_iter().chain(outcome);
    let fields = Fields(fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect());
    let command = act::command(form.act.act(), order, &fields, &id, by).map_err(Problem::bad)?;
    Ok((id, command))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::order::tests::Story;

    fn form(act: Button, note: &str) -> Form {
        let (order_id, command_id) = ("o-1".to_owned(), uuid::Uuid::now_v7().to_string());
        Form { act, order_id, step: "PaymentVoid".to_owned(), command_id, note: note.to_owned() }
    }

    #[test]
    fn every_button_of_a_form_is_a_command_of_its_own_and_says_who_and_why() {
        let order = Story::stuck("o-1").order.unwrap();
        let buttons = [
            (Button::Retry, "RetryOrder", ("step", "PaymentVoid")),
            (Button::Skip, "SkipOrderStep", ("step", "PaymentVoid")),
            (Button::ResolveCompleted, "ResolveOrder", ("outcome", "completed")),
            (Button::ResolveCancelled, "ResolveOrder", ("outcome", "cancelled")),
        ];
        let ids: std::collections::BTreeSet<String> = buttons
            .map(|(button, name, (field, value))| {
                let form = Form { command_id: "c".to_owned(), ..form(button, " seen to ") };
                let (id, command) = command(&form, &order, "kim").unwrap();
                let message = schemas::Message::from(command);
                let said = client::body_json(&message);
                assert_eq!((&said["by"], &said["note"]), (&"kim".into(), &"seen to".into()), "{said}");
                assert_eq!((message.name(), &said[field]), (name, &value.into()), "{said}");
                id.to_string()
            })
            .into();
        assert_eq!(ids.len(), buttons.len());
        for (button, ..) in buttons {
            let said = command(&form(button, " "), &order, "kim");
            assert_eq!(
                said.is_err_and(|problem| problem.detail.contains("note")),
                button.act().needs_note(),
                "{button:?}"
            );
            assert!(command(&form(button, "n"), &order, "kim").is_ok(), "its id is not too long");
        }
    }
}
