//! Goods of a committed reservation that come back: each return once, never more pieces than have left.

use schemas::{InventoryEvent, ReturnStock, ReturnedStock, Sku, StockReturnRefused, StockReturned, Time, limits};

use super::level::LevelChange;
use super::reservation::{Evolved, Reservation, ReservationStatus, Returned};
use crate::decision::Decision;

pub(super) fn take_back(state: Option<&Reservation>, command: &ReturnStock, now: Time) -> Decision<InventoryEvent> {
    let ReturnStock { order_id, return_id, lines } = command;
    let refuse = |what: String| {
        let (order_id, return_id) = (order_id.clone(), return_id.clone());
        let detail = limits::detail(format!("nothing can come back: {what}"));
        Decision::rejected(StockReturnRefused { order_id, at: now, return_id, detail })
    };
    let Some(reservation) = state else { return refuse("the reservation is unknown".into()) };
    if let Some(had) = reservation.returns.iter().find(|had| had.return_id == *return_id) {
        return Decision::repeated(had.event(reservation));
    }
    if reservation.status != ReservationStatus::Committed {
        return refuse(format!("the reservation is {}", reservation.status.as_str()));
    }
    if let Some(wrong) = lines.iter().find(|line| !is_out(reservation, line)) {
        let ReturnedStock { sku, restocked, written_off } = wrong;
        return refuse(format!("{restocked} and {written_off} pieces of SKU {sku} are not what is out of it"));
    }
    if lines.is_empty() || !lines.is_sorted_by(|a, b| a.sku < b.sku) {
        return refuse("it names no SKU, or one twice".into());
    }
    let version = reservation.version + 1;
    let event = StockReturned {
        order_id: order_id.clone(),
        version,
        at: now,
        return_id: return_id.clone(),
        lines: lines.clone(),
    };
    Decision::applied(event, Vec::new())
}

/// Whether so many pieces have left and are not back yet.
fn is_out(reservation: &Reservation, line: &ReturnedStock) -> bool {
    let left = reservation.lines.iter().find(|had| had.sku == line.sku).map_or(0, |had| had.quantity);
    let out = left.saturating_sub(back(reservation, &line.sku));
    let pieces = line.restocked.checked_add(line.written_off);
    line.restocked >= 0 && line.written_off >= 0 && pieces.is_some_and(|pieces| pieces > 0 && pieces <= out)
}

fn back(reservation: &Reservation, sku: &Sku) -> i64 {
    let lines = reservation.returns.iter().flat_map(|had| &had.lines).filter(|line| line.sku == *sku);
    lines.map(|line| line.restocked.saturating_add(line.written_off)).fold(0, i64::saturating_add)
}

pub(super) fn apply(state: Option<Reservation>, event: &StockReturned) -> Evolved {
    let Some(mut reservation) = state else { return Evolved { reservation: None, changes: Vec::new() } };
    reservation.version = event.version;
    reservation.returns.push(Returned {
        return_id: event.return_id.clone(),
        version: event.version,
        at: event.at,
        lines: event.lines.clone(),
    });
    let change = |line: &ReturnedStock| LevelChange {
        returned: line.restocked.saturating_add(line.written_off),
        written_off: line.written_off,
        ..LevelChange::none(line.sku.clone())
    };
    Evolved { reservation: Some(reservation), changes: event.lines.iter().map(change).collect() }
}

impl Returned {
    /// What was said of it.
    fn event(&self, of: &Reservation) -> InventoryEvent {
        StockReturned {
            order_id: of.order_id.clone(),
            version: self.version,
            at: self.at,
            return_id: self.return_id.clone(),
            lines: self.lines.clone(),
        }
        .into()
    }
}
