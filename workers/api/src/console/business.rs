//! What was sold: by hour of the last day and currency, what orders were for, what was taken and given back, and what was ordered most.
//!
//! An order belongs to the hour in which it was accepted, whatever becomes of it later, so an hour changes while its orders go on. All
//! of it is counted in the background, and shown with when. Amounts are exact: what does not fit into 64 bits is not known.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use grammar::money;
use jiff::Timestamp;
use maud::{Markup, html};
use schemas::{Sku, Time};
use serde::Deserialize;

use super::charts::{self, Bar};
use super::counts::{Counted, HOURS, Hour, begin_of, hour_of};
use super::layout::{self, Place};
use super::visit::{Asked, Visit};
use super::words::{number, since, utc};
use super::{Shared, stock};
use crate::view::{Sold, Takings};

/// So many currencies are shown, those of the most orders.
const CURRENCIES: usize = 4;

type Hours = BTreeMap<i64, Counted<Arc<Hour>>>;

/// Which hour is looked at more closely.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Search {
    /// Its number since 1970.
    hour: Option<i64>,
}

/// The page.
pub(super) async fn page(State(console): Shared, visit: Visit, Asked(search): Asked<Search>) -> Response {
    console.counts.look();
    let hours = console.counts.known().hours;
    let body = shown(&hours, Time::from(Timestamp::now()), search.hour);
    layout::page(&visit, Some(Place::Business), "Business", &body)
}

fn shown(hours: &Hours, now: Time, asked: Option<i64>) -> Markup {
    let last = hour_of(now);
    let all = last - HOURS + 1..=last;
    let counted = all.clone().filter(|hour| hours.contains_key(hour)).count();
    let hour = asked.filter(|hour| all.contains(hour)).unwrap_or(last);
    let mut currencies = currencies(hours);
    let left_out = currencies.len().saturating_sub(CURRENCIES);
    currencies.truncate(CURRENCIES);
    html! {
        p.hint {
            "Orders of the last " (HOURS) " hours, by the hour in which they were accepted (UTC); what happens to them later counts there."
            @if counted < all.clone().count() { " Still counted: " (counted) " of " (HOURS) " hours are known by now." }
        }
        (columns())
        @if currencies.is_empty() {
            p.empty { @if counted == 0 { "Nothing was counted yet. Within seconds it is; load the page again." }
                @else { "No order was accepted in the hours that are counted." } }
        }
        @for currency in &currencies {
            section {
                h2 { (currency) }
                (sums(hours, currency))
                (charts::bars(&format!("Kept by hour, {currency}"), &bars(hours, all.clone(), currency), |minor| money(minor, currency)))
            }
        }
        @if !currencies.is_empty() {
            h2 { "By hour" }
            @if left_out > 0 { p.hint { "Of " (left_out) " further currencies, with fewer orders, nothing is shown here." } }
            (by_hour(hours, all.rev(), &currencies, now))
        }
        h2 #best { "Ordered most, " (name(hour)) }
        (best(hours.get(&hour), now))
    }
}

/// What each amount is, so that they add up.
fn columns() -> Markup {
    html! {
        details {
            summary { "What the amounts are" }
            dl.facts {
                dt { "Ordered" } dd { "What all orders of the hour are for. It is called off, not taken or taken." }
                dt { "Called off" } dd { "What orders are for that were cancelled before any money was taken." }
                dt { "Not taken" } dd { "What the others are for whose money is not taken: not yet, or it could not be." }
                dt { "Taken" } dd { "What was taken, also of orders that were cancelled later. It is given back or kept." }
                dt { "Given back" } dd { "What was refunded, or is being refunded." }
                dt { "Kept" } dd { "What was taken and not given back." }
            }
        }
    }
}

/// All that were paid with, each once; those of the most orders first.
fn currencies(hours: &Hours) -> Vec<String> {
    let mut orders: BTreeMap<&str, i64> = BTreeMap::new();
    for takings in hours.values().flat_map(|hour| &hour.what.takings) {
        let sum = orders.entry(&takings.currency).or_default();
        *sum = sum.saturating_add(takings.orders);
    }
    let mut all: Vec<(&str, i64)> = orders.into_iter().collect();
    all.sort_by_key(|(_, orders)| std::cmp::Reverse(*orders));
    all.into_iter().map(|(currency, _)| currency.to_owned()).collect()
}

/// What is kept: taken, and not given back.
fn kept(takings: &Takings) -> Option<i64> {
    takings.captured_minor?.checked_sub(takings.refunded_minor?)
}

fn of<'h>(hours: &'h Hours, hour: i64, currency: &str) -> Option<&'h Takings> {
    hours.get(&hour)?.what.takings.iter().find(|takings| takings.currency == currency)
}

/// Sums of all hours; none where one is not known or they do not fit.
fn sums(hours: &Hours, currency: &str) -> Markup {
    let all = || hours.keys().filter_map(|hour| of(hours, *hour, currency));
    let sum =
        |value: fn(&Takings) -> Option<i64>| all().try_fold(0_i64, |sum, takings| sum.checked_add(value(takings)?));
    let amount = |value| sum(value).map_or_else(|| "not known".to_owned(), |minor| money(minor, currency));
    let orders = |value: fn(&Takings) -> i64| all().map(value).fold(0_i64, i64::saturating_add);
    html! {
        dl.figures {
            div { dt { "Orders" } dd { (number(orders(|takings| takings.orders))) } }
            div { dt { "Of those cancelled" } dd { (number(orders(|takings| takings.cancelled))) } }
            div { dt { "Ordered" } dd { (amount(|takings| takings.ordered_minor)) } }
            div { dt { "Called off" } dd { (amount(|takings| takings.called_off_minor)) } }
            div { dt { "Not taken" } dd { (amount(|takings| takings.open_minor)) } }
            div { dt { "Taken" } dd { (amount(|takings| takings.captured_minor)) } }
            div { dt { "Given back" } dd { (amount(|takings| takings.refunded_minor)) } }
            div { dt { "Kept" } dd { (amount(kept)) } }
        }
    }
}

fn bars(hours: &Hours, all: impl Iterator<Item = i64>, currency: &str) -> Vec<Bar> {
    let bar = |hour: i64| {
        let value = if hours.contains_key(&hour) { of(hours, hour, currency).map_or(Some(0), kept) } else { None };
        Bar { name: name(hour), value }
    };
    all.map(bar).collect()
}

/// The hour of the day, as people call it.
fn name(hour: i64) -> String {
    begin_of(hour).to_string().get(11..16).unwrap_or_default().to_owned()
}

fn by_hour(hours: &Hours, all: impl Iterator<Item = i64>, currencies: &[String], now: Time) -> Markup {
    html! {
        div.table tabindex="0" { table {
            thead { tr {
                th scope="col" { "Hour from" } th.number scope="col" { "Orders" } th.number scope="col" { "Cancelled" }
                th.number scope="col" { "Ordered" } th.number scope="col" { "Called off" } th.number scope="col" { "Not taken" }
                th.number scope="col" { "Taken" } th.number scope="col" { "Given back" }
                th.number scope="col" { "Kept" } th.number scope="col" { "Counted ago" }
            } }
            tbody { @for hour in all { (rows(hour, hours.get(&hour), currencies, now)) } }
        } }
    }
}

fn rows(hour: i64, counted: Option<&Counted<Arc<Hour>>>, currencies: &[String], now: Time) -> Markup {
    let link = html! { a href={ "/console/business?hour=" (hour) "#best" } { (utc(begin_of(hour))) } };
    let Some(counted) = counted else {
        return html! { tr { th scope="row" { (link) } td colspan="9" { "not counted yet" } } };
    };
    let amount = |minor: Option<i64>, currency: &str| {
        minor.map_or_else(|| "not known".to_owned(), |minor| money(minor, currency))
    };
    html! {
        @if counted.what.takings.is_empty() {
            tr { th scope="row" { (link) } td.number { "0" } td colspan="7" {} td.number { (since(counted.at, now)) } }
        }
        @for takings in counted.what.takings.iter().filter(|takings| currencies.contains(&takings.currency)) {
            tr {
                th scope="row" { (link) }
                td.number { (number(takings.orders)) }
                td.number { (number(takings.cancelled)) }
                td.number { (amount(takings.ordered_minor, &takings.currency)) }
                td.number { (amount(takings.called_off_minor, &takings.currency)) }
                td.number { (amount(takings.open_minor, &takings.currency)) }
                td.number { (amount(takings.captured_minor, &takings.currency)) }
                td.number { (amount(takings.refunded_minor, &takings.currency)) }
                td.number { (amount(kept(takings), &takings.currency)) }
                td.number { (since(counted.at, now)) }
            }
        }
    }
}

fn best(counted: Option<&Counted<Arc<Hour>>>, now: Time) -> Markup {
    let Some(counted) = counted else { return html! { p.empty { "This hour was not counted yet." } } };
    html! {
        p.hint { "By pieces, of orders that were not cancelled; counted " (since(counted.at, now)) " ago. Another hour: by its link above." }
        @if counted.what.best.is_empty() {
            p.empty { "Nothing was ordered in this hour." }
        } @else {
            div.table { table {
                thead { tr { th scope="col" { "SKU" } th.number scope="col" { "Pieces" } th.number scope="col" { "For" } } }
                tbody { @for sold in &counted.what.best { (row(sold)) } }
            } }
        }
    }
}

fn row(sold: &Sold) -> Markup {
    let unknown = || "not known".to_owned();
    html! {
        tr {
            th scope="row" {
                @match Sku::new(sold.sku.as_str()) {
                    Ok(sku) => a href=(stock::path(&sku)) { (sold.sku) },
                    Err(_) => (sold.sku),
                }
            }
            td.number { (sold.pieces.map_or_else(unknown, number)) }
            td.number { (sold.amount_minor.map_or_else(unknown, |minor| money(minor, &sold.currency))) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takings(currency: &str, captured_minor: Option<i64>, refunded_minor: Option<i64>) -> Takings {
        let (currency, ordered_minor) = (currency.to_owned(), captured_minor);
        let (called_off_minor, open_minor) = (Some(0), Some(0));
        Takings {
            currency,
            orders: 3,
            cancelled: 1,
            ordered_minor,
            called_off_minor,
            open_minor,
            captured_minor,
            refunded_minor,
        }
    }

    fn at(hour: i64, takings: Vec<Takings>, best: Vec<Sold>) -> (i64, Counted<Arc<Hour>>) {
        (hour, Counted { what: Arc::new(Hour { takings, best }), at: begin_of(hour) })
    }

    #[test]
    fn amounts_are_exact_by_currency_and_what_does_not_fit_is_not_known() {
        let hours = Hours::from([
            at(100, vec![takings("EUR", Some(i64::MAX), Some(7)), takings("JPY", Some(500), Some(0))], Vec::new()),
            at(99, vec![takings("EUR", Some(1), Some(0))], Vec::new()),
        ]);
        let text = shown(&hours, begin_of(100), None).into_string();
        assert!(text.contains("EUR 92233720368547758.00"), "kept in one hour: {text}");
        assert!(text.contains("<dt>Taken</dt><dd>not known</dd>"), "{text}");
        assert!(text.contains("<dt>Kept</dt><dd>JPY 500</dd>"), "{text}");
        assert!(text.contains("2 of 24 hours") && text.contains("not counted yet"), "{text}");
        assert_eq!((kept(&takings("EUR", Some(5), Some(7))), kept(&takings("EUR", None, Some(0)))), (Some(-2), None));
    }

    #[test]
    fn of_many_currencies_those_of_the_most_orders_are_shown() {
        let of = |number: i64| Takings { orders: number, ..takings(&format!("X{number:02}"), Some(1), Some(0)) };
        let hours: Hours = (90..=100).map(|hour| at(hour, (0..100).map(of).collect(), Vec::new())).collect();
        let text = shown(&hours, begin_of(100), None).into_string();
        assert!(text.contains("X99") && text.contains("X96") && !text.contains("X95"), "{text}");
        assert!(text.contains("Of 96 further currencies") && text.len() < 100 * 1024, "{}", text.len());
    }

    #[test]
    fn an_hour_is_chosen_and_strangers_names_are_text() {
        let sold = Sold { sku: "<b>".to_owned(), currency: "EUR".to_owned(), pieces: Some(12), amount_minor: None };
        let hours = Hours::from([at(99, Vec::new(), vec![sold])]);
        let text = shown(&hours, begin_of(100), Some(99)).into_string();
        assert!(
            text.contains("&lt;b&gt;") && text.contains("/console/stock/%3Cb%3E") && !text.contains("<b>"),
            "{text}"
        );
        let text = shown(&hours, begin_of(100), Some(7)).into_string();
        assert!(text.contains("This hour was not counted yet.") && !text.contains("&lt;b&gt;"), "{text}");
    }

    #[test]
    fn nothing_says_whether_it_is_nothing_or_not_known() {
        let text = |hours: Hours| shown(&hours, begin_of(100), None).into_string();
        assert!(text(Hours::new()).contains("Nothing was counted yet"));
        let all = (77..=100).map(|hour| at(hour, Vec::new(), Vec::new())).collect();
        let text = text(all);
        assert!(
            text.contains("No order was accepted")
                && text.contains("Nothing was ordered")
                && !text.contains("Still counted"),
            "{text}"
        );
    }
}
