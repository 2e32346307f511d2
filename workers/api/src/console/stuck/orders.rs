//! Stuck orders: why each stands, since when, and what the state machine would take.

use maud::{Markup, html};
use uuid::Uuid;

use super::{Button, order_path};
use crate::console::visit::Visit;
use crate::console::{harmless, words};
use crate::http::{MayShape, StuckPage, StuckShape};
use crate::keys::Role;

/// The section.
pub(super) fn section(visit: &Visit, page: &StuckPage) -> Markup {
    html! {
        h2 { "Stuck orders" }
        p.hint { "A step of theirs has failed for good, or so often that a person has to look." }
        @if page.stuck.is_empty() { p.empty { "No order is stuck." } } @else {
            div.cards { @for order in &page.stuck { (card(visit, order)) } }
        }
        @if let Some(next) = &page.next { p { a.button.quiet href={ "/console/stuck?cursor=" (next) } { "Older orders" } } }
    }
}

fn card(visit: &Visit, order: &StuckShape) -> Markup {
    html! {
        section.card {
            h3.id { a href=(order_path(&order.order_id)) { (harmless::line(&order.order_id)) } }
            p.free { (harmless::line(&order.why)) }
            dl.points {
                div { dt { "Step" } dd { (order.step.unwrap_or("none")) } }
                div { dt { "Stands since (UTC)" } dd { (written(&order.since)) } }
                @if let Some(until) = &order.until { div { dt { "Until (UTC)" } dd { (written(until)) } } }
                div { dt { "Customer" } dd.id { (harmless::line(&order.customer_id)) } }
                div { dt { "Total" } dd { (grammar::money(order.total_minor, &order.currency)) } }
            }
            @if visit.may(Role::OpsAct) { (form(visit, order)) } @else {
                p.hint { "Who frees it needs the role " code { (Role::OpsAct.as_str()) } "." }
            }
        }
    }
}

fn written(time: &str) -> Markup {
    time.parse::<schemas::Time>().map_or_else(|_| html! { (time) }, words::time)
}

fn form(visit: &Visit, order: &StuckShape) -> Markup {
    let id = format!("note-{}", Uuid::now_v7());
    html! {
        form method="post" action="/console/stuck" {
            (visit.signature())
            input type="hidden" name="command_id" value=(Uuid::now_v7());
            input type="hidden" name="order_id" value=(order.order_id);
            input type="hidden" name="step" value=(order.step.unwrap_or_default());
            label for=(id) { "Who has seen to it, and how" }
            input id=(id) name="note" required maxlength="1000";
            @for may in &order.may {
                @if let Some(act) = Button::named(may.act, may.outcome) { (button(act, may)) }
            }
        }
    }
}

fn button(act: Button, may: &MayShape) -> Markup {
    let (label, meaning) = match act {
        Button::Retry => ("Try again", "the step is asked for once more"),
        Button::Skip => ("Skip the step", "it is taken for done: somebody has seen to it elsewhere"),
        Button::ResolveCompleted => ("End as completed", "the goods are with the customer; nothing more is asked for"),
        Button::ResolveCancelled => ("End as cancelled", "they are not; nothing more is asked for"),
    };
    let tone = match act {
        Button::Retry => "",
        Button::Skip => "quiet",
        Button::ResolveCompleted | Button::ResolveCancelled => "danger",
    };
    html! {
        div.actions {
            button.(tone) type="submit" name="act" value=(act.as_str()) { (label) }
            span.hint { (meaning) " (" (may.then.join(", ")) ")" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Caller;

    fn stuck() -> StuckPage {
        let may = vec![
            MayShape { act: "retry", outcome: None, then: vec!["OrderRetried".to_owned()] },
            MayShape { act: "resolve", outcome: Some(crate::http::Ending::Cancelled), then: Vec::new() },
        ];
        let order = StuckShape {
            order_id: "<script>alert(1)</script>/ü".to_owned(),
            version: 7,
            customer_id: "\"><img src=x>".to_owned(),
            currency: "JPY".to_owned(),
            total_minor: 1200,
            step: Some("PaymentVoid"),
            why: "stuck: <b>\u{202e}".to_owned(),
            since: "2026-11-30T12:00:00.000000Z".to_owned(),
            until: None,
            may,
        };
        StuckPage { stuck: vec![order], next: Some("ab".to_owned()) }
    }

    #[test]
    fn strangers_ids_are_shown_harmlessly_and_only_what_may_be_done_is_offered() {
        let visit = Visit::of(Caller::new("kim".to_owned(), vec![Role::OrdersRead, Role::OpsAct]));
        let text = section(&visit, &stuck()).into_string();
        assert!(!text.contains("<script") && !text.contains("<img") && !text.contains("<b>"), "{text}");
        assert!(text.contains("/console/orders/%3Cscript%3Ealert%281%29%3C%2Fscript%3E%2F%C3%BC"), "{text}");
        assert!(text.contains("JPY 1200") && text.contains("\\u{202e}") && text.contains("cursor=ab"), "{text}");
        for (value, is_there) in
            [("retry", true), ("skip", false), ("resolve-completed", false), ("resolve-cancelled", true)]
        {
            assert_eq!(text.contains(&format!("value=\"{value}\"")), is_there, "{value}");
        }
    }

    #[test]
    fn who_may_only_read_gets_no_form() {
        let visit = Visit::of(Caller::new("eve".to_owned(), vec![Role::OrdersRead]));
        let text = section(&visit, &stuck()).into_string();
        assert!(!text.contains("<form") && text.contains("ops:act"), "{text}");
    }
}
