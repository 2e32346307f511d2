//! The list out of the API's pages: filtered and ordered as the order service's tables give it.
//!
//! An API has one state for each question, and its newest orders first; what it has no parameter for is looked at here.

use std::cmp::Reverse;

use domain::saga::Stage;
use listing::{Cursor, Only, OrderFilter};
use schemas::Time;

use super::row::Row;
use crate::cli::output::Failure;
use crate::rendering::why;
use crate::{HttpDoor, ListedCancellation, ListedHold, ListedOrder};

/// All orders that this filter lets through.
pub(super) async fn matching(door: &HttpDoor, filter: &OrderFilter, now: Time) -> Result<Vec<Row>, Failure> {
    let customer = filter.customer.as_ref().map(ToString::to_string);
    let sku = filter.sku.as_ref().map(ToString::to_string);
    let mut rows = Vec::new();
    for state in states(filter) {
        let parameters = [("state", Some(state.as_str())), ("customer", customer.as_deref()), ("sku", sku.as_deref())];
        let given: Vec<(&str, &str)> = parameters.iter().filter_map(|(name, value)| Some((*name, (*value)?))).collect();
        let found = door.orders(&given).await?;
        rows.extend(found.into_iter().filter_map(|order| Some(row(due(&order, filter, now)?, order))));
    }
    // An order that went on between two questions is told as it was seen last.
    rows.sort_by(|a: &Row, b| (&a.order_id, Reverse(a.since)).cmp(&(&b.order_id, Reverse(b.since))));
    rows.dedup_by(|later, first| later.order_id == first.order_id);
    rows.sort_by(|a, b| (a.cursor.due, a.order_id.as_str()).cmp(&(b.cursor.due, b.order_id.as_str())));
    Ok(rows)
}

/// The states that are asked for, one after the other.
fn states(filter: &OrderFilter) -> Vec<String> {
    if !filter.stages.is_empty() {
        return filter.stages.clone();
    }
    let is_finished = |stage: &&str| ["completed", "cancelled"].contains(stage);
    Stage::names().filter(|stage| filter.with_finished || !is_finished(stage)).map(str::to_owned).collect()
}

/// The time by which the list has this order; none where it has it not.
fn due(order: &ListedOrder, filter: &OrderFilter, now: Time) -> Option<Time> {
    if filter.unchanged_since.is_some_and(|since| order.changed_at() > since) {
        return None;
    }
    match filter.only {
        None => Some(order.confirm_by()),
        Some(Only::Held) => order.held_until(),
        Some(Only::Overdue) => order.ship_by().filter(|ship_by| *ship_by <= now),
    }
}

fn row(due: Time, order: ListedOrder) -> Row {
    let is_stuck = order.state == "stuck";
    Row {
        in_words: in_words(&order),
        stuck_at: order.awaiting.clone().filter(|_| is_stuck),
        since: order.changed_at(),
        until: order.until(),
        accepted_at: order.accepted_at(),
        cursor: Cursor { due, order_id: order.order_id.clone() },
        hold: order.hold.map(|ListedHold { reason_code, until }| (reason_code, until)),
        order_id: order.order_id,
        state: order.state,
        customer_id: order.customer_id,
        total_minor: order.total_minor,
        currency: order.currency,
    }
}

/// As `stage_in_words` has it.
fn in_words(order: &ListedOrder) -> String {
    let mut text = order.state.replace('_', " ");
    if let Some(ListedCancellation { reason, code }) = &order.cancellation {
        text.push_str(&format!(" ({})", why(reason, code.as_deref())));
    }
    if let Some(hold) = &order.hold {
        text.push_str(&format!(", held ({})", hold.reason_code));
    }
    if let Some(step) = &order.awaiting {
        text.push_str(&format!(", waiting for {step}"));
    }
    if let Some(detail) = &order.detail {
        text.push_str(&format!(": {detail}"));
    }
    text
}
