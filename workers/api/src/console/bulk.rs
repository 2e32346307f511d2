//! One thing done to many orders: first what it would do to each, as the core decides it, then the same with what came of each.
//!
//! At most [`MOST`] at once. A command's id follows from the form and the order, so a form that is sent twice does everything once.
//! What would be refused is left out of the second form; what is refused all the same is listed with its reasons.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use domain::saga::Order;
use futures_util::{StreamExt as _, stream};
use grammar::counted;
use jiff::Timestamp;
use maud::{Markup, html};
use schemas::{CommandId, OrderId, Time};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use uuid::Uuid;

use super::act::{Act, Fields, Verdict, command, verdict};
use super::layout::{self, Place};
use super::order::{in_words, path};
use super::trouble::Trouble;
use super::visit::{Signed, Visit};
use super::{Shared, words};
use crate::http::{Door, Fate, Kind, Problem};
use crate::keys::hex;

/// The most orders that are acted on at once.
pub(super) const MOST: usize = 200;

/// So many commands are under way at once.
const AT_ONCE: usize = 16;

/// How long all of them may take: what was not begun by then is not.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is to be done to which orders.
struct Wanted {
    act: Act,
    fields: Fields,
    ids: BTreeSet<OrderId>,
}

impl Wanted {
    /// What a form asks for, of somebody who may.
    fn of(visit: &Visit, given: Vec<(String, String)>) -> Result<Self, Trouble> {
        let mut fields = Fields(given);
        let bad = |words: String| Trouble::of(visit, Problem::bad(words));
        let act = fields.text("act").and_then(Act::parse).filter(|act| Act::IN_BULK.contains(act));
        let act = act.ok_or_else(|| bad("choose what to do to the orders".to_owned()))?;
        visit.needs(act.role())?;
        let ids: Result<BTreeSet<OrderId>, _> = fields.all("order").map(OrderId::new).collect();
        let ids = ids.map_err(|error| Trouble::of(visit, error))?;
        match ids.len() {
            0 => return Err(bad("choose at least one order".to_owned())),
            1..=MOST => {}
            many => return Err(bad(format!("{many} orders are too many; at most {MOST} at once"))),
        }
        fields.0.push(("how".to_owned(), "all".to_owned()));
        Ok(Wanted { act, fields, ids })
    }

    /// The orders as they stand, by their ids.
    async fn orders(&self, door: &Door) -> Result<BTreeMap<OrderId, Order>, Problem> {
        let ids: Vec<OrderId> = self.ids.iter().cloned().collect();
        let found = door.reads.orders_of(&ids).await?;
        Ok(found.into_iter().map(|found| (found.what.order_id.clone(), found.what)).collect())
    }
}

/// What would become of an order.
struct Trial {
    id: OrderId,
    order: Option<Order>,
    verdict: Result<Verdict, String>,
}

/// What it would do to each, without doing it.
pub(super) async fn check(
    State(console): Shared,
    visit: Visit,
    Signed(given): Signed<Vec<(String, String)>>,
) -> Result<Response, Trouble> {
    let wanted = Wanted::of(&visit, given)?;
    let mut orders = wanted.orders(&console.door).await.map_err(|problem| Trouble::of(&visit, problem))?;
    let thought = CommandId::new("thought").map_err(|error| Trouble::of(&visit, error))?;
    let (now, by) = (Time::from(Timestamp::now()), visit.caller().name());
    let trial = |id: &OrderId| {
        let order = orders.remove(id);
        let judged = order.as_ref().ok_or_else(no_order).and_then(|order| {
            let command = command(wanted.act, order, &wanted.fields, &thought, by)?;
            Ok(verdict(order, &command, now))
        });
        Trial { id: id.clone(), order, verdict: judged }
    };
    let trials: Vec<Trial> = wanted.ids.iter().map(trial).collect();
    let form = format!("b-{}", Uuid::now_v7().simple());
    let title = format!("{}: what it would do", wanted.act.name());
    Ok(layout::page(&visit, Some(Place::Orders), &title, &checked(&visit, &wanted, &trials, &form)))
}

fn no_order() -> String {
    "there is no such order, as far as the read model has come".to_owned()
}

fn checked(visit: &Visit, wanted: &Wanted, trials: &[Trial], form: &str) -> Markup {
    let done = trials.iter().filter(|trial| matches!(trial.verdict, Ok(Verdict::Done(_))));
    let done: Vec<&OrderId> = done.map(|trial| &trial.id).collect();
    let others = trials.len() - done.len();
    let orders = counted(done.len() as u64, "order");
    html! {
        p { "Nothing was done yet. “" (wanted.act.name()) "” would be done to " strong { (orders) }
            @if others > 0 { ", and not to " (others) } "." }
        @if done.is_empty() {
            p.empty { "There is nothing to do." }
        } @else {
            form.card method="post" action="/console/bulk/run" {
                (visit.signature())
                input type="hidden" name="form" value=(form);
                input type="hidden" name="act" value=(wanted.act.as_str());
                @for name in ["note", "reason_code"] {
                    @if let Some(value) = wanted.fields.text(name) { input type="hidden" name=(name) value=(value); }
                }
                @for id in &done { input type="hidden" name="order" value=(id); }
                p { "Note: " (wanted.fields.text("note").unwrap_or("none")) }
                button.danger[wanted.act.undoes()] type="submit" { (wanted.act.name()) ": " (orders) }
            }
        }
        div.table tabindex="0" role="region" aria-label="What it would do" {
            table.orders {
                thead { tr { th scope="col" { "Order" } th scope="col" { "State" } th scope="col" { "What it would do" } } }
                tbody { @for trial in trials { (trial_row(trial)) } }
            }
        }
        p { a href="/console/orders" { "Back to the orders" } }
    }
}

fn trial_row(trial: &Trial) -> Markup {
    html! {
        tr {
            th.id scope="row" { a href=(path(&trial.id)) { (trial.id) } }
            td { @if let Some(order) = &trial.order { (words::state(order)) } }
            td.words { @match &trial.verdict {
                Ok(Verdict::Done(then)) => {
                    span.badge.good { "Done" } " " (then.iter().map(|name| in_words(name)).collect::<Vec<_>>().join(", then "))
                }
                Ok(Verdict::Nothing) => { span.badge.plain { "Nothing to do" } }
                Ok(Verdict::Refused(problem)) => { span.badge.bad { "Refused" } " " (reasons(problem)) }
                Err(words) => { span.badge.bad { "Not possible" } " " (words) }
            } }
        }
    }
}

fn reasons(problem: &Problem) -> Markup {
    html! {
        @if problem.reasons.is_empty() { (problem.detail) }
        @for reason in &problem.reasons { code { (reason.code) } " " (reason.detail) " " }
    }
}

/// What became of an order.
pub(super) enum End {
    Done,
    OnItsWay,
    Failed(Box<Problem>),
}

/// Does it, and tells what came of each.
pub(super) async fn run(
    State(console): Shared,
    visit: Visit,
    headers: HeaderMap,
    Signed(given): Signed<Vec<(String, String)>>,
) -> Result<Response, Trouble> {
    let wanted = Wanted::of(&visit, given)?;
    let form = CommandId::new(wanted.fields.text("form").unwrap_or_default());
    let form = form.map_err(|error| Trouble::of(&visit, error))?;
    let orders = wanted.orders(&console.door).await.map_err(|problem| Trouble::of(&visit, problem))?;
    let (door, until, by) = (Arc::clone(&console.door), Instant::now() + PATIENCE, visit.caller().name());
    let (door, wanted, headers, form, orders) = (&door, &wanted, &headers, &form, &orders);
    let each = wanted.ids.clone().into_iter().map(|id| {
        let order = orders.get(&id);
        async move {
            let end = one(door, wanted.act, &wanted.fields, order, &command_id(form, &id), by, until, headers).await;
            (id, end)
        }
    });
    let mut ends: Vec<(OrderId, End)> = stream::iter(each).buffer_unordered(AT_ONCE).collect().await;
    ends.sort_by(|(one, _), (other, _)| one.cmp(other));
    let title = format!("{}: what came of it", wanted.act.name());
    Ok(layout::page(&visit, Some(Place::Orders), &title, &told(&ends)))
}

/// A form's command for an order: the same, however often it is sent.
pub(super) fn command_id(form: &CommandId, order: &OrderId) -> Result<CommandId, Problem> {
    let of = Sha256::new().chain_update(form.as_str()).chain_update("\n").chain_update(order.as_str());
    let digest: [u8; 32] = of.finalize().into();
    Ok(CommandId::new(format!("b-{}", hex(&digest[..16])))?)
}

/// Does it to one of them.
#[expect(clippy::too_many_arguments, reason = "all of them differ from one order or action to the next")]
pub(super) async fn one(
    door: &Door,
    act: Act,
    fields: &Fields,
    order: Option<&Order>,
    id: &Result<CommandId, Problem>,
    by: &str,
    until: Instant,
    headers: &HeaderMap,
) -> End {
    let failed = |problem: Problem| End::Failed(Box::new(problem));
    if Instant::now() >= until {
        let words = "it was not begun: the time for all of them was up. Send the same form again; what is done is not done twice";
        return failed(Problem::new(Kind::Unavailable, words));
    }
    let id = match id {
        Ok(id) => id,
        Err(problem) => return failed(problem.clone()),
    };
    let asked = order.ok_or_else(no_order).and_then(|order| command(act, order, fields, id, by));
    match asked {
        Ok(asked) => match door.act(asked, id, Some(until), headers).await {
            Ok(Fate::Done { .. }) => End::Done,
            Ok(Fate::OnItsWay(_)) => End::OnItsWay,
            Err(problem) => failed(problem),
        },
        Err(words) => failed(Problem::bad(words)),
    }
}

fn told(ends: &[(OrderId, End)]) -> Markup {
    let of = |wanted: fn(&End) -> bool| -> Vec<&OrderId> {
        ends.iter().filter(|(_, end)| wanted(end)).map(|(id, _)| id).collect()
    };
    let (done, on_their_way) = (of(|end| matches!(end, End::Done)), of(|end| matches!(end, End::OnItsWay)));
    let failed = |(id, end): &'_ (OrderId, End)| match end {
        End::Failed(problem) => Some((id.clone(), problem.clone())),
        End::Done | End::OnItsWay => None,
    };
    let failed: Vec<(OrderId, Box<Problem>)> = ends.iter().filter_map(failed).collect();
    html! {
        div.notice.(if failed.is_empty() { "good" } else { "warn" }) role="status" {
            p { (counted(done.len() as u64, "order")) " done, " (on_their_way.len()) " on their way, " (failed.len()) " failed." }
        }
        @if !failed.is_empty() {
            h2 { "Failed" }
            div.table tabindex="0" role="region" aria-label="Failed" {
                table.orders {
                    thead { tr { th scope="col" { "Order" } th scope="col" { "Why" } } }
                    tbody { @for (id, problem) in &failed {
                        tr { th.id scope="row" { a href=(path(id)) { (id) } } td.words { (reasons(problem)) } }
                    } }
                }
            }
        }
        @if !on_their_way.is_empty() {
            h2 { "On their way" }
            p { "The order service has not answered yet; the pages of the orders show it." }
            (links(&on_their_way))
        }
        @if !done.is_empty() { h2 { "Done" } (links(&done)) }
        p { a href="/console/orders" { "Back to the orders" } }
    }
}

fn links(ids: &[&OrderId]) -> Markup {
    html! { ul.ids { @for id in ids { li.id { a href=(path(id)) { (id) } } } } }
}

/// Below a list of orders that can be chosen: what to do to them.
pub(super) fn bar(visit: &Visit) -> Markup {
    html! {
        fieldset.bulk {
            legend { "Do something to the orders that are chosen" }
            (what(visit, "bulk"))
            p.hint { "Nothing is done before you have seen that. A hold needs a reason code. At most " (MOST) " orders at once." }
        }
    }
}

/// What to do, and why.
pub(super) fn what(visit: &Visit, form: &str) -> Markup {
    let id = |field: &str| format!("{form}-{field}");
    html! {
        div.filters {
            div {
                label for=(id("act")) { "What" }
                select #(id("act")) name="act" required {
                    option value="" { "Choose" }
                    @for act in Act::IN_BULK.into_iter().filter(|act| visit.may(act.role())) {
                        option value=(act.as_str()) { (name(act)) }
                    }
                }
            }
            div {
                label for=(id("reason")) { "Reason code" }
                input #(id("reason")) name="reason_code" maxlength="64" autocomplete="off";
            }
            div {
                label for=(id("note")) { "Note" }
                input #(id("note")) name="note" maxlength="250" autocomplete="off";
            }
            div.actions { button type="submit" { "See what it would do" } }
        }
    }
}

/// Whether somebody may do anything to many orders.
pub(super) fn is_offered(visit: &Visit) -> bool {
    Act::IN_BULK.into_iter().any(|act| visit.may(act.role()))
}

fn name(act: Act) -> String {
    if act == Act::Refund { format!("{} all that is left", act.name()) } else { act.name().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> OrderId {
        OrderId::new(text).unwrap()
    }

    #[test]
    fn a_command_s_id_follows_from_the_form_and_the_order_alone() {
        let form = |text: &str| CommandId::new(text).unwrap();
        let of = |text: &str, order: &str| command_id(&form(text), &id(order)).unwrap();
        assert_eq!(of("b-1", "o-1"), of("b-1", "o-1"));
        assert_ne!(of("b-1", "o-1"), of("b-1", "o-2"));
        assert_ne!(of("b-1", "o-1"), of("b-2", "o-1"));
    }

    #[test]
    fn those_that_failed_are_listed_with_every_reason_and_all_ids_are_text() {
        let refusal = serde_json::json!({ "reasons": [
            { "code": "Held", "detail": "<script>held" }, { "code": "NotReady", "detail": "too early" } ] });
        let hostile = "<img src=x>\"'";
        let ends = [
            (id("o-1"), End::Done),
            (id("o-2"), End::OnItsWay),
            (id(hostile), End::Failed(Box::new(Problem::refused(&refusal)))),
        ];
        let page = told(&ends).into_string();
        for shown in ["1 order done, 1 on their way, 1 failed.", "NotReady", "too early", "&lt;script&gt;held"] {
            assert!(page.contains(shown), "{shown}: {page}");
        }
        assert!(!page.contains("<img") && !page.contains("<script"), "{page}");
    }
}
