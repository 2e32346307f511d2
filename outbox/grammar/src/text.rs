//! Texts for people: what strangers write made harmless, numbers with their nouns, money.

/// Control characters written out: a key or a name may come from anybody, and must not move the cursor.
pub fn harmless(text: &str) -> String {
    let shown = |character: char| match character.is_control() {
        true => character.escape_default().to_string(),
        false => character.to_string(),
    };
    text.chars().map(shown).collect()
}

/// The same for a text of several lines.
pub fn harmless_lines(text: &str) -> String {
    text.split('\n').map(harmless).collect::<Vec<_>>().join("\n")
}

/// A number with its noun.
pub fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}{}", ending(what)) }
}

fn ending(what: &str) -> &'static str {
    if ["s", "x", "ch", "sh"].iter().any(|end| what.ends_with(end)) { "es" } else { "s" }
}

/// A count with a separator at thousands: 12,721.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Currencies of ISO 4217 whose minor unit is not the hundredth, with its decimals.
const DECIMALS: [(&str, usize); 26] = [
    ("BHD", 3),
    ("BIF", 0),
    ("CLF", 4),
    ("CLP", 0),
    ("DJF", 0),
    ("GNF", 0),
    ("IQD", 3),
    ("ISK", 0),
    ("JOD", 3),
    ("JPY", 0),
    ("KMF", 0),
    ("KRW", 0),
    ("KWD", 3),
    ("LYD", 3),
    ("OMR", 3),
    ("PYG", 0),
    ("RWF", 0),
    ("TND", 3),
    ("UGX", 0),
    ("UYI", 0),
    ("UYW", 4),
    ("VND", 0),
    ("VUV", 0),
    ("XAF", 0),
    ("XOF", 0),
    ("XPF", 0),
];

/// How many decimals an amount in this currency has.
pub fn decimals(currency: &str) -> usize {
    DECIMALS.iter().find(|(code, _)| *code == currency).map_or(2, |(_, decimals)| *decimals)
}

/// The minor units of an amount as people write it: `0.89`, `7`, `7.5`. None of what is no amount, or finer than the currency is.
pub fn minor_units(text: &str, currency: &str) -> Option<i64> {
    let decimals = decimals(currency);
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || part.len() > decimals || !are_digits(whole) || !are_digits(part) {
        return None;
    }
    format!("{whole}{part:0<decimals$}").parse().ok()
}

/// An amount for people, out of the minor units in which it travels: `USD 0.89`. Nothing is computed with it.
pub fn money(minor: i64, currency: &str) -> String {
    let decimals = decimals(currency);
    let sign = if minor < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", minor.unsigned_abs(), width = decimals + 1);
    let (whole, part) = digits.split_at(digits.len() - decimals);
    let point = if decimals == 0 { "" } else { "." };
    format!("{currency} {sign}{whole}{point}{part}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        let cases = [(0, "0"), (999, "999"), (1000, "1,000"), (12_721, "12,721"), (1_234_567, "1,234,567")];
        for (number, text) in cases {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn one_is_not_many() {
        assert_eq!([counted(1, "line"), counted(0, "line"), counted(2, "batch")], ["1 line", "0 lines", "2 batches"]);
    }

    #[test]
    fn what_people_write_is_an_amount_in_minor_units_or_none() {
        for (text, currency, minor) in [
            ("0.89", "USD", Some(89)),
            ("7", "EUR", Some(700)),
            ("7.5", "EUR", Some(750)),
            ("7", "JPY", Some(7)),
            ("0.001", "KWD", Some(1)),
            ("7.5", "JPY", None),
            ("0.001", "EUR", None),
            ("-1", "EUR", None),
            ("1,50", "EUR", None),
            (".5", "EUR", None),
            ("1e3", "EUR", None),
            ("99999999999999999999", "EUR", None),
        ] {
            assert_eq!(minor_units(text, currency), minor, "{text} {currency}");
        }
    }

    #[test]
    fn money_has_its_currency_s_decimals() {
        for (minor, currency, text) in [
            (89, "USD", "USD 0.89"),
            (-5, "EUR", "EUR -0.05"),
            (118_200, "USD", "USD 1182.00"),
            (1182, "JPY", "JPY 1182"),
            (0, "XOF", "XOF 0"),
            (1, "KWD", "KWD 0.001"),
            (i64::MIN, "USD", "USD -92233720368547758.08"),
        ] {
            assert_eq!(money(minor, currency), text);
        }
    }

    #[test]
    fn no_stranger_moves_the_cursor() {
        assert_eq!(harmless("\u{1b}[2Jé\n"), "\\u{1b}[2Jé\\n");
        assert_eq!(harmless_lines("a\rb\nc"), "a\\rb\nc");
    }
}
