//! What pages show again and again: times, amounts, states, JSON; each in one way.

use std::borrow::Cow;

use domain::saga::{Order, Stage};
use maud::{Markup, html};
use schemas::Time;

/// A point in time, in UTC, as far as people read it.
pub(super) fn time(time: Time) -> Markup {
    let exact = time.to_string();
    html! { time datetime=(exact) { (seconds(&exact)) } }
}

/// The same to the millisecond.
pub(super) fn exact_time(time: Time) -> Markup {
    let exact = time.to_string();
    let shown = exact.get(..23).unwrap_or(&exact).replace('T', " ");
    html! { time datetime=(exact) { (shown) } }
}

fn seconds(exact: &str) -> String {
    exact.get(..19).unwrap_or(exact).replace('T', " ")
}

/// What a field of date and time holds.
pub(super) fn time_field(time: Time) -> String {
    time.to_string().get(..19).unwrap_or_default().to_owned()
}

/// A time as a field of date and time gives it, or as RFC 3339 has it; what names no offset is meant in UTC.
pub(super) fn read_time(text: &str) -> Result<Time, String> {
    let given = || text.parse().or_else(|_| format!("{text}Z").parse()).or_else(|_| format!("{text}T00:00Z").parse());
    given().map_err(|error: schemas::TimeError| format!("{text}: {error}; for instance 2026-11-30T12:00"))
}

/// How long, in the unit that people would take.
pub(super) fn how_long(from: Time, to: Time) -> String {
    let micros = to.as_micros().saturating_sub(from.as_micros());
    let (sign, micros) = if micros < 0 { ("-", micros.unsigned_abs()) } else { ("+", micros.unsigned_abs()) };
    let (ms, s) = (micros / 1_000, micros / 1_000_000);
    match s {
        0 => format!("{sign}{ms} ms"),
        1..60 => format!("{sign}{s}.{} s", ms % 1_000 / 100),
        60..3_600 => format!("{sign}{} min {} s", s / 60, s % 60),
        3_600..86_400 => format!("{sign}{} h {} min", s / 3_600, s % 3_600 / 60),
        _ => format!("{sign}{} d {} h", s / 86_400, s % 86_400 / 3_600),
    }
}

/// A stage's name for people.
pub(super) fn stage_name(stage: &str) -> String {
    let words = stage.replace('_', " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// An order's stage, and that it is held.
pub(super) fn state(order: &Order) -> Markup {
    let tone = match &order.stage {
        Stage::Completed => "good",
        Stage::Stuck { .. } => "bad",
        Stage::Cancelling { .. } | Stage::Cancelled => "warn",
        Stage::Placed
        | Stage::StockReserved
        | Stage::Authorized
        | Stage::Confirmed
        | Stage::PaymentCaptured
        | Stage::ReadyToShip
        | Stage::Shipped
        | Stage::StockCommitted => "plain",
    };
    html! {
        span.badge.(tone) { (stage_name(order.stage.as_str())) }
        @if order.hold().is_some() { " " span.badge.warn { "Held" } }
    }
}

/// JSON as people read it; what is none, as it is.
pub(super) fn pretty(json: &str) -> Cow<'_, str> {
    let read = serde_json::from_str::<serde_json::Value>(json).ok();
    let shown = read.and_then(|value| serde_json::to_string_pretty(&value).ok());
    shown.map_or(Cow::Borrowed(json), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Time {
        Time::from_micros(micros)
    }

    #[test]
    fn times_are_read_as_a_field_gives_them_and_shown_in_utc() {
        let noon = read_time("2026-11-30T12:00").unwrap();
        for same in ["2026-11-30T12:00:00", "2026-11-30T12:00:00Z", "2026-11-30T13:00:00+01:00"] {
            assert_eq!(read_time(same), Ok(noon), "{same}");
        }
        assert_eq!(read_time("2026-11-30").map(time_field), Ok("2026-11-30T00:00:00".to_owned()));
        assert!(read_time("yesterday").unwrap_err().contains("for instance"));
        let shown = time(noon).into_string();
        assert_eq!(shown, "<time datetime=\"2026-11-30T12:00:00.000000Z\">2026-11-30 12:00:00</time>");
    }

    #[test]
    fn how_long_is_said_in_the_unit_that_people_take() {
        let told = [0, 12_345, 1_250_000, 61_000_000, 7_260_000_000, 180_000_000_000, -5_000];
        let told = told.map(|micros| how_long(at(0), at(micros)));
        assert_eq!(told, ["+0 ms", "+12 ms", "+1.2 s", "+1 min 1 s", "+2 h 1 min", "+2 d 2 h", "-5 ms"]);
    }

    #[test]
    fn what_is_no_json_is_shown_as_it_is() {
        assert_eq!(pretty("{\"a\":1}"), "{\n  \"a\": 1\n}");
        assert_eq!(pretty("{<script>"), "{<script>");
    }
}
