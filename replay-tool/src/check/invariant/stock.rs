//! Per SKU: received + returned = available + reserved + shipped + written off, nothing below zero, no more back than had left;
//! and the sums are those of what they sum. What holds of a product is what was said of it last.

use std::collections::BTreeMap;

use domain::stock::Reservation;

use crate::check::findings::{Findings, Invariant};
use crate::check::state::State;
use crate::rows::{ProductRow, ReceiptRow, ReservationRow, Rows, StockRow};

/// The sums of a SKU, over what they are made of.
#[derive(Debug, Default)]
struct Sums {
    received: i128,
    receipts: i64,
    reserved: i128,
    shipped: i128,
    returned: i128,
    written_off: i128,
}

pub(crate) fn check(state: &State<'_>, findings: &mut Findings) {
    let rows = state.rows;
    let mut sums: BTreeMap<&str, Sums> = BTreeMap::new();
    for receipt in rows.receipts.values() {
        let sum = sums.entry(&receipt.sku).or_default();
        sum.received += i128::from(receipt.pieces);
        sum.receipts += 1;
    }
    for reservation in rows.reservations.values() {
        check_lines(reservation, findings);
        for (sku, quantity) in reservation.skus.iter().zip(&reservation.quantities) {
            let sum = sums.entry(sku).or_default();
            match reservation.status.as_str() {
                "reserved" => sum.reserved += i128::from(*quantity),
                "committed" => sum.shipped += i128::from(*quantity),
                _ => {}
            }
        }
    }
    for reservation in state.reservations.values() {
        check_returns(reservation, findings);
        for line in reservation.returns.iter().flat_map(|back| &back.lines) {
            if let Some((sku, _)) = rows.stock.get_key_value(&(line.sku.as_str().to_owned(),)) {
                let sum = sums.entry(&sku.0).or_default();
                sum.returned += i128::from(line.restocked) + i128::from(line.written_off);
                sum.written_off += i128::from(line.written_off);
            }
        }
    }
    for level in rows.stock.values() {
        let sum = sums.remove(level.sku.as_str()).unwrap_or_default();
        check_level(level, &sum, |detail| findings.add(Invariant::Stock, level.sku.as_str(), detail));
    }
    for (sku, sum) in sums.into_iter().filter(|(_, sum)| sum.received != 0 || sum.reserved != 0 || sum.shipped != 0) {
        let detail =
            format!("no level, but {} received, {} reserved, {} shipped", sum.received, sum.reserved, sum.shipped);
        findings.add(Invariant::Stock, sku, detail);
    }
    check_products(rows, findings);
}

fn check_products(rows: &Rows, findings: &mut Findings) {
    let mut last: BTreeMap<&str, &ReceiptRow> = BTreeMap::new();
    for said in rows.receipts.values().filter(|receipt| receipt.title.is_some()) {
        let newest = last.entry(&said.sku).or_insert(said);
        if said.version > newest.version {
            *newest = said;
        }
    }
    for product in rows.products.values() {
        let said = last.remove(product.sku.as_str());
        if !said.is_some_and(|said| is_said(product, said)) {
            let ProductRow { version, title, price_minor, currency, .. } = product;
            let detail =
                format!("{title:?} at {price_minor} {currency} by version {version} is not what was said of it last");
            findings.add(Invariant::Stock, product.sku.as_str(), detail);
        }
    }
    for (sku, said) in last {
        findings.add(Invariant::Stock, sku, format!("version {} describes it, but it is no product", said.version));
    }
}

fn is_said(product: &ProductRow, said: &ReceiptRow) -> bool {
    let ProductRow { sku: _, version, title, price_minor, currency, changed_at } = product;
    (said.version, said.at, said.price_minor) == (*version, *changed_at, Some(*price_minor))
        && said.title.as_ref() == Some(title)
        && said.currency.as_ref() == Some(currency)
}

fn check_level(level: &StockRow, sum: &Sums, mut add: impl FnMut(String)) {
    let StockRow { version, received, reserved, shipped, returned, written_off, .. } = level;
    let there = i128::from(*received) + i128::from(*returned);
    let available = there - i128::from(*reserved) - i128::from(*shipped) - i128::from(*written_off);
    let sums = [received, reserved, shipped, returned, written_off];
    if available < 0 || sums.into_iter().any(|sum| *sum < 0) {
        let back = match (returned, written_off) {
            (0, 0) => String::new(),
            _ => format!(", {returned} returned, {written_off} written off"),
        };
        add(format!(
            "below zero: {received} received, {reserved} reserved, {shipped} shipped{back}, so {available} available"
        ));
    }
    if returned > shipped {
        add(format!("{returned} returned, but only {shipped} had left"));
    }
    if i128::from(*received) != sum.received {
        add(format!("{received} received, but receipts and adjustments sum to {}", sum.received));
    }
    if *version != sum.receipts {
        add(format!("version {version}, but there are {} receipts, adjustments and descriptions", sum.receipts));
    }
    if i128::from(*reserved) != sum.reserved {
        add(format!("{reserved} reserved, but reservations hold {}", sum.reserved));
    }
    if i128::from(*shipped) != sum.shipped {
        add(format!("{shipped} shipped, but committed reservations say {}", sum.shipped));
    }
    if i128::from(*returned) != sum.returned {
        add(format!("{returned} returned, but returns sum to {}", sum.returned));
    }
    if i128::from(*written_off) != sum.written_off {
        add(format!("{written_off} written off, but returns say {}", sum.written_off));
    }
}

/// What is reserved is above zero, once per SKU.
fn check_lines(reservation: &ReservationRow, findings: &mut Findings) {
    let is_ascending = reservation.skus.windows(2).all(|pair| pair[0] < pair[1]);
    let is_above_zero = reservation.quantities.iter().all(|quantity| *quantity > 0);
    if !is_ascending || !is_above_zero || reservation.skus.len() != reservation.quantities.len() {
        let detail = "its reservation's lines are not one per SKU with a quantity above 0";
        findings.add(Invariant::Stock, reservation.order_id.as_str(), detail);
    }
}

/// Each return came once, and no more of a SKU came back than had left.
fn check_returns(reservation: &Reservation, findings: &mut Findings) {
    let mut add = |detail: String| findings.add(Invariant::Stock, reservation.order_id.as_str(), detail);
    let mut back: BTreeMap<&str, i128> = BTreeMap::new();
    for (index, one) in reservation.returns.iter().enumerate() {
        if reservation.returns.iter().take(index).any(|earlier| earlier.return_id == one.return_id) {
            add(format!("the goods of return {} came into stock more than once", one.return_id));
        }
        for line in &one.lines {
            *back.entry(line.sku.as_str()).or_default() += i128::from(line.restocked) + i128::from(line.written_off);
        }
    }
    for (sku, back) in back {
        let left = reservation.lines.iter().find(|line| line.sku.as_str() == sku).map_or(0, |line| line.quantity);
        if back > i128::from(left) {
            add(format!("{back} pieces of SKU {sku} came back, but only {left} had left"));
        }
    }
}
