//! One order: how it stands, what it waits for, what can be done to it, and everything that was said of it.
//!
//! The page is drawn of the read model, and again whenever the order service says something, for as long as somebody looks. What is
//! asked for is one command, whose id the form has from the page: sent twice, it is done once. Nobody acts on what they have not
//! seen: where somebody else has changed the order meanwhile, that is told instead.

mod facts;
mod forms;
mod history;
mod live;
mod timeline;

#[cfg(test)]
pub(in crate::console) mod tests;

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use client::{Wait, WaitKind, detail_in, stage_in_words};
use domain::saga::Order;
use grammar::money;
use maud::{Markup, html};
use schemas::{CommandId, OrderId, TopicName};
use serde::Deserialize;
use tokio::time::Instant;
use uuid::Uuid;

use super::Shared;
use super::act::{self, Act, Fields};
use super::layout::{self, Place};
use super::trouble::{Trouble, nothing, notice};
use super::visit::{Asked, Signed, Visit};
use super::words;
use crate::http::{Door, Problem, escaped};
use history::{Hop, Looked};
pub(super) use live::stream;
pub(super) use timeline::in_words;

/// How long the answer to a command is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a page is asked for with.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct AskedFor {
    /// The command whose answer is told.
    asked: Option<String>,
    /// Whether all messages are shown.
    all: Option<String>,
    /// What the ids of the page's forms begin with.
    form: Option<String>,
}

/// What the ids of a page's forms begin with: a command's id is new for each page, and the same however often it is drawn.
#[derive(Debug, Clone)]
pub(super) struct FormIds(String);

impl FormIds {
    fn new() -> Self {
        FormIds(format!("c-{}", Uuid::now_v7().simple()))
    }

    /// Those of a page that is drawn again.
    fn given(text: &str) -> Self {
        let is_one = text.len() == 34 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if is_one { FormIds(text.to_owned()) } else { FormIds::new() }
    }

    fn of(&self, act: &str) -> String {
        format!("{}-{act}", self.0)
    }
}

/// Why something is not all there.
const CUT: &str = "so much was said of this order that only the newest of it is read here. The line at the end of the page shows all.";

/// The path of an order's page.
pub(super) fn path(id: &OrderId) -> String {
    format!("/console/orders/{}", escaped(id.as_str()))
}

/// The page.
pub(super) async fn page(
    State(console): Shared,
    visit: Visit,
    Path(id): Path<String>,
    Asked(asked): Asked<AskedFor>,
) -> Result<Response, Trouble> {
    let looked = look(&console.door, &visit, id).await?;
    Ok(drawn(&visit, &looked, &asked, &html! {}))
}

/// What a form asks for is published, and its answer waited for.
pub(super) async fn act(
    State(console): Shared,
    visit: Visit,
    Path((id, name)): Path<(String, String)>,
    headers: HeaderMap,
    Signed(fields): Signed<Vec<(String, String)>>,
) -> Result<Response, Trouble> {
    let wanted = Act::parse(&name).ok_or_else(|| nothing(&visit, format!("nothing is called {name}")))?;
    visit.needs(wanted.role())?;
    let fields = Fields(fields);
    let given = fields.text("command_id").unwrap_or_default();
    let command_id = CommandId::new(given).map_err(|error| Trouble::of(&visit, error))?;
    let looked = look(&console.door, &visit, id).await?;
    let order = looked.order();
    let told = |status, problem: &Markup, looked: &Looked| {
        let mut response = drawn(&visit, looked, &AskedFor::default(), problem);
        *response.status_mut() = status;
        Ok(response)
    };
    let since = fields.text("seen").and_then(|seen| seen.parse().ok()).unwrap_or(order.version);
    let done = looked.done_since(since, &command_id);
    if !done.is_empty() && !order.has_taken(&command_id) {
        return told(StatusCode::CONFLICT, &others(wanted, order, &done), &looked);
    }
    let command = match act::command(wanted, order, &fields, &command_id, visit.caller().name()) {
        Ok(command) => command,
        Err(words) => return told(StatusCode::BAD_REQUEST, &notice(&Problem::bad(words)), &looked),
    };
    match console.door.act(command, &command_id, Some(Instant::now() + PATIENCE), &headers).await {
        Ok(_) => {
            let page = format!("{}?asked={}", path(&order.order_id), escaped(command_id.as_str()));
            Ok(Redirect::to(&page).into_response())
        }
        Err(problem) => {
            let id = order.order_id.to_string();
            catch_up(&console.door, &order.order_id).await.map_err(|problem| Trouble::of(&visit, problem))?;
            let looked = look(&console.door, &visit, id).await?;
            told(StatusCode::from_u16(problem.status).unwrap_or_default(), &notice(&problem), &looked)
        }
    }
}

/// Waits until the read model has what the order service had said by now.
async fn catch_up(door: &Door, id: &OrderId) -> Result<(), Problem> {
    let listening = door.tail.listen(TopicName::OrderEvents, id.as_str());
    if let Some(before) = listening.before() {
        // A page that is behind is better than none.
        let _reached = door.reads.reaches(before, id.as_str(), PATIENCE).await?;
    }
    Ok(())
}

async fn look(door: &Door, visit: &Visit, id: String) -> Result<Looked, Trouble> {
    let trouble = |problem: Problem| Trouble::of(visit, problem);
    let id = OrderId::new(id).map_err(|error| Trouble::of(visit, error))?;
    if let Some(looked) = Looked::at(door, &id).await.map_err(trouble)? {
        return Ok(looked);
    }
    let refusal = door.reads.last_refusal(&id).await.map_err(|error| Trouble::of(visit, error))?;
    Err(match refusal {
        Some(said) => {
            let refused = Problem::refused(&serde_json::from_str(&said.body).unwrap_or_default());
            nothing(visit, format!("there is no order {id}: {}", refused.detail))
        }
        None => nothing(visit, format!("there is no order {id}, as far as the read model has come")),
    })
}

fn drawn(visit: &Visit, looked: &Looked, asked: &AskedFor, notice: &Markup) -> Response {
    // Never those of an address that somebody else may have made: only the stream of this very page draws it with the same ones.
    let ids = FormIds::new();
    let asked = AskedFor { form: Some(ids.0.clone()), ..asked.clone() };
    let order = path(&looked.order().order_id);
    let live = format!("{order}/live?{}", serde_urlencoded::to_string(pairs(&asked)).unwrap_or_default());
    let body = html! {
        (notice)
        div #order hx-sse:connect=(live) hx-swap="innerMorph" { (part(visit, looked, &asked, &ids)) }
    };
    layout::page(visit, Some(Place::Orders), &format!("Order {}", looked.order().order_id), &body)
}

fn pairs(asked: &AskedFor) -> Vec<(&'static str, &str)> {
    let AskedFor { asked, all, form } = asked;
    let each = [("asked", asked), ("all", all), ("form", form)];
    each.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect()
}

/// All that is drawn again when something has happened.
fn part(visit: &Visit, looked: &Looked, asked: &AskedFor, ids: &FormIds) -> Markup {
    let order = looked.order();
    let whole = format!("{}?all=1", path(&order.order_id));
    html! {
        @if let Some(command) = asked.asked.as_deref().and_then(|asked| CommandId::new(asked).ok()) {
            (answer(looked, &command))
        }
        (owed(looked))
        (head(looked))
        h2 #acts { "What can be done" }
        (forms::all(visit, looked, ids))
        h2 #happened { "What has happened" }
        (timeline::lanes(&looked.hops, &words::manner(&order.currency), asked.all.is_some(), &whole))
        (facts::all(looked))
        h2 #closer { "Look closer" }
        p { "All topics, with the commands in between, from a terminal:" }
        pre tabindex="0" { "replay-tool trace " (quoted(order.order_id.as_str())) }
    }
}

/// The money of an order that was undone, which was given back and came back.
fn owed(looked: &Looked) -> Markup {
    let order = looked.order();
    let Some((minor, detail)) = looked.owed() else { return html! {} };
    html! {
        div.notice.bad role="alert" {
            p { strong { "Money to give back by hand: " (money(minor, &order.currency)) "." } }
            p { "This order was undone, and its refund came back from the provider: " (detail) }
            p { "Nothing gives it back by itself. Ask the customer for another way, as a bank account, pay it there, and note it with your books." }
        }
    }
}

/// How it stands, who it is for, and what it waits for.
fn head(looked: &Looked) -> Markup {
    let order = looked.order();
    html! {
        section.card aria-label="How it stands" {
            p.stands role="status" { (words::state(order)) @if let Some(more) = more_of_state(order) { " " (more) } }
            dl.facts {
                dt { "Customer" }
                dd.id { a href={ "/console/orders?find=" (escaped(order.customer_id.as_str())) } { (order.customer_id) } }
                dt { "Total" } dd { (money(order.total_minor, &order.currency)) }
                dt { "Placed" } dd { (words::time(order.placed_at)) " UTC" }
                dt { "Accepted" } dd { (words::time(order.accepted_at)) " UTC" }
                dt { "Changed" } dd { (words::time(order.changed_at)) " UTC, version " (order.version) }
            }
            h2 #waits { "What it waits for" }
            @let waits = looked.waits();
            @if waits.is_empty() { p { "Nothing." } }
            @if looked.is_cut() { p.hint { "Since when is not known exactly: " (CUT) } }
            ul.waits { @for wait in &waits {
                li {
                    @let (what, then) = for_people(wait);
                    strong { (what) } ", since " (words::time(wait.since)) " UTC"
                    @if let Some(until) = wait.until { ", until " (words::time(until)) " UTC" }
                    ": " (then) "."
                }
            } }
        }
    }
}

/// What the name of its stage does not say.
fn more_of_state(order: &Order) -> Option<String> {
    let words = stage_in_words(order);
    (words != order.stage.as_str().replace('_', " ")).then_some(words)
}

/// What an order waits for, and what then, without the names of messages and verbs of a command line.
fn for_people(wait: &Wait) -> (String, &'static str) {
    match wait.kind {
        WaitKind::Reply(step) => (format!("An answer: {}", in_words(step.as_str())), wait.then),
        WaitKind::Shipment => ("Somebody to ship it".to_owned(), wait.then),
        WaitKind::Hold => ("Somebody to release or reject it".to_owned(), wait.then),
        WaitKind::Person(step) => {
            let words = "it is tried again, taken for done, or the order ended";
            (format!("A person, at the step {}", in_words(step.as_str())), words)
        }
        WaitKind::Refund | WaitKind::Return | WaitKind::StockReturn => (wait.what.clone(), wait.then),
    }
}

/// What came of the command that was asked for.
fn answer(looked: &Looked, command: &CommandId) -> Markup {
    let order = looked.order();
    match looked.answer(command) {
        Some(hop) if hop.told.said.version.is_some() => html! {
            div.notice.good role="status" { p { strong { "Done. " } (told(hop, &order.currency)) } }
        },
        Some(hop) => html! {
            div.notice.bad role="alert" { p { strong { "Refused; nothing was done. " } (told(hop, &order.currency)) } }
        },
        None => html! {
            div.notice.warn role="status" {
                p { strong { "On its way. " } "The order service has not answered yet; the answer is shown here when it comes." }
            }
        },
    }
}

/// What others have done, where somebody meant to do something as well.
fn others(wanted: Act, order: &Order, done: &[&Hop]) -> Markup {
    html! {
        div.notice.warn role="alert" {
            p { strong { "Somebody else was here first; nothing was done for you." } }
            p { "Since the page was drawn on which you chose “" (wanted.name()) "”, this has happened:" }
            ul { @for hop in done { li { (words::time(hop.told.at)) " UTC: " (told(hop, &order.currency)) } } }
            p { "Below is the order as it stands now." }
        }
    }
}

fn told(hop: &Hop, currency: &str) -> Markup {
    let more = hop
        .message
        .as_ref()
        .map(|message| detail_in(message, &words::manner(currency)))
        .filter(|more| !more.is_empty());
    html! { (in_words(&hop.told.said.name)) @if let Some(more) = more { ": " (more) } }
}

/// An id as a shell takes it.
fn quoted(id: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/:".contains(&byte);
    match id.bytes().all(is_plain) && !id.starts_with('-') {
        true => id.to_owned(),
        false => format!("'{}'", id.replace('\'', "'\\''")),
    }
}
