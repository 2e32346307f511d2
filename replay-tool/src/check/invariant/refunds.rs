//! Refunds, as the order tells them and as its payment does: the same, each once, and together no more than was taken.

use domain::charge::{Payment, RefundOutcome};
use domain::saga::{Order, Refund, RefundState};

use crate::check::findings::{Findings, Invariant};
use crate::check::state::State;
use crate::rows::PaymentRow;

/// Where state alone shows it. What an order says of a refund that has ended, its payment has said before.
pub(crate) fn check(state: &State<'_>, findings: &mut Findings) {
    for order in state.orders.values() {
        let id = order.order_id.as_str();
        let payment = state.rows.payments.get(&(id.to_owned(),));
        check_order(order, payment, state.payments.get(id), |detail| findings.add(Invariant::Money, id, detail));
    }
}

fn check_order(order: &Order, row: Option<&PaymentRow>, payment: Option<&Payment>, mut add: impl FnMut(String)) {
    let Some(aftercare) = order.aftercare.as_ref().filter(|aftercare| !aftercare.refunds.is_empty()) else { return };
    if !row.is_some_and(PaymentRow::is_captured) {
        add("a refund was asked for, but nothing was taken".to_owned());
    }
    let given_back = aftercare.refunded_minor();
    if given_back > order.total_minor {
        add(format!("its refunds and returns give {given_back} back, but its total is {}", order.total_minor));
    }
    for (index, refund) in aftercare.refunds.iter().enumerate() {
        if aftercare.refunds.iter().take(index).any(|earlier| earlier.refund_id == refund.refund_id) {
            add(format!("refund {} was asked for more than once", refund.refund_id));
        }
        let mut paid = payment.iter().flat_map(|payment| &payment.refunds);
        let paid = paid.find(|one| one.refund_id == refund.refund_id);
        if let Some(other) = paid.filter(|paid| paid.amount_minor != refund.amount_minor) {
            let (asked, done) = (refund.amount_minor, other.amount_minor);
            add(format!("refund {} is of {asked}, but its payment says {done}", refund.refund_id));
        }
        if let Some(said) = contradiction(refund, paid.map(|paid| &paid.outcome)) {
            add(format!("refund {} is {}, but its payment says {said}", refund.refund_id, refund.state.as_str()));
        }
    }
}

/// What the payment says where that is something else than the order does.
fn contradiction(refund: &Refund, outcome: Option<&RefundOutcome>) -> Option<&'static str> {
    let said = match outcome {
        Some(RefundOutcome::Refunded { .. }) => "refunded",
        Some(RefundOutcome::Refused { .. }) => "refused",
        Some(RefundOutcome::Unknown { .. }) => "unknown",
        Some(RefundOutcome::Reversed { .. }) => "reversed",
        None => "nothing",
    };
    let is_same = match &refund.state {
        // The order has not heard yet.
        RefundState::Requested => true,
        // That it came back it may not have heard yet.
        RefundState::Refunded => said == "refunded" || said == "reversed",
        RefundState::Refused { .. } => said == "refused" || said == "reversed",
        RefundState::Unknown { .. } => said == "unknown",
        RefundState::Superseded => said == "nothing",
    };
    (!is_same).then_some(said)
}
