//! How much there is of each SKU, a page at a time, and the way to one of them.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use domain::stock::{Level, Product};
use maud::{Markup, html};
use schemas::Sku;
use serde::Deserialize;

use super::Shared;
use super::layout::{self, Place};
use super::trouble::Trouble;
use super::visit::{Asked, Visit};
use super::words::number;
use crate::http::{Problem, escaped, last_before_next};

/// So many are on a page.
const PAGE: i64 = 50;

/// What is looked for. A field that is empty is not there.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Search {
    /// A SKU that is known by name.
    #[serde(default)]
    sku: String,
    /// The last one of the page before.
    #[serde(default)]
    behind: String,
}

/// Where a SKU's page is.
pub(super) fn path(sku: &Sku) -> String {
    format!("/console/stock/{}", escaped(sku.as_str()))
}

/// The list; or the page of the SKU that is named.
pub(super) async fn page(
    State(console): Shared,
    visit: Visit,
    Asked(search): Asked<Search>,
) -> Result<Response, Trouble> {
    let named = |text: &str| Sku::new(text).map_err(|error| Trouble::of(&visit, Problem::bad(format!("SKU: {error}"))));
    if !search.sku.trim().is_empty() {
        return Ok(Redirect::to(&path(&named(search.sku.trim())?)).into_response());
    }
    if !search.behind.is_empty() {
        named(&search.behind)?;
    }
    let reads = &console.door.reads;
    let found = tokio::try_join!(reads.levels(&search.behind, PAGE + 1), reads.products(&search.behind, PAGE + 1));
    let (mut levels, products) = found.map_err(|error| Trouble::of(&visit, error))?;
    let next = last_before_next(&mut levels, PAGE).map(|last| last.what.0.clone());
    let levels: Vec<(Sku, Level)> = levels.into_iter().map(|found| found.what).collect();
    let products: BTreeMap<Sku, Product> =
        products.into_iter().map(|found| (found.what.0.sku.clone(), found.what.0)).collect();
    Ok(layout::page(&visit, Some(Place::Stock), "Stock", &list(&search, &levels, &products, next.as_ref())))
}

fn list(search: &Search, levels: &[(Sku, Level)], products: &BTreeMap<Sku, Product>, next: Option<&Sku>) -> Markup {
    html! {
        form.card.filters method="get" action="/console/stock" {
            div { label for="sku" { "SKU" } input #sku name="sku" required maxlength="256"; }
            div { button type="submit" { "Open" } }
            p.hint { "One that is not there yet can be received or described on its page." }
        }
        @if levels.is_empty() {
            p.empty { @if search.behind.is_empty() { "Nothing was ever received." } @else { "There are no more." } }
        } @else {
            div.table { table {
                thead { tr {
                    th scope="col" { "SKU" } th scope="col" { "Title" } th.number scope="col" { "Available" }
                    th.number scope="col" { "Reserved" } th.number scope="col" { "Shipped" } th.number scope="col" { "Received" }
                } }
                tbody { @for (sku, level) in levels { (row(sku, *level, products.get(sku))) } }
            } }
        }
        div.actions {
            @if !search.behind.is_empty() { a.button.quiet href="/console/stock" { "From the beginning" } }
            @if let Some(next) = next { a.button.quiet href={ "/console/stock?behind=" (escaped(next.as_str())) } { "Further ones" } }
        }
    }
}

fn row(sku: &Sku, level: Level, product: Option<&Product>) -> Markup {
    html! {
        tr {
            th scope="row" { a href=(path(sku)) { (sku) } }
            td.said { @if let Some(product) = product { (product.description.title) } }
            td.number { (available(level)) }
            td.number { (number(level.reserved)) }
            td.number { (number(level.shipped)) }
            td.number { (number(level.received)) }
        }
    }
}

/// What can be reserved; nothing says so in words.
pub(super) fn available(level: Level) -> Markup {
    html! {
        @match level.available() {
            ..=0 => { (number(level.available())) " " span.badge.bad { "sold out" } }
            some => (number(some)),
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::stock::Description;
    use schemas::Time;

    use super::*;

    #[test]
    fn a_stranger_s_name_is_text_and_a_path_and_what_is_sold_out_says_so() {
        let sku = Sku::new("<img src=x>/\"ü").unwrap();
        let description = Description { title: "<script>".to_owned(), price_minor: 1, currency: "EUR".to_owned() };
        let product = Product { sku: sku.clone(), version: 1, description, changed_at: Time::from_micros(0) };
        let products = BTreeMap::from([(sku.clone(), product)]);
        let shown = list(&Search::default(), &[(sku.clone(), Level::default())], &products, Some(&sku)).into_string();
        assert!(!shown.contains("<img") && !shown.contains("<script"), "{shown}");
        assert!(shown.contains("href=\"/console/stock/%3Cimg%20src%3Dx%3E%2F%22%C3%BC\""), "{shown}");
        assert!(
            shown.contains("behind=%3Cimg") && shown.contains("0 <span class=\"badge bad\">sold out</span>"),
            "{shown}"
        );
    }

    #[test]
    fn an_empty_list_says_why() {
        let shown = |behind: &str| {
            let search = Search { behind: behind.to_owned(), ..Search::default() };
            list(&search, &[], &BTreeMap::new(), None).into_string()
        };
        assert!(shown("").contains("Nothing was ever received."));
        assert!(shown("z").contains("There are no more.") && shown("z").contains("From the beginning"));
    }
}
