//! What strangers wrote, shown so that it can do nothing: cut where it is long, and with the characters written out that cannot be seen.
//!
//! Markup escapes by itself (`maud`); here is what is left: length, and characters that turn the order of the others round.

use std::borrow::Cow;

/// The longest text that stands in a line or a cell, in characters.
const LINE: usize = 300;

/// A text of a line's length.
pub(super) fn line(text: &str) -> String {
    let (shown, more) = cut(text, LINE);
    let seen: String = shown.chars().flat_map(seen).collect();
    if more == 0 { seen } else { format!("{seen}… ({more} more characters)") }
}

/// No more than so many characters of it, and how many there are more.
pub(super) fn cut(text: &str, most: usize) -> (&str, usize) {
    match text.char_indices().nth(most) {
        Some((end, _)) => (&text[..end], text[end..].chars().count()),
        None => (text, 0),
    }
}

/// JSON in which every character that cannot be seen is written as its code: it says the same.
pub(super) fn json(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut written = String::with_capacity(text.len());
    for character in text.chars() {
        match is_hidden(character) {
            true => {
                let mut units = [0; 2];
                let codes = character.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}"));
                written.extend(codes);
            }
            false => written.push(character),
        }
    }
    Cow::Owned(written)
}

fn seen(character: char) -> Vec<char> {
    match character.is_control() || is_hidden(character) {
        true => character.escape_unicode().collect(),
        false => vec![character],
    }
}

/// Whether it has no width, or turns the direction of what follows.
fn is_hidden(character: char) -> bool {
    matches!(character, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_turns_the_direction_and_nothing_is_endless() {
        assert_eq!(line("a\u{202e}b\nc"), "a\\u{202e}b\\u{a}c");
        let long = line(&"ü".repeat(1_000_000));
        assert!(long.ends_with("… (999700 more characters)") && long.chars().count() < 400, "{long}");
        assert_eq!(json("{\"a\":\"\u{202e}x\"}"), "{\"a\":\"\\u202ex\"}");
        assert_eq!(cut("abc", 3), ("abc", 0));
    }
}
