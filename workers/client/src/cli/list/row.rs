//! A row of the list: the same wherever it comes from.

use domain::saga::{Order, Step};
use grammar::{harmless, money};
use listing::{Cursor, Listed};
use schemas::{CustomerId, OrderId, Time};
use serde_json::{Value, json};

use crate::stage_in_words;

/// An order of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) order_id: OrderId,
    pub(super) state: String,
    pub(super) in_words: String,
    pub(super) stuck_at: Option<String>,
    /// Why it is held, and until when.
    pub(super) hold: Option<(String, String)>,
    pub(super) since: Time,
    /// Until when it waits, whatever happens then.
    pub(super) until: Option<Time>,
    pub(super) accepted_at: Time,
    pub(super) customer_id: String,
    pub(super) total_minor: i64,
    pub(super) currency: String,
    pub(super) cursor: Cursor,
}

impl From<Listed> for Row {
    fn from(listed: Listed) -> Self {
        let Listed { order, cursor } = listed;
        Row {
            state: order.stage.as_str().to_owned(),
            in_words: stage_in_words(&order),
            stuck_at: order.stuck_at().map(Step::as_str).map(str::to_owned),
            hold: order.hold().map(|hold| (hold.reason_code.clone(), hold.until.to_string())),
            since: order.changed_at,
            until: until(&order),
            accepted_at: order.accepted_at,
            customer_id: CustomerId::as_str(&order.customer_id).to_owned(),
            total_minor: order.total_minor,
            order_id: order.order_id,
            currency: order.currency,
            cursor,
        }
    }
}

fn until(order: &Order) -> Option<Time> {
    order.deadline().or(order.ship_by)
}

impl Row {
    /// Whether it comes after this place in the list.
    pub(super) fn is_behind(&self, place: &Cursor) -> bool {
        (self.cursor.due, self.cursor.order_id.as_str()) > (place.due, place.order_id.as_str())
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        json!({
            "order_id": self.order_id,
            "state": self.state,
            "in_words": self.in_words,
            "stuck_at": self.stuck_at,
            "hold": self.hold.as_ref().map(|(reason_code, until)| json!({ "reason_code": reason_code, "until": until })),
            "since": self.since.to_string(),
            "until": self.until.map(|until| until.to_string()),
            "accepted_at": self.accepted_at.to_string(),
            "customer_id": self.customer_id,
            "total_minor": self.total_minor,
            "currency": self.currency,
            "cursor": self.cursor.to_string(),
        })
    }

    /// For people. What is long comes last: a terminal may be too narrow for it.
    pub(super) fn texts(&self, now: Time) -> [String; 6] {
        [
            harmless(self.order_id.as_str()),
            in_short(now.as_micros().saturating_sub(self.since.as_micros())),
            self.until.map_or_else(String::new, |until| until.to_string()),
            harmless(&self.customer_id),
            money(self.total_minor, &self.currency),
            harmless(&self.in_words),
        ]
    }
}

/// How long ago, in the two largest units.
fn in_short(micros: i64) -> String {
    let seconds = micros.max(0) / 1_000_000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::{Story, on_command};

    fn row(order: Order) -> Row {
        let cursor = Cursor { due: order.confirm_by, order_id: order.order_id.clone() };
        Row::from(Listed { order, cursor })
    }

    #[test]
    fn a_row_says_since_when_and_until_when() {
        let order = Story::paid(on_command()).order.unwrap();
        let told = row(order).texts(Time::from_micros(4_000_000 + 93_784_000_000));
        assert_eq!(told, ["o-1", "1d 2h", "1970-01-04T00:00:04.000000Z", "900", "USD 1.70", "ready to ship"]);
        let shorts = [0, 59, 60, 3_661].map(|seconds| in_short(seconds * 1_000_000));
        assert_eq!(shorts, ["0s", "59s", "1m 0s", "1h 1m"]);
    }
}
