//! How the pipeline is: what stands, on top, with what to do; then how fast orders go, where they are, and what becomes of them; and
//! what each daemon says of itself.
//!
//! All of it is one part that is made once for all who look, and exchanged where a browser can.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, PreEscaped, html};
use schemas::Time;
use workers::status::{RelayStatus, Status};

use super::Shared;
use super::charts::{self, Line, Lines, Part};
use super::counts::Counted;
use super::layout::{self, Place};
use super::live::{Moment, SPAN, Sample};
use super::standing::{Stands, standing};
use super::visit::Visit;
use super::words::{age, known, milliseconds, number, per_second, since, spoken, utc};
use crate::daemons::Heard;
use crate::http::escaped;
use crate::view::{Became, Open};

/// Of so many samples a chart shows one.
const THINNED: usize = 3;

/// The page.
pub(super) async fn page(State(console): Shared, visit: Visit) -> Response {
    console.counts.look();
    // It is made by `live_part`, which escapes.
    let part = PreEscaped(console.live.part().to_string());
    // What is the same stays as it is, and so does what somebody has come to by keyboard.
    let body = html! {
        div #live hx-sse:connect="/console/live" hx-swap="innerMorph" aria-live="off" { (part) }
    };
    layout::page(&visit, Some(Place::Overview), "Overview", &body)
}

/// What changes, made once for all who look.
pub(super) fn live_part(last: Option<&Sample>, moments: &[Moment]) -> Markup {
    let Some(last) = last else {
        return html! { p.empty { "Nothing was looked at yet. Within seconds it is; load the page again." } };
    };
    html! {
        p.hint { "As of " (utc(last.at)) "." }
        (what_stands(&standing(last)))
        (now(last))
        h2 { "The last 15 minutes" }
        @if let Some(first) = moments.first() {
            p.hint { "As this instance of order-api has seen them, since " (utc(first.at)) ". What others saw is on theirs; " code { "/metrics" } " of all has the rest." }
        }
        (history(last.at, moments))
        div.cards {
            section { h2 { "Orders that are not finished" } (by_state(last.open.as_deref(), last.at)) }
            section { h2 { "What became of orders" } (became(last.known.became.as_ref(), last.at)) }
        }
        h2 { "Services" }
        (services(&last.daemons, last.at))
    }
}

fn what_stands(all: &[Stands]) -> Markup {
    html! {
        section aria-labelledby="standing" {
            h2 #standing { "What stands" }
            @if all.is_empty() {
                div.notice.good { p { strong { "Nothing stands." } " Orders go through." } }
            }
            @for stands in all {
                div.notice.bad[stands.is_bad].warn[!stands.is_bad] {
                    p { strong { @if stands.is_bad { "Stands: " } @else { "Look: " } (stands.what) } }
                    p.said { (stands.why) }
                    p { (stands.act) }
                }
            }
        }
    }
}

fn now(last: &Sample) -> Markup {
    let (placed, confirmed) = (count(last.told.placed), count(last.told.confirmed));
    let latency = |us: Option<i64>| us.map_or_else(|| "none".to_owned(), milliseconds);
    let open = last.open.as_ref().map(|open| open.iter().map(|open| open.orders).sum());
    html! {
        h2 { "Now" }
        dl.figures {
            div { dt { "Placed a second" } dd { (per_second(placed)) } }
            div { dt { "Confirmed a second" } dd { (per_second(confirmed)) } }
            div { dt { "Placed to confirmed, half of them within" } dd { (latency(last.told.p50_us)) } }
            div { dt { "99 of 100 within" } dd { (latency(last.told.p99_us)) } }
            div { dt { "Orders not finished" } dd { (known(open)) } }
            div { dt { "Commands that wait" } dd { (known(last.commands_waiting)) } }
            div { dt { "Events the read model is behind" } dd { (known(last.view_behind)) } }
        }
        p.hint { "Speeds are those of the last minute, of whatever this instance has seen go by." }
    }
}

fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The samples as charts.
fn history(now: Time, moments: &[Moment]) -> Markup {
    let span = (now.as_micros() - i64::try_from(SPAN.as_micros()).unwrap_or(i64::MAX), now.as_micros());
    let line = |name: &'static str, value: fn(&Moment) -> Option<i64>| Line {
        name,
        points: thinned(moments).map(|moment| (moment.at.as_micros(), value(moment))).collect(),
    };
    let chart = |title: &'static str, words: fn(i64) -> String, lines: Vec<Line<'static>>| {
        charts::lines(&Lines { title, ends: ("15 minutes ago", "now"), span, lines, words, is_stepped: false })
    };
    html! {
        div.cards.charts {
            (chart("Orders a second", per_second, vec![
                line("placed", |moment| Some(count(moment.told.placed))),
                line("confirmed", |moment| Some(count(moment.told.confirmed))),
            ]))
            (chart("From placed to confirmed", milliseconds, vec![
                line("99 of 100", |moment| moment.told.p99_us),
                line("half", |moment| moment.told.p50_us),
            ]))
            (chart("Orders not finished", number, vec![line("open", |moment| moment.open)]))
            (chart("Messages that wait", number, vec![
                line("commands", |moment| moment.commands_waiting),
                line("read model", |moment| moment.view_behind),
            ]))
        }
    }
}

/// Some of them, the last one always.
fn thinned(moments: &[Moment]) -> impl Iterator<Item = &Moment> {
    let first = moments.len().saturating_sub(1) % THINNED;
    moments.iter().skip(first).step_by(THINNED)
}

fn by_state(open: Option<&[Open]>, now: Time) -> Markup {
    let Some(open) = open else { return html! { p.empty { "The read model does not answer." } } };
    if open.is_empty() {
        return html! { p.empty { "None: every order that is known is completed or cancelled." } };
    }
    html! {
        div.table { table {
            thead { tr { th scope="col" { "State" } th.number scope="col" { "Orders" } th.number scope="col" { "Oldest" } } }
            tbody {
                @for one in open {
                    tr {
                        th scope="row" { a href={ "/console/orders?state=" (escaped(&one.stage)) } { (spoken(&one.stage)) } }
                        td.number { (number(one.orders)) }
                        td.number { (since(one.oldest, now)) }
                    }
                }
            }
        } }
    }
}

/// What became of the orders of the last hour, as a flow and as a list.
fn became(counted: Option<&Counted<Vec<Became>>>, now: Time) -> Markup {
    let Some(Counted { what, at }) = counted else {
        return html! { p.empty { "It was not counted yet." } };
    };
    let parts = parts(what);
    let total: i64 = parts.iter().map(|part| part.count).sum();
    html! {
        p.hint { "Of the " (number(total)) " orders that were accepted within the last hour; counted " (since(*at, now)) " ago." }
        @if total == 0 {
            p.empty { "No order was accepted within the last hour." }
        } @else {
            div.card { (charts::flow("Orders accepted within the last hour", &parts)) }
        }
    }
}

/// Completed ones, those under way, stuck ones, and cancelled ones by why they were.
fn parts(became: &[Became]) -> Vec<Part> {
    let mut parts: BTreeMap<(u8, String), Part> = BTreeMap::new();
    for one in became {
        let (place, name, tone) = match (one.stage.as_str(), &one.reason) {
            ("completed", _) => (0, "completed".to_owned(), "good"),
            ("stuck", _) => (2, "stuck".to_owned(), "bad"),
            ("cancelled", Some(reason)) => (3, format!("cancelled: {}", spoken(reason)), "warn"),
            ("cancelled", None) => (3, "cancelled".to_owned(), "warn"),
            _ => (1, spoken(&one.stage), "plain"),
        };
        let part = Part { name: name.clone(), count: 0, tone };
        parts.entry((place, name)).or_insert(part).count += one.orders;
    }
    parts.into_values().collect()
}

fn services(daemons: &[Heard], now: Time) -> Markup {
    if daemons.is_empty() {
        return html! {
            p.empty { "No daemon is known here: name them with " code { "--daemons" } " or " code { "DAEMONS" } " of order-api." }
        };
    }
    html! {
        div.table tabindex="0" { table {
            caption.hint { "What each daemon says of itself, asked every two seconds." }
            thead { tr {
                th scope="col" { "Daemon" } th scope="col" { "State" } th scope="col" { "Service" } th scope="col" { "Relay" }
                th.number scope="col" { "Not published" } th.number scope="col" { "Not taken" } th.number scope="col" { "Parked" }
            } }
            tbody { @for heard in daemons { (service(heard, now)) } }
        } }
        (lags(daemons))
    }
}

fn service(heard: &Heard, now: Time) -> Markup {
    let status = match &heard.answer {
        Ok(status) => status,
        Err(why) => {
            return html! {
                tr {
                    th scope="row" { (heard.daemon.name) }
                    td { span.badge.bad { "silent" } }
                    td colspan="5" { (why) @if let Some(at) = heard.since { ", for " (age(at.into(), now)) } }
                }
            };
        }
    };
    html! {
        tr {
            th scope="row" { (heard.daemon.name) }
            td { @if status.ready { span.badge.good { "ready" } } @else { span.badge.bad { "not ready" } } }
            td { (status.service) " " (status.version) @if let Some(instance) = &status.instance { ", " (instance) } }
            td { (relay(status.relay.as_ref(), now)) }
            td.number { (status.relay.as_ref().and_then(|relay| relay.backlog).map_or_else(String::new, number)) }
            td.number { (known(status.feeds.iter().map(|feed| feed.lag).sum())) }
            td.number { (status.parked.messages) }
        }
    }
}

fn relay(relay: Option<&RelayStatus>, now: Time) -> Markup {
    html! {
        @match relay {
            Some(relay) if relay.role == "leading" => { strong { "leads" } " for " (age(relay.since.into(), now)) }
            Some(relay) => (spoken(&relay.role)),
            None => "not yet",
        }
    }
}

/// What is not taken yet, by service and topic.
fn lags(daemons: &[Heard]) -> Markup {
    let mut lags: BTreeMap<(&str, &str), Option<i64>> = BTreeMap::new();
    let statuses = daemons.iter().filter_map(|heard| heard.answer.as_deref().ok());
    for (status, feed) in statuses.flat_map(|status: &Status| status.feeds.iter().map(move |feed| (status, feed))) {
        let lag = lags.entry((&status.service, &feed.topic)).or_insert(Some(0));
        *lag = lag.zip(feed.lag).map(|(sum, lag)| sum.saturating_add(lag));
    }
    if lags.is_empty() {
        return html! {};
    }
    html! {
        h3 { "Messages that are not taken, by service and topic" }
        div.table tabindex="0" { table {
            thead { tr { th scope="col" { "Service" } th scope="col" { "Topic" } th.number scope="col" { "Not taken" } } }
            tbody {
                @for ((service, topic), lag) in &lags {
                    tr { th scope="row" { (service) } td { code { (topic) } } td.number { (known(*lag)) } }
                }
            }
        } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pace::Told;

    fn one(stage: &str, reason: Option<&str>, orders: i64) -> Became {
        Became { stage: stage.to_owned(), reason: reason.map(str::to_owned), orders }
    }

    #[test]
    fn what_became_of_orders_has_its_ends_first_and_says_why() {
        let given = [
            one("cancelled", Some("OutOfStock"), 2),
            one("placed", None, 3),
            one("cancelled", None, 1),
            one("stuck", None, 4),
            one("completed", None, 5),
        ];
        let told: Vec<(String, i64)> = parts(&given).into_iter().map(|part| (part.name, part.count)).collect();
        let told: Vec<(&str, i64)> = told.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        let wanted = [("completed", 5), ("placed", 3), ("stuck", 4), ("cancelled", 1), ("cancelled: out of stock", 2)];
        assert_eq!(told, wanted);
    }

    #[test]
    fn a_chart_shows_some_of_the_samples_and_always_the_last_one() {
        let told = Told { placed: 0, confirmed: 0, p50_us: None, p99_us: None };
        let moment =
            |at: i64| Moment { at: Time::from_micros(at), told, open: None, commands_waiting: None, view_behind: None };
        let moments: Vec<Moment> = (0..450).map(moment).collect();
        let shown: Vec<i64> = thinned(&moments).map(|moment| moment.at.as_micros()).collect();
        assert_eq!((shown.len(), shown[0], shown[149]), (150, 2, 449));
        assert_eq!(thinned(&moments[..1]).count(), 1);
        assert_eq!(thinned(&[]).count(), 0);
    }

    #[test]
    fn nothing_was_sampled_yet_and_a_state_that_is_strange_is_text() {
        assert!(live_part(None, &[]).into_string().contains("Nothing was looked at yet"));
        let open = [Open { stage: "<b>".to_owned(), orders: 12_345, oldest: Time::from_micros(0) }];
        let shown = by_state(Some(&open), Time::from_micros(61_000_000)).into_string();
        assert!(
            shown.contains("state=%3Cb%3E\">&lt;b&gt;</a>") && shown.contains("12,345") && shown.contains("1 min 1 s"),
            "{shown}"
        );
        assert!(by_state(Some(&[]), Time::from_micros(0)).into_string().contains("every order that is known"));
        assert!(by_state(None, Time::from_micros(0)).into_string().contains("does not answer"));
    }
}
