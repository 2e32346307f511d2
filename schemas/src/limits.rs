//! Bounds on what a message may hold.
//!
//! Together with the bound on identifiers they make every message that a service derives fit into one record: the
//! largest, an `OrderPlaced` of `MAX_LINES` lines with `MAX_ADJUSTMENTS` and `MAX_ATTRIBUTES`, stays below 60 kB.

use crate::text;

/// The most lines of an order that is accepted.
pub const MAX_LINES: usize = 500;
/// The most adjustments of an order that is accepted.
pub const MAX_ADJUSTMENTS: usize = 100;
/// The most attributes of an order that is accepted.
pub const MAX_ATTRIBUTES: usize = 16;
/// The most bytes of an attribute's name, and of its value.
pub const MAX_ATTRIBUTE_BYTES: usize = 256;
/// The most bytes of a sender's code for a reason.
pub const MAX_REASON_CODE_BYTES: usize = 64;
/// The most bytes of what a product is called.
pub const MAX_TITLE_BYTES: usize = 256;
/// The most minor units that an order may come to: 2^53 - 2. Every whole number up to it, and the one above it, is exact
/// as a double, so a program that has no other numbers can tell the largest total from one that is too large.
pub const MAX_TOTAL_MINOR: i64 = (1 << 53) - 2;
/// The most reasons or shortages that a refusal lists.
pub const MAX_REASONS: usize = 16;
/// The most bytes of a text in words.
pub const MAX_DETAIL_BYTES: usize = 256;
/// The most bytes of a payload, framing included; headers and the record's own overhead come on top.
pub const MAX_PAYLOAD_BYTES: usize = 1024 * 1024;
/// The most bytes that one length or count in a payload may make the Avro library allocate at once. Enough for any
/// datum of `MAX_PAYLOAD_BYTES`: its decoder's values take up to 60 bytes for an array's item of two, and up to 90 for a
/// map's of five, which is what an item takes where there are many and no name comes twice.
pub(crate) const MAX_ALLOCATION_BYTES: usize = 32 * 1024 * 1024;

/// Anybody's words as a message may carry them: U+0000 shown as U+FFFD (see `text`), and cut at a character boundary so
/// that there are at most `MAX_DETAIL_BYTES` bytes.
pub fn detail(text: impl Into<String>) -> String {
    let mut text = text.into();
    if !text::is_storable(&text) {
        text = text.replace('\0', "\u{fffd}");
    }
    let mut end = text.len().min(MAX_DETAIL_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1; // ends at the latest at 0, which is a boundary
    }
    text.truncate(end);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_stay_as_they_are() {
        assert_eq!(detail("quantity 0"), "quantity 0");
        assert_eq!(detail("x".repeat(256)).len(), 256);
    }

    #[test]
    fn what_no_column_holds_is_shown_as_a_replacement() {
        assert_eq!(detail("card\0declined"), "card\u{fffd}declined");
        assert_eq!(detail("\0".repeat(256)).len(), 255);
    }

    #[test]
    fn a_long_text_is_cut_before_the_character_that_does_not_fit() {
        let cut = detail(format!("{}é", "x".repeat(255)));
        assert_eq!(cut, "x".repeat(255));
    }
}
