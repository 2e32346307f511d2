//! What pages show again and again, each in one way: times, ages, numbers, names, states, JSON.

use std::borrow::Cow;

use client::Manner;
use domain::saga::{Order, Stage};
use grammar::{decimals, grouped, minor_units, money};
use maud::{Markup, html};
use schemas::Time;

/// Microseconds of a second.
const SECOND: i64 = 1_000_000;

/// A time, to the second, where a page does not say once that all of them are in UTC.
pub(super) fn utc(at: impl Into<Time>) -> Markup {
    let at = at.into();
    html! { time datetime=(at.to_string()) { (moment(at)) } }
}

/// The same within a sentence.
pub(super) fn moment(at: Time) -> String {
    format!("{} UTC", seconds(&at.to_string()))
}

/// How messages are told to people, those of an order in its currency.
pub(super) fn manner(currency: &str) -> Manner<'_> {
    Manner { currency: Some(currency), time: moment }
}

/// A time, to the second.
pub(super) fn time(at: impl Into<Time>) -> Markup {
    let exact = at.into().to_string();
    html! { time datetime=(exact) { (seconds(&exact)) } }
}

/// A time, to the millisecond.
pub(super) fn exact_time(at: Time) -> Markup {
    let exact = at.to_string();
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

/// The minor units of an amount as a field holds it: in the currency's units, without its name.
pub(super) fn read_amount(text: &str, currency: &str) -> Result<i64, String> {
    let text = text.trim();
    minor_units(text, currency).ok_or_else(|| {
        let (decimals, example) = (decimals(currency), amount_field(1250, currency));
        let has = if decimals == 0 { "no decimals".to_owned() } else { format!("{decimals} decimals") };
        format!("{text} is no amount in {currency}, with at most {has}: write it as in {example}, without the currency")
    })
}

/// What a field of an amount holds.
pub(super) fn amount_field(minor: i64, currency: &str) -> String {
    money(minor, currency).trim_start_matches(currency).trim().to_owned()
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

/// How long ago it was, with the time itself for whoever asks for it.
pub(super) fn since(at: Time, now: Time) -> Markup {
    html! { time datetime=(at.to_string()) title=(moment(at)) { (age(at, now)) } }
}

/// How long it has been, in the two largest units.
pub(super) fn age(at: Time, now: Time) -> String {
    let seconds = (now.as_micros().saturating_sub(at.as_micros()) / SECOND).max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        (_, _, _) => format!("{days} d {} h", hours % 24),
    }
}

/// A number, with its thousands apart; below zero as well.
pub(super) fn number(value: i64) -> String {
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{}", grouped(value.unsigned_abs()))
}

/// A number that may not be known.
pub(super) fn known(value: Option<i64>) -> String {
    value.map_or_else(|| "not known".to_owned(), number)
}

/// So many in a minute, as so many a second.
pub(super) fn per_second(in_a_minute: i64) -> String {
    if (1..60).contains(&in_a_minute) {
        return format!("0.{:02}", in_a_minute.saturating_mul(100) / 60);
    }
    let tenths = in_a_minute.saturating_mul(10) / 60;
    format!("{}.{}", number(tenths / 10), (tenths % 10).abs())
}

/// Microseconds, as milliseconds.
pub(super) fn milliseconds(micros: i64) -> String {
    let tenths = micros / 100;
    format!("{}.{} ms", number(tenths / 10), (tenths % 10).abs())
}

/// A name of the code's as people say it: `OutOfStock` and `out_of_stock` are `out of stock`.
pub(super) fn spoken(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        match c {
            '_' => words.push(' '),
            _ if c.is_ascii_uppercase() => {
                if !words.is_empty() {
                    words.push(' ');
                }
                words.push(c.to_ascii_lowercase());
            }
            _ => words.push(c),
        }
    }
    words
}

/// A name of the code's as a heading or a label has it.
pub(super) fn label(name: &str) -> String {
    let words = spoken(name);
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
        span.badge.(tone) { (label(order.stage.as_str())) }
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

    #[test]
    fn an_age_has_its_two_largest_units_and_is_never_below_nothing() {
        let age = |seconds: i64| age(Time::from_micros(0), Time::from_micros(seconds * SECOND));
        for (seconds, words) in
            [(-5, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (7_260, "2 h 1 min"), (90_000, "1 d 1 h")]
        {
            assert_eq!(age(seconds), words);
        }
    }

    #[test]
    fn names_are_spoken() {
        assert_eq!(
            ["OutOfStock", "ready_to_ship", "", "<b>"].map(spoken),
            ["out of stock", "ready to ship", "", "<b>"]
        );
    }

    #[test]
    fn numbers_are_for_people() {
        assert_eq!((number(-12_345), known(None), known(Some(7))), ("-12,345".into(), "not known".into(), "7".into()));
        assert_eq!(
            (per_second(90), per_second(0), milliseconds(12_345)),
            ("1.5".into(), "0.0".into(), "12.3 ms".into())
        );
        let shown = utc("2026-11-30T12:00:00.5Z".parse::<Time>().unwrap()).into_string();
        assert!(
            shown.contains(">2026-11-30 12:00:00 UTC<") && shown.contains("datetime=\"2026-11-30T12:00:00.5"),
            "{shown}"
        );
    }

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
    fn an_amount_is_written_in_the_currency_s_units_and_read_so() {
        for (text, currency, minor) in
            [("2.50", "EUR", 250), (" 7 ", "EUR", 700), ("1250", "JPY", 1250), ("1.234", "KWD", 1234)]
        {
            assert_eq!(read_amount(text, currency), Ok(minor), "{text}");
            assert_eq!(read_amount(&amount_field(minor, currency), currency), Ok(minor));
        }
        for (text, currency, words) in [
            ("2.505", "EUR", "at most 2 decimals: write it as in 12.50"),
            ("2.5", "JPY", "at most no decimals: write it as in 1250"),
            ("2,50", "EUR", "without the currency"),
            ("-1", "EUR", "is no amount"),
            ("EUR 1", "EUR", "is no amount"),
            ("", "EUR", "is no amount"),
        ] {
            let said = read_amount(text, currency).unwrap_err();
            assert!(said.contains(words), "{said}");
        }
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
