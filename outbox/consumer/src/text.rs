//! Texts of strangers, and texts for people, as they can be kept: in a column, in a header.

/// The most bytes of an explanation.
const MAX_DETAIL_BYTES: usize = 256;

/// Whether a text column of Postgres holds it: none holds U+0000.
pub(crate) fn is_storable(text: &str) -> bool {
    !text.contains('\0')
}

/// Anybody's words as a header carries them: U+0000 shown as U+FFFD, and cut at a character's boundary.
pub(crate) fn detail(text: impl Into<String>) -> String {
    let mut text = text.into();
    if !is_storable(&text) {
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
    fn an_explanation_is_cut_before_the_character_that_does_not_fit_and_has_no_zero() {
        assert_eq!(detail("quantity 0"), "quantity 0");
        assert_eq!(detail(format!("{}é", "x".repeat(255))), "x".repeat(255));
        assert_eq!(detail("card\0declined"), "card\u{fffd}declined");
    }
}
