//! What an order is: its lines, its money, what left and what comes back.

use domain::charge::{AuthorizationOutcome, CaptureOutcome, Payment, Posting};
use domain::saga::{Order, Refund, RefundState, Return, Terms};
use grammar::money;
use maud::{Markup, html};
use schemas::{Time, TopicName};

use super::history::Looked;
use crate::console::words;
use crate::http::escaped;

/// All of it.
pub(super) fn all(looked: &Looked) -> Markup {
    let order = looked.order();
    let aftercare = order.aftercare.as_deref();
    html! {
        h2 { "Lines" }
        (lines(order))
        (terms(order))
        h2 { "Money" }
        (payment(order, looked.payment.as_ref()))
        @if let Some(refunds) = aftercare.map(|had| &had.refunds).filter(|refunds| !refunds.is_empty()) {
            (refund_table(order, refunds))
        }
        @if looked.cut.contains(&TopicName::PaymentEvents) {
            h3 { "Ledger" }
            p.hint { "It is not shown: " (super::CUT) " What was taken and given back in all stands above." }
        } @else {
            (ledger(&looked.postings()))
        }
        @if let Some(shipment) = aftercare.and_then(|had| had.shipment.as_ref()) {
            h2 { "Shipment" }
            dl.facts {
                dt { "Left" } dd { (words::time(shipment.at)) " UTC" }
                dt { "Carrier" } dd { (shipment.carrier.as_deref().unwrap_or("not said")) }
                dt { "Tracking" } dd { (shipment.tracking.as_deref().unwrap_or("not said")) }
            }
        }
        @if let Some(returns) = aftercare.map(|had| &had.returns).filter(|returns| !returns.is_empty()) {
            h2 { "Returns" }
            (return_table(order, returns))
        }
    }
}

fn lines(order: &Order) -> Markup {
    let amount = |minor| money(minor, &order.currency);
    html! {
        div.table tabindex="0" role="region" aria-label="Lines" {
            table {
                thead { tr {
                    th scope="col" { "Line" } th scope="col" { "SKU" } th.number scope="col" { "Pieces" }
                    th.number scope="col" { "Each" } th.number scope="col" { "Sum" }
                } }
                tbody {
                    @for (number, line) in (1..).zip(&order.lines) {
                        tr {
                            th scope="row" { (number) }
                            td.id { a href={ "/console/stock/" (escaped(line.sku.as_str())) } { (line.sku) } }
                            td.number { (line.quantity) }
                            td.number { (amount(line.unit_price_minor)) }
                            td.number { (amount(line.quantity.saturating_mul(line.unit_price_minor))) }
                        }
                    }
                    @for adjustment in order.terms.iter().flat_map(|terms| &terms.adjustments) {
                        tr {
                            th scope="row" { @if let Some(line) = adjustment.line { (line) } @else { "Order" } }
                            td colspan="3" { (adjustment.kind) }
                            td.number { (amount(adjustment.amount_minor)) }
                        }
                    }
                }
                tfoot { tr { th scope="row" colspan="4" { "Total" } td.number { strong { (amount(order.total_minor)) } } } }
            }
        }
    }
}

fn terms(order: &Order) -> Markup {
    let Some(Terms { payment_provider, payment_token, attributes, replaces_order_id, .. }) = order.terms.as_deref()
    else {
        return html! {};
    };
    html! {
        dl.facts {
            dt { "Goods leave" } dd { (order.fulfilment().as_str().replace('_', " ")) }
            dt { "Money is taken" } dd { (order.capture().as_str().replace('_', " ")) }
            @if let Some(provider) = payment_provider { dt { "Payment at" } dd { (provider) } }
            @if payment_token.is_some() { dt { "Means of payment" } dd { "a token, which is not shown" } }
            @if let Some(replaced) = replaces_order_id {
                dt { "Replaces" } dd.id { a href=(super::path(replaced)) { (replaced) } }
            }
            @for (name, value) in attributes { dt { (name) } dd { (value) } }
        }
    }
}

fn payment(order: &Order, payment: Option<&Payment>) -> Markup {
    let Some(payment) = payment else { return html! { p.empty { "The payment service has said nothing of it yet." } } };
    let amount = |minor| money(minor, &order.currency);
    let (authorized, declined) = match payment.authorization.as_ref().map(|had| (&had.outcome, had.amount_minor)) {
        Some((AuthorizationOutcome::Authorized { provider_reference }, minor)) => {
            (Some((minor, provider_reference.as_deref())), None)
        }
        Some((AuthorizationOutcome::Declined { detail }, _)) => (None, Some(detail)),
        None => (None, None),
    };
    let (captured, failed) = match payment.capture.as_ref().map(|had| &had.outcome) {
        Some(CaptureOutcome::Captured { provider_reference }) => (Some(provider_reference.as_deref()), None),
        Some(CaptureOutcome::Failed { detail }) => (None, Some(detail)),
        None => (None, None),
    };
    let words = [declined, failed, payment.stuck.as_ref().map(|stuck| &stuck.detail)];
    html! {
        dl.facts {
            dt { "Payment" } dd { (words::label(payment.status().as_str())) }
            @if let Some((minor, reference)) = authorized {
                dt { "Authorized" } dd { (amount(minor)) (provider_name(reference)) }
            }
            @if let (Some(reference), Some((minor, _))) = (captured, authorized) {
                dt { "Taken" } dd { (amount(minor)) (provider_name(reference)) }
                dt { "Given back" } dd { (amount(payment.refunded_minor())) }
                dt { "Kept" } dd { (amount(payment.refundable_minor())) }
            }
            @for said in words.into_iter().flatten() { dt { "The provider said" } dd { (said) } }
        }
    }
}

/// The provider's own name for what it did.
fn provider_name(reference: Option<&str>) -> Markup {
    html! { @if let Some(reference) = reference { " (" span.id { (reference) } ")" } }
}

fn refund_table(order: &Order, refunds: &[Refund]) -> Markup {
    let why = |refund: &Refund| match &refund.state {
        RefundState::Refused { detail } | RefundState::Unknown { detail } => Some(detail.clone()),
        RefundState::Requested | RefundState::Refunded | RefundState::Superseded => refund.reason_code.clone(),
    };
    html! {
        h3 { "Refunds" }
        div.table tabindex="0" role="region" aria-label="Refunds" {
            table {
                thead { tr {
                    th scope="col" { "Asked for (UTC)" } th.number scope="col" { "Amount" } th scope="col" { "State" }
                    th scope="col" { "Why" } th scope="col" { "Command" }
                } }
                tbody { @for refund in refunds {
                    tr {
                        td { (words::time(refund.at)) }
                        td.number { (money(refund.amount_minor, &order.currency)) }
                        td { (words::label(refund.state.as_str())) }
                        td.words { (why(refund).unwrap_or_default()) }
                        td.id { (refund.refund_id) }
                    }
                } }
            }
        }
    }
}

fn ledger(postings: &[(Time, Posting)]) -> Markup {
    if postings.is_empty() {
        return html! {};
    }
    html! {
        h3 { "Ledger" }
        div.table tabindex="0" role="region" aria-label="Ledger" {
            table {
                thead { tr {
                    th scope="col" { "Posted (UTC)" } th scope="col" { "Account" } th.number scope="col" { "Debit" }
                    th.number scope="col" { "Credit" }
                } }
                tbody { @for (at, posting) in postings {
                    @let amount = money(posting.amount_minor.saturating_abs(), &posting.currency);
                    tr {
                        td { (words::time(*at)) }
                        td { (words::label(posting.account.as_str())) }
                        td.number { @if posting.amount_minor >= 0 { (amount) } }
                        td.number { @if posting.amount_minor < 0 { (amount) } }
                    }
                } }
            }
        }
    }
}

fn return_table(order: &Order, returns: &[Return]) -> Markup {
    html! {
        div.table tabindex="0" role="region" aria-label="Returns" {
            table {
                thead { tr {
                    th scope="col" { "Return" } th scope="col" { "State" } th scope="col" { "Pieces" }
                    th.number scope="col" { "Refund" } th scope="col" { "Why" } th scope="col" { "Until (UTC)" }
                } }
                tbody { @for one in returns {
                    tr {
                        th.id scope="row" { (one.return_id) }
                        td { (words::label(one.state.as_str())) }
                        td { @for line in &one.lines { div { (line.quantity) " of line " (line.line) } } }
                        td.number { (money(one.refund_minor, &order.currency)) }
                        td.words { (one.reason_code.as_deref().unwrap_or_default()) }
                        td { (words::time(one.close_by)) }
                    }
                } }
            }
        }
    }
}
