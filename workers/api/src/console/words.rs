//! Times, ages and numbers as the pages have them.

use grammar::grouped;
use maud::{Markup, html};
use schemas::Time;

/// Microseconds of a second.
const SECOND: i64 = 1_000_000;

/// A time, to the second.
pub(super) fn time(at: Time) -> Markup {
    let exact = at.to_string();
    let words = format!("{} UTC", exact.get(..19).unwrap_or(&exact).replace('T', " "));
    html! { time datetime=(exact) { (words) } }
}

/// How long ago it was, with the time itself for whoever asks for it.
pub(super) fn since(at: Time, now: Time) -> Markup {
    let exact = at.to_string();
    html! { time datetime=(exact) title=(exact) { (age(at, now)) } }
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
        let shown = time("2026-11-30T12:00:00.5Z".parse().unwrap()).into_string();
        assert!(
            shown.contains(">2026-11-30 12:00:00 UTC<") && shown.contains("datetime=\"2026-11-30T12:00:00.5"),
            "{shown}"
        );
    }
}
