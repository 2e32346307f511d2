//! Orders: found by their id or customer, filtered, a page at a time.
//!
//! How many there are in all nobody counts: a page says how many it shows, and whether there are more behind them.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use domain::saga::{Order, Stage};
use grammar::{counted, money};
use maud::{Markup, html};
use schemas::{CustomerId, OrderId, Sku};
use serde::Deserialize;

use super::act::Fields;
use super::layout::{self, Place};
use super::trouble::{Trouble, notice};
use super::visit::{Asked, Visit};
use super::{Console, Shared, bulk, order, sweep, words};
use crate::http::{Problem, behind, cursor, last_before_next};
use crate::view::{Filter, Standing};

/// So many are on a page.
const PAGE: i64 = 50;

/// What is looked for. A field that is empty is not there.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Search {
    /// An order's id, or a customer's.
    #[serde(default)]
    find: String,
    /// The stage.
    #[serde(default)]
    state: String,
    #[serde(default)]
    sku: String,
    /// Accepted no earlier.
    #[serde(default)]
    from: String,
    /// Accepted earlier.
    #[serde(default)]
    before: String,
    /// Where the page before ended.
    #[serde(default)]
    cursor: String,
    /// Whether all of the page are chosen to begin with.
    chosen: Option<String>,
    /// Whether the order of this id is wanted itself, where nothing else is found.
    go: Option<String>,
}

/// What was found.
struct Found {
    /// The order of this very id; of the first page alone.
    named: Option<Standing<Order>>,
    /// The others, the newest first.
    orders: Vec<Standing<Order>>,
    /// Where the next page begins; none on the last one.
    next: Option<String>,
}

/// The list.
pub(super) async fn page(
    State(console): Shared,
    visit: Visit,
    Asked(search): Asked<Search>,
) -> Result<Response, Trouble> {
    let body = match search.filter() {
        Ok(filter) => {
            let found = find(&console, &search, filter).await.map_err(|problem| Trouble::of(&visit, problem))?;
            if let Some(named) = found.named.as_ref().filter(|_| search.go.is_some() && found.orders.is_empty()) {
                return Ok(Redirect::to(&order::path(&named.what.order_id)).into_response());
            }
            html! { (search.form()) (list(&visit, &search, &found)) }
        }
        Err(words) => html! { (notice(&Problem::bad(words))) (search.form()) },
    };
    Ok(layout::page(&visit, Some(Place::Orders), "Orders", &body))
}

async fn find(console: &Arc<Console>, search: &Search, filter: Filter) -> Result<Found, Problem> {
    let reads = &console.door.reads;
    let id = OrderId::new(search.find.trim()).ok().filter(|_| filter.behind.is_none());
    let named = async {
        match &id {
            Some(id) => reads.order(id).await,
            None => Ok(None),
        }
    };
    let (named, mut orders) = tokio::try_join!(named, reads.orders(&filter, PAGE + 1))?;
    let next = last_before_next(&mut orders, PAGE).map(|last| cursor(&last.what));
    Ok(Found { named, orders, next })
}

impl Search {
    /// As a form gives it.
    pub(super) fn of(given: &Fields) -> Self {
        let text = |name: &str| given.text(name).unwrap_or_default().to_owned();
        let (find, state, sku) = (text("find"), text("state"), text("sku"));
        Search { find, state, sku, from: text("from"), before: text("before"), ..Search::default() }
    }

    /// What is looked for, wherever a page of it begins; what is empty is left out.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let Search { find, state, sku, from, before, cursor: _, chosen: _, go: _ } = self;
        let all = [("find", find), ("state", state), ("sku", sku), ("from", from), ("before", before)];
        all.map(|(name, value)| (name, value.trim())).into_iter().filter(|(_, value)| !value.is_empty())
    }

    pub(super) fn filter(&self) -> Result<Filter, String> {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let time = |text: &str| given(text).map(|text| words::read_time(&text)).transpose();
        let words = |error: schemas::IdError| error.to_string();
        if let Some(state) = given(&self.state).filter(|state| !Stage::names().any(|stage| stage == state)) {
            return Err(format!("{state} is no state of an order"));
        }
        let behind = given(&self.cursor).map(|cursor| behind(&cursor)).transpose();
        Ok(Filter {
            customer: given(&self.find).map(CustomerId::new).transpose().map_err(words)?.map(String::from),
            stage: given(&self.state),
            sku: given(&self.sku).map(Sku::new).transpose().map_err(words)?.map(String::from),
            from: time(&self.from)?,
            before: time(&self.before)?,
            behind: behind.map_err(|problem| problem.detail)?,
        })
    }

    fn is_narrow(&self) -> bool {
        self.fields().next().is_some()
    }

    /// Where it is looked for, a page that begins behind there.
    pub(super) fn path(&self, cursor: &str) -> String {
        let cursor = Some(("cursor", cursor)).filter(|(_, value)| !value.is_empty());
        let given: Vec<_> = self.fields().chain(cursor).collect();
        format!("/console/orders?{}", serde_urlencoded::to_string(given).unwrap_or_default())
    }

    fn form(&self) -> Markup {
        // A field of a time takes its own form alone.
        let time = |text: &str| words::read_time(text.trim()).map(words::time_field).unwrap_or_default();
        html! {
            form.card.filters method="get" action="/console/orders" role="search" aria-label="Orders" {
                div {
                    label for="find" { "Order or customer" }
                    input #find name="find" value=(self.find) maxlength="64" type="search" autocomplete="off";
                }
                div {
                    label for="state" { "State" }
                    select #state name="state" {
                        option value="" { "Any" }
                        @for stage in Stage::names() {
                            option value=(stage) selected[stage == self.state] { (words::label(stage)) }
                        }
                    }
                }
                div {
                    label for="sku" { "With the SKU" }
                    input #sku name="sku" value=(self.sku) maxlength="64" autocomplete="off";
                }
                div {
                    label for="from" { "Accepted from (UTC)" }
                    input #from name="from" type="datetime-local" step="1" value=(time(&self.from));
                }
                div {
                    label for="before" { "Accepted before (UTC)" }
                    input #before name="before" type="datetime-local" step="1" value=(time(&self.before));
                }
                div.actions {
                    button type="submit" { "Find" }
                    @if self.is_narrow() { a.button.quiet href="/console/orders" { "All orders" } }
                }
            }
        }
    }
}

fn list(visit: &Visit, search: &Search, found: &Found) -> Markup {
    let Found { named, orders, next } = found;
    let is_chosen = bulk::is_offered(visit).then_some(search.chosen.is_some());
    html! {
        @if let Some(named) = named {
            h2 { "The order of this id" }
            (table("The order of this id", std::slice::from_ref(named), None))
            h2 { "Orders of the customer of this id" }
        }
        @if orders.is_empty() {
            (nothing(search, named.is_some()))
        } @else {
            p { (counted(orders.len() as u64, "order")) ", the newest first"
                @if next.is_some() { "; there are more behind them." }
                @else if search.cursor.is_empty() { "; there are no others." }
                @else { "; they are the last." }
            }
            (choosable(visit, search, orders, is_chosen))
        }
        nav.actions aria-label="Pages of the list" {
            @if !search.cursor.is_empty() { a.button.quiet href=(search.path("")) { "First page" } }
            @if let Some(next) = next { a.button.quiet href=(search.path(next)) rel="next" { "Next page" } }
        }
    }
}

/// The orders; with boxes and what to do to them, where anything may be done.
fn choosable(visit: &Visit, search: &Search, orders: &[Standing<Order>], is_chosen: Option<bool>) -> Markup {
    let Some(are_all) = is_chosen else { return table("Orders", orders, None) };
    html! {
        form method="post" action="/console/bulk" {
            (visit.signature())
            p {
                @if are_all { a href=(search.path(&search.cursor)) { "Choose none" } }
                @else { a href={ (search.path(&search.cursor)) "&chosen=1" } { "Choose all of this page" } }
            }
            (table("Orders", orders, is_chosen))
            (bulk::bar(visit))
        }
        (sweep::offer(visit, search))
    }
}

fn nothing(search: &Search, is_named: bool) -> Markup {
    html! {
        p.empty {
            @if is_named { "None." }
            @else if search.is_narrow() {
                "No order is like that. An order's id and a customer's have to be given whole, with capitals as they are."
            } @else if search.cursor.is_empty() { "No order was placed yet." }
            @else { "There are no more." }
        }
    }
}

/// With a box for each where one can be chosen; and whether it is.
fn table(name: &str, orders: &[Standing<Order>], is_chosen: Option<bool>) -> Markup {
    html! {
        div.table tabindex="0" role="region" aria-label=(name) {
            table.orders {
                thead { tr {
                    @if is_chosen.is_some() { th scope="col" { "Chosen" } }
                    th scope="col" { "Order" } th scope="col" { "State" } th scope="col" { "Customer" }
                    th.number scope="col" { "Total" } th scope="col" { "Accepted (UTC)" } th scope="col" { "Changed (UTC)" }
                } }
                tbody { @for found in orders { (row(&found.what, is_chosen)) } }
            }
        }
    }
}

fn row(order: &Order, is_chosen: Option<bool>) -> Markup {
    let why = order.cancellation.as_ref().map(|why| why.code.clone().unwrap_or_else(|| why.reason.as_str().to_owned()));
    html! {
        tr {
            @if let Some(is_chosen) = is_chosen {
                td { input type="checkbox" name="order" value=(order.order_id) checked[is_chosen]
                    aria-label={ "Choose order " (order.order_id) }; }
            }
            th.id scope="row" { a href=(order::path(&order.order_id)) { (order.order_id) } }
            td { (words::state(order)) @if let Some(why) = why { " " span.why { (why) } } }
            td.id { (order.customer_id) }
            td.number { (money(order.total_minor, &order.currency)) }
            td { (words::time(order.accepted_at)) }
            td { (words::time(order.changed_at)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_for_is_read_and_goes_on_to_the_next_page() {
        let search = Search {
            find: " ada ".to_owned(),
            state: "stuck".to_owned(),
            from: "2026-11-30T12:00".to_owned(),
            ..Search::default()
        };
        let filter = search.filter().unwrap();
        assert_eq!((filter.customer.as_deref(), filter.stage.as_deref()), (Some("ada"), Some("stuck")));
        assert!(filter.from.is_some() && filter.before.is_none() && filter.behind.is_none());
        assert!(search.path("7f").ends_with("state=stuck&from=2026-11-30T12%3A00&cursor=7f"), "{}", search.path("7f"));
        let with = |change: fn(&mut Search)| {
            let mut search = Search::default();
            change(&mut search);
            search.filter()
        };
        assert!(with(|search| search.state = "gone".to_owned()).unwrap_err().contains("no state"));
        assert!(with(|search| search.before = "soon".to_owned()).is_err());
        assert!(with(|search| search.cursor = "soon".to_owned()).is_err());
        assert!(with(|search| search.sku = "x".repeat(65)).is_err());
    }

    #[test]
    fn what_was_looked_for_is_text_in_the_form_and_in_addresses() {
        let hostile = "\"><script>alert(1)</script>&a=b";
        let search = Search { find: hostile.to_owned(), sku: hostile.to_owned(), ..Search::default() };
        let found = Found { named: None, orders: Vec::new(), next: Some("7f".to_owned()) };
        let visit = Visit::of(crate::keys::Caller::local());
        let page = html! { (search.form()) (list(&visit, &search, &found)) }.into_string();
        assert!(!page.contains("<script") && page.contains("&lt;script&gt;"), "{page}");
        assert!(page.contains("find=%22%3E%3Cscript%3E"), "{page}");
        assert!(page.contains("No order is like that"), "{page}");
    }
}
