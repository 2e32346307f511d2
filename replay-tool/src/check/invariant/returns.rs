//! Returns, as the order tells them, as its reservation does, and as the money does: no more pieces than were ordered, and the
//! goods and the money of each move once.

use std::collections::BTreeMap;

use domain::saga::{Aftercare, Order, Return, ReturnState};
use domain::stock::Reservation;

use crate::check::findings::{Findings, Invariant};
use crate::check::state::State;
use crate::rows::ContentsRow;

/// Pieces that can be sold again, and that cannot, by SKU.
type Pieces<'s> = BTreeMap<&'s str, (i128, i128)>;

/// Where state alone shows it.
pub(crate) fn check(state: &State<'_>, findings: &mut Findings) {
    for order in state.orders.values() {
        let id = order.order_id.as_str();
        let Some(aftercare) = &order.aftercare else { continue };
        check_money(aftercare, |detail| findings.add(Invariant::Money, id, detail));
        let mut add = |detail: String| findings.add(Invariant::Stock, id, detail);
        let Some(contents) = state.rows.contents.get(&(id.to_owned(),)) else { continue };
        check_lines(aftercare, contents, &mut add);
        for back in &aftercare.returns {
            check_stock(back, contents, state.reservations.get(id), &mut add);
        }
    }
}

/// What has come back to stock, an order said; asked where everything has come to rest, since inventory may be further.
pub(crate) fn check_known(state: &State<'_>, findings: &mut Findings) {
    for (order_id, reservation) in &state.reservations {
        let aftercare = state.order(order_id).and_then(|order: &Order| order.aftercare.as_ref());
        for back in &reservation.returns {
            let mut known = aftercare.iter().flat_map(|aftercare| &aftercare.returns);
            if !known.any(|one| one.return_id == back.return_id) {
                let detail =
                    format!("the goods of return {} came into stock, and no order tells of it", back.return_id);
                findings.add(Invariant::Stock, *order_id, detail);
            }
        }
    }
}

fn check_lines(aftercare: &Aftercare, contents: &ContentsRow, add: &mut impl FnMut(String)) {
    for (line, ordered) in (1..).zip(&contents.quantities) {
        let back = aftercare.returned_of(line);
        if back > *ordered {
            add(format!("line {line}: {back} pieces came back or are to, but {ordered} were ordered"));
        }
    }
}

/// The money of a return that was taken back is one refund, and no other return has one.
fn check_money(aftercare: &Aftercare, mut add: impl FnMut(String)) {
    for back in &aftercare.returns {
        let refunds = aftercare.refunds.iter().filter(|refund| refund.return_id.as_ref() == Some(&back.return_id));
        let amounts: Vec<i64> = refunds.map(|refund| refund.amount_minor).collect();
        let is_due = back.state == ReturnState::TakenBack && back.refund_minor > 0;
        let expected: &[i64] = if is_due { &[back.refund_minor] } else { &[] };
        if amounts != expected {
            let (id, state) = (&back.return_id, back.state.as_str());
            add(format!(
                "return {id} is {state}, to be refunded by {}, but its refunds are {amounts:?}",
                back.refund_minor
            ));
        }
    }
}

/// The goods of a return that was taken back are in stock as the order says, and those of no other one are.
fn check_stock(back: &Return, contents: &ContentsRow, reservation: Option<&Reservation>, add: &mut impl FnMut(String)) {
    let id = &back.return_id;
    let mut known = reservation.iter().flat_map(|reservation| &reservation.returns);
    let Some(known) = known.find(|one| one.return_id == *id) else {
        if back.state == ReturnState::TakenBack {
            add(format!("return {id} was taken back, but its goods did not come into stock"));
        }
        return;
    };
    match back.state {
        // Inventory is further than the order has heard.
        ReturnState::Received | ReturnState::TakenBack => {}
        ReturnState::Requested | ReturnState::Expired | ReturnState::Refused => {
            return add(format!("return {id} is {}, but its goods came into stock", back.state.as_str()));
        }
    }
    let stocked: Pieces<'_> = known
        .lines
        .iter()
        .map(|line| (line.sku.as_str(), (i128::from(line.restocked), i128::from(line.written_off))))
        .collect();
    if stocked != received(back, contents) {
        add(format!("what came into stock of return {id} is not what was received"));
    }
}

/// What an order received, by SKU.
fn received<'s>(back: &Return, contents: &'s ContentsRow) -> Pieces<'s> {
    let mut pieces = Pieces::new();
    for line in &back.received {
        let index = usize::try_from(line.line).ok().and_then(|number| number.checked_sub(1));
        let Some(sku) = index.and_then(|index| contents.skus.get(index)) else { continue };
        let (restocked, written_off) = pieces.entry(sku).or_default();
        let to = if line.disposition == "restock" { restocked } else { written_off };
        *to += i128::from(line.quantity);
    }
    pieces
}
