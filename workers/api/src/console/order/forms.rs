//! What can be done to an order now, each as a form: only what its state and the visitor's roles allow.

use domain::saga::{Order, Return};
use grammar::money;
use maud::{Markup, html};

use super::history::Looked;
use super::{FormIds, path};
use crate::console::act::{Act, is_allowed, open_returns};
use crate::console::visit::Visit;

/// All forms; words where there is none.
pub(super) fn all(visit: &Visit, looked: &Looked, ids: &FormIds) -> Markup {
    let order = looked.order();
    let allowed: Vec<Act> = Act::ALL.into_iter().filter(|act| is_allowed(*act, order, looked.now)).collect();
    let offered: Vec<Act> = allowed.iter().copied().filter(|act| visit.may(act.role())).collect();
    html! {
        @if allowed.is_empty() {
            p { "Nothing: it goes on by itself, or has ended." }
        } @else if offered.is_empty() {
            p { "Nothing that your roles allow; you can look at it." }
        }
        div.acts { @for act in offered {
            @if act == Act::Receive {
                @for (number, one) in open_returns(order).enumerate() {
                    (form(visit, order, act, &ids.of(&format!("{}-{number}", act.as_str())), &receipt(order, number, one)))
                }
            } @else {
                (form(visit, order, act, &ids.of(act.as_str()), &fields(order, act)))
            }
        } }
    }
}

fn form(visit: &Visit, order: &Order, act: Act, id: &str, fields: &Markup) -> Markup {
    let note = format!("{id}-note");
    html! {
        details.act #(id) {
            summary { (act.name()) }
            form method="post" action={ (path(&order.order_id)) "/" (act.as_str()) } {
                (visit.signature())
                input type="hidden" name="command_id" value=(id);
                input type="hidden" name="seen" value=(order.version);
                (fields)
                @if let Some(is_needed) = act.reason_code() { (reason_code(id, is_needed)) }
                label for=(note) { "Note" }
                input #(note) name="note" maxlength="250" autocomplete="off" required[act.needs_note()];
                p.hint { "Why; it is kept with the order, beside your name." }
                button.danger[act.undoes()] type="submit" { (act.name()) }
            }
        }
    }
}

fn reason_code(id: &str, is_needed: bool) -> Markup {
    let field = format!("{id}-reason");
    html! {
        label for=(field) { "Reason code" @if !is_needed { " (may be left out)" } }
        input #(field) name="reason_code" maxlength="64" autocomplete="off" required[is_needed];
        p.hint { "A code of your shop's, as " code { "fraud_check" } " or " code { "CUSTOMER_REGRETS" } "." }
    }
}

fn fields(order: &Order, act: Act) -> Markup {
    let id = |field: &str| format!("{}-{field}", act.as_str());
    match act {
        Act::Ship => html! {
            label for=(id("carrier")) { "Carrier (may be left out)" }
            input #(id("carrier")) name="carrier" maxlength="250" autocomplete="off";
            label for=(id("tracking")) { "Tracking number (may be left out)" }
            input #(id("tracking")) name="tracking" maxlength="250" autocomplete="off";
        },
        Act::Refund => refund(order),
        Act::Return => html! {
            fieldset {
                legend { "What comes back" }
                (choice("return", "all", "Everything that is still out", true))
                (choice("return", "lines", "These pieces:", false))
                (pieces(order, "line-", "return"))
            }
        },
        Act::Hold => html! {
            label for=(id("until")) { "Until, in UTC (may be left out)" }
            input #(id("until")) name="until" type="datetime-local" step="1";
            p.hint { "If nobody releases it by then, it is undone; without a time, after as long as the order service is set to." }
        },
        Act::Retry | Act::Skip => html! {
            @if let Some(step) = order.stuck_at() {
                input type="hidden" name="step" value=(step.as_str());
                p { "The step: " code { (step.as_str()) } }
            }
        },
        Act::Resolve => html! {
            fieldset {
                legend { "How it ends" }
                (outcome("completed", "Completed: the goods are with the customer"))
                (outcome("cancelled", "Cancelled: they are not"))
            }
        },
        Act::Cancel => html! { p { "What was reserved is let go, and what was paid is given back." } },
        Act::Reject => html! { p { "As a cancellation, by somebody who has looked at the order." } },
        Act::Release | Act::Receive => html! {},
    }
}

fn refund(order: &Order) -> Markup {
    let left = money(order.refundable_minor(), &order.currency);
    html! {
        fieldset {
            legend { "How much" }
            (choice("refund", "amount", &format!("An amount in {}:", order.currency), true))
            input name="amount" inputmode="decimal" autocomplete="off" aria-label={ "Amount in " (order.currency) };
            (choice("refund", "lines", "What these pieces cost:", false))
            (pieces(order, "line-", "refund"))
            (choice("refund", "all", &format!("All that is left: {left}"), false))
        }
    }
}

fn choice(act: &str, how: &str, words: &str, is_chosen: bool) -> Markup {
    html! {
        label.choice {
            input type="radio" name="how" value=(how) checked[is_chosen] #{ (act) "-how-" (how) };
            " " (words)
        }
    }
}

fn outcome(outcome: &str, words: &str) -> Markup {
    html! { label.choice { input type="radio" name="outcome" value=(outcome) required; " " (words) } }
}

/// A field for each line, with how many there are.
fn pieces(order: &Order, prefix: &str, act: &str) -> Markup {
    html! {
        ul.pieces { @for (number, line) in (1..).zip(&order.lines) {
            @let id = format!("{act}-{prefix}{number}");
            li {
                label for=(id) { "Line " (number) ": " span.id { (line.sku) } ", of " (line.quantity) }
                input #(id) name={ (prefix) (number) } type="number" min="0" max=(line.quantity);
            }
        } }
    }
}

/// What has come of a return, and what becomes of it.
fn receipt(order: &Order, number: usize, one: &Return) -> Markup {
    html! {
        p { "Return " span.id { (one.return_id) } }
        input type="hidden" name="return_id" value=(one.return_id);
        ul.pieces { @for line in &one.lines {
            @let ids = ["restock", "write_off"].map(|what| format!("receive-{number}-{what}-{}", line.line));
            li {
                label for=(ids[0]) { "Line " (line.line) ", sold again, of " (line.quantity) }
                input #(ids[0]) name={ "restock-" (line.line) } type="number" min="0" max=(line.quantity) value=(line.quantity);
                label for=(ids[1]) { "Line " (line.line) ", not sold again" }
                input #(ids[1]) name={ "write_off-" (line.line) } type="number" min="0" max=(line.quantity);
            }
        } }
        @let amount = format!("receive-{number}-amount");
        label for=(amount) { "Refund in " (order.currency) " (what the pieces cost, where it is left out)" }
        input #(amount) name="amount" inputmode="decimal" autocomplete="off";
    }
}
