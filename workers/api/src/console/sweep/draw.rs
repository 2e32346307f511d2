//! What a sweep's page shows: what it would do, how far it is, and which failed; and those as files.

use std::sync::atomic::Ordering;

use grammar::counted;
use maud::{Markup, html};
use schemas::OrderId;

use super::{MOST, Phase, Progress, Sweep};
use crate::console::bulk;
use crate::console::orders::Search;
use crate::console::visit::Visit;
use crate::console::{harmless, order, words};

/// So many orders are named on the page; all of those that failed are in the files.
const SHOWN: usize = 50;

/// Below a list of orders: the way to all of them.
pub(in crate::console) fn offer(visit: &Visit, search: &Search) -> Markup {
    html! {
        details.act #all-of-them {
            summary { "Do something to all orders that this search finds" }
            form method="post" action="/console/sweeps" {
                (visit.signature())
                @for (name, value) in search.fields() { input type="hidden" name=(name) value=(value); }
                (bulk::what(visit, "all"))
                p.hint {
                    "On all pages, not on this one alone, at most " (words::number(MOST as i64)) " orders. Nothing is done before you have "
                    "seen how many they are and what it would do."
                }
            }
        }
    }
}

/// All of the page.
pub(super) fn whole(visit: &Visit, sweep: &Sweep) -> Markup {
    html! {
        p { "To the orders that " a href=(sweep.search.path("")) { "this search" } " finds"
            @if let Some(note) = sweep.fields.text("note") { "; note: " (note) } "." }
        div #sweep hx-sse:connect={ (sweep.path()) "/live" } hx-swap="innerMorph" { (part(visit, sweep)) }
    }
}

/// What changes.
pub(super) fn part(visit: &Visit, sweep: &Sweep) -> Markup {
    let (phase, progress) = (sweep.phase(), sweep.progress().clone());
    html! {
        @match phase {
            Phase::Looking => {
                div.notice.warn role="status" {
                    p { "It is looked which orders there are: " (counted(progress.looked_at as u64, "order")) " so far. Nothing was done yet." }
                }
                (again(sweep))
            }
            Phase::Broken => {
                div.notice.bad role="alert" {
                    p { strong { "It could not be looked; nothing was done. " } (progress.broken.as_deref().unwrap_or_default()) }
                }
            }
            Phase::Looked => (looked(visit, sweep, &progress)),
            Phase::Doing | Phase::Done => (under_way(visit, sweep, phase, &progress)),
        }
    }
}

fn looked(visit: &Visit, sweep: &Sweep, progress: &Progress) -> Markup {
    let orders = counted(progress.meant.len() as u64, "order");
    let others: usize = progress.others.values().sum();
    html! {
        p { "Nothing was done yet. “" (sweep.act.name()) "” would be done to " strong { (orders) }
            @if others > 0 { ", and not to " (others) } "." }
        @if progress.is_cut {
            div.notice.warn { p { "There are more: these are the newest " (words::number(MOST as i64)) ". Do the rest afterwards, by the same search." } }
        }
        @if progress.meant.is_empty() {
            p.empty { "There is nothing to do." }
        } @else if visit.may(sweep.act.role()) {
            form.card method="post" action={ (sweep.path()) "/run" } {
                (visit.signature())
                p.hint { "It is done to exactly these orders: whichever come meanwhile are not among them." }
                button.danger[sweep.act.undoes()] type="submit" { (sweep.act.name()) ": " (orders) }
            }
        }
        (why_not(progress))
        @if !progress.meant.is_empty() { h2 { "Which" } (links(&progress.meant)) }
    }
}

fn why_not(progress: &Progress) -> Markup {
    html! {
        @if !progress.others.is_empty() {
            h2 { "Not to these" }
            div.table tabindex="0" role="region" aria-label="Not to these" {
                table {
                    thead { tr { th scope="col" { "Why" } th.number scope="col" { "Orders" } } }
                    tbody { @for (why, count) in progress.others.iter().take(SHOWN) {
                        tr { th scope="row" { (harmless::line(&words::label(why))) } td.number { (count) } }
                    } }
                }
            }
        }
    }
}

fn under_way(visit: &Visit, sweep: &Sweep, phase: Phase, progress: &Progress) -> Markup {
    let Progress { meant, done, on_their_way, failed, by, .. } = progress;
    let ended = done + on_their_way.len() + failed.len();
    let tone = if phase == Phase::Doing || !failed.is_empty() { "warn" } else { "good" };
    html! {
        div.notice.(tone) role="status" {
            p {
                @if phase == Phase::Doing { strong { "Under way: " (ended) " of " (meant.len()) ". " } } @else { strong { "Over. " } }
                (counted(*done as u64, "order")) " done, " (on_their_way.len()) " on their way, " (failed.len()) " failed."
            }
            @if let Some(by) = by { p { "Asked for by " (by.name()) "." } }
        }
        progress.bar max=(meant.len()) value=(ended) aria-label="How far it is" { (ended) " of " (meant.len()) }
        @if phase == Phase::Doing {
            @if sweep.is_stopped.load(Ordering::Relaxed) { p { "It is being stopped." } }
            @else if visit.may(sweep.act.role()) {
                form method="post" action={ (sweep.path()) "/stop" } {
                    (visit.signature())
                    button.quiet type="submit" { "Stop: begin no more of them" }
                }
            }
            p.hint { "It goes on when you leave this page; come back to it by its address." }
            (again(sweep))
        }
        @if !failed.is_empty() {
            h2 { "Failed" }
            p { "All of them: " a href={ (sweep.path()) "/failed.csv" } { "as CSV" } " or " a href={ (sweep.path()) "/failed.jsonl" } { "as JSON lines" } "." }
            div.table tabindex="0" role="region" aria-label="Failed" {
                table.orders {
                    thead { tr { th scope="col" { "Order" } th scope="col" { "Why" } } }
                    tbody { @for (id, why) in failed.iter().take(SHOWN) {
                        tr { th.id scope="row" { a href=(order::path(id)) { (id) } } td.words { (why) } }
                    } }
                }
            }
            @if failed.len() > SHOWN { p.hint { (failed.len() - SHOWN) " more are in the files." } }
        }
        @if !on_their_way.is_empty() {
            h2 { "On their way" }
            p { "The order service has not answered in time; the pages of the orders show it." }
            (links(on_their_way))
        }
        p { a href=(sweep.search.path("")) { "Back to the search" } }
    }
}

/// For who has no scripts.
fn again(sweep: &Sweep) -> Markup {
    html! { p { a href=(sweep.path()) { "Load the page again" } } }
}

fn links(ids: &[OrderId]) -> Markup {
    html! {
        ul.ids { @for id in ids.iter().take(SHOWN) { li.id { a href=(order::path(id)) { (id) } } } }
        @if ids.len() > SHOWN { p.hint { "And " (words::number((ids.len() - SHOWN) as i64)) " more." } }
    }
}

/// With a line of names first. What a table would take for a formula is not one.
pub(super) fn csv(failed: &[(OrderId, String)]) -> String {
    let cell = |text: &str| {
        let mark = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
        format!("\"{mark}{}\"", text.replace('"', "\"\""))
    };
    let line = |(id, why): &(OrderId, String)| format!("{},{}\r\n", cell(id.as_str()), cell(why));
    std::iter::once("order_id,why\r\n".to_owned()).chain(failed.iter().map(line)).collect()
}

/// Each a line, exactly as it is.
pub(super) fn json_lines(failed: &[(OrderId, String)]) -> String {
    let line = |(id, why): &(OrderId, String)| format!("{}\n", serde_json::json!({ "order_id": id, "why": why }));
    failed.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::AtomicBool;

    use schemas::CommandId;
    use tokio::sync::watch;

    use super::*;
    use crate::console::act::{Act, Fields};
    use crate::keys::{Caller, Role};

    fn sweep(phase: Phase, progress: Progress) -> Sweep {
        Sweep {
            id: CommandId::new("s-1").unwrap(),
            act: Act::Ship,
            fields: Fields::default(),
            search: Search::default(),
            filter: crate::view::Filter::default(),
            progress: Mutex::new(progress),
            is_stopped: AtomicBool::new(false),
            changed: watch::Sender::new(phase),
        }
    }

    fn ids(count: usize) -> Vec<OrderId> {
        (0..count).map(|number| OrderId::new(format!("<o>-{number}")).unwrap()).collect()
    }

    #[test]
    fn ten_thousand_orders_are_a_small_page_and_who_may_not_is_offered_nothing() {
        let progress = Progress { meant: ids(MOST), is_cut: true, ..Progress::default() };
        let visit = |roles: &[Role]| Visit::of(Caller::new("kim".to_owned(), roles.to_vec()));
        let page = part(&visit(&Role::ALL), &sweep(Phase::Looked, progress.clone())).into_string();
        assert!(page.contains("Ship: 10000 orders") && page.contains("There are more"), "{page}");
        assert!(page.len() < 20 * 1024 && !page.contains("<o>"), "{}", page.len());
        let page = part(&visit(&[Role::OrdersRead]), &sweep(Phase::Looked, progress)).into_string();
        assert!(!page.contains("<form"), "{page}");
        let failed: Vec<(OrderId, String)> = ids(MOST).into_iter().map(|id| (id, "<b>no".to_owned())).collect();
        let progress = Progress { meant: ids(MOST), failed, ..Progress::default() };
        let page = part(&visit(&Role::ALL), &sweep(Phase::Done, progress)).into_string();
        assert!(page.contains("9950 more are in the files") && page.len() < 20 * 1024, "{}", page.len());
    }

    #[test]
    fn once_said_it_is_done_once() {
        let sweep = sweep(Phase::Looked, Progress::default());
        assert!(sweep.goes_on(Phase::Looked, Phase::Doing));
        assert!(!sweep.goes_on(Phase::Looked, Phase::Doing));
    }

    #[test]
    fn files_hold_what_strangers_wrote_and_no_formula() {
        let failed = [(OrderId::new("=1+1").unwrap(), "no \"stock\",\nnone".to_owned())];
        assert_eq!(csv(&failed), "order_id,why\r\n\"'=1+1\",\"no \"\"stock\"\",\nnone\"\r\n");
        assert_eq!(json_lines(&failed), "{\"order_id\":\"=1+1\",\"why\":\"no \\\"stock\\\",\\nnone\"}\n");
    }
}
