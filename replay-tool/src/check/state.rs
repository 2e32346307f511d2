//! State to be judged: rows, the little of it that is a list within a column, and what persons have vouched for.
//!
//! Most orders were neither refunded nor returned, so only those are read as aggregates that were.

use std::collections::HashMap;

use domain::charge::Payment;
use domain::saga::Order;
use domain::stock::Reservation;
use schemas::OrderId;
use tables::Unknown;

use super::findings::{Findings, Invariant};
use super::scan::OrdersSeen;
use crate::rows::{OrderRow, PaymentRow, ReservationRow, Rows, TableRow};

/// State to be judged.
#[derive(Debug)]
pub(crate) struct State<'e> {
    pub(crate) rows: &'e Rows,
    /// Orders that something was done to beside their way, or that were placed on terms of their own; without lines.
    pub(crate) orders: HashMap<&'e str, Order>,
    /// Reservations of which something came back.
    pub(crate) reservations: HashMap<&'e str, Reservation>,
    /// Payments of which something was given back, or was to be, and disputed ones.
    pub(crate) payments: HashMap<&'e str, Payment>,
    seen: &'e OrdersSeen,
    is_seen_whole: bool,
}

impl<'e> State<'e> {
    /// Read the lists. `is_seen_whole` says whether all events of orders were there to be seen.
    pub(crate) fn of(rows: &'e Rows, seen: &'e OrdersSeen, is_seen_whole: bool, findings: &mut Findings) -> Self {
        let orders = rows.orders.values().filter(|row| row.aftercare.is_some() || row.terms.is_some());
        let orders = orders.filter_map(|row| read(row, row.order_id.as_str(), OrderRow::into_order, findings));
        let orders: HashMap<_, _> = orders.collect();
        let reservations = rows.reservations.values().filter(|row| row.returns.is_some());
        let reservations =
            reservations.filter_map(|row| read(row, row.order_id.as_str(), ReservationRow::into_reservation, findings));
        let reservations: HashMap<_, _> = reservations.collect();
        let payments = rows.payments.values().filter(|row| row.refunds.is_some() || row.disputes.is_some());
        let payments = payments.filter_map(|row| read(row, row.order_id.as_str(), PaymentRow::into_payment, findings));
        let payments: HashMap<_, _> = payments.collect();
        State { rows, orders, reservations, payments, seen, is_seen_whole }
    }

    /// Whether a person has vouched for a step or for the end of the order: then services and provider need not say the
    /// same. Where events are missing, it may be so of every order that commands have changed.
    pub(crate) fn is_vouched_for(&self, order: &OrderRow) -> bool {
        if order.aftercare.is_none() {
            return false;
        }
        let is_seen = || OrderId::new(order.order_id.as_str()).is_ok_and(|id| self.seen.is_vouched_for(&id));
        !self.is_seen_whole || is_seen()
    }

    /// Whether a person has moved it while it was stuck, and be it by trying again.
    pub(crate) fn is_moved_by_hand(&self, order: &OrderRow) -> bool {
        if order.aftercare.is_none() {
            return false;
        }
        let is_seen = || OrderId::new(order.order_id.as_str()).is_ok_and(|id| self.seen.by_hand.contains_key(&id));
        !self.is_seen_whole || is_seen()
    }

    /// The order of this id, where more is known of it than its row's plain columns.
    pub(crate) fn order(&self, order_id: &str) -> Option<&Order> {
        self.orders.get(order_id)
    }
}

fn read<'e, R: TableRow, T>(
    row: &R,
    id: &'e str,
    read: impl FnOnce(R) -> Result<T, Unknown>,
    findings: &mut Findings,
) -> Option<(&'e str, T)> {
    match read(row.clone()) {
        Ok(aggregate) => Some((id, aggregate)),
        Err(unknown) => {
            findings.add(Invariant::Rebuild, row.subject(), unknown.to_string());
            None
        }
    }
}
