//! Per SKU: received = available + reserved + shipped, nothing below zero; and the sums are those of what they sum.

use std::collections::BTreeMap;

use crate::check::findings::{Findings, Invariant};
use crate::rows::{ReservationRow, Rows};

/// The sums of a SKU, over what they are made of.
#[derive(Debug, Default)]
struct Sums {
    received: i128,
    receipts: i64,
    reserved: i128,
    shipped: i128,
}

pub(crate) fn check(rows: &Rows, findings: &mut Findings) {
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
    for level in rows.stock.values() {
        let sum = sums.remove(level.sku.as_str()).unwrap_or_default();
        let mut add = |detail: String| findings.add(Invariant::Stock, level.sku.as_str(), detail);
        let available = i128::from(level.received) - i128::from(level.reserved) - i128::from(level.shipped);
        if available < 0 || level.received < 0 || level.reserved < 0 || level.shipped < 0 {
            add(format!(
                "below zero: {} received, {} reserved, {} shipped, so {available} available",
                level.received, level.reserved, level.shipped
            ));
        }
        if i128::from(level.received) != sum.received {
            add(format!("{} received, but receipts and adjustments sum to {}", level.received, sum.received));
        }
        if level.version != sum.receipts {
            add(format!("version {}, but there are {} receipts and adjustments", level.version, sum.receipts));
        }
        if i128::from(level.reserved) != sum.reserved {
            add(format!("{} reserved, but reservations hold {}", level.reserved, sum.reserved));
        }
        if i128::from(level.shipped) != sum.shipped {
            add(format!("{} shipped, but committed reservations say {}", level.shipped, sum.shipped));
        }
    }
    for (sku, sum) in sums.into_iter().filter(|(_, sum)| sum.received != 0 || sum.reserved != 0 || sum.shipped != 0) {
        let detail =
            format!("no level, but {} received, {} reserved, {} shipped", sum.received, sum.reserved, sum.shipped);
        findings.add(Invariant::Stock, sku, detail);
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
