//! The place of a message in its lane, as it travels in the `outbox-position` header.
//!
//! The text form is `<source>:<epoch>:<first sequence of that epoch>:<sequence>`. It is gapless per topic partition and
//! source, so a reader can prove that nothing is missing, doubled or reordered. What a reader does with it is in
//! [`crate::inbox`]; this file only parses and prints.

use std::fmt;
use std::str::FromStr;

/// Name of the header that carries a [`Position`]. Readers take the last header of that name.
pub const POSITION_HEADER: &str = "outbox-position";

/// Name of the header that carries the id of a message that was published raw (a dead letter).
pub const ID_HEADER: &str = "outbox-id";

/// Name of the header that says what an epoch voids; only records of an epoch after the first have it, right before
/// their [`POSITION_HEADER`]. Its value is a sequence, in digits: what lies after it and before the epoch's first
/// sequence is void. What to do with it is in [`crate::epochs`].
pub const LAST_EQUAL_HEADER: &str = "outbox-last-equal";

/// Longest accepted source name in bytes.
pub const MAX_SOURCE_BYTES: usize = 128;

/// Where a message stands among everything that one outbox published to one topic partition.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// Who published it, for instance `/order`.
    pub source: String,
    /// Number of the epoch, from 1; a new one begins when the database behind the outbox was restored.
    pub epoch: i64,
    /// Sequence at which this epoch begins, from 1.
    pub first: i64,
    /// Sequence of this message; the next one in the same epoch is exactly one higher.
    pub sequence: i64,
}

/// Why a header is not a position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PositionError {
    /// The bytes are not UTF-8.
    #[error("position is not UTF-8")]
    NotText,
    /// Fewer than four fields, or a field that is not a plain decimal number.
    #[error("position is not `source:epoch:first:sequence`")]
    Malformed,
    /// A number below 1, or a sequence before the epoch's first.
    #[error("position numbers contradict each other")]
    Impossible,
    /// An empty source, one that is too long, or one with control characters.
    #[error("position names no proper source")]
    Source,
}

impl Position {
    /// Reads the header's bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, PositionError> {
        std::str::from_utf8(bytes).map_err(|_| PositionError::NotText)?.parse()
    }
}

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let mut fields = text.rsplitn(4, ':');
        let sequence = number(fields.next())?;
        let first = number(fields.next())?;
        let epoch = number(fields.next())?;
        let source = fields.next().ok_or(PositionError::Malformed)?;
        if !is_source(source) {
            return Err(PositionError::Source);
        }
        if epoch < 1 || first < 1 || sequence < first || (epoch == 1 && first != 1) {
            return Err(PositionError::Impossible);
        }
        Ok(Self { source: source.to_owned(), epoch, first, sequence })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}:{}", self.source, self.epoch, self.first, self.sequence)
    }
}

/// Whether a name can stand as the source of positions: not empty, not too long, no control characters.
pub fn is_source(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_SOURCE_BYTES && !name.chars().any(char::is_control)
}

/// Digits only: `parse` alone would also take a sign, and then one position would have two spellings.
fn number(field: Option<&str>) -> Result<i64, PositionError> {
    let field = field.ok_or(PositionError::Malformed)?;
    if field.is_empty() || !field.bytes().all(|b| b.is_ascii_digit()) || (field.len() > 1 && field.starts_with('0')) {
        return Err(PositionError::Malformed);
    }
    field.parse().map_err(|_| PositionError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_reads_back_what_it_printed() {
        for source in ["/order", "https://shop.example:8443/a", "é"] {
            let position = Position { source: source.to_owned(), epoch: 3, first: 40, sequence: 41 };
            assert_eq!(Position::parse(position.to_string().as_bytes()), Ok(position));
        }
    }

    #[test]
    fn what_is_no_position_is_refused() {
        let cases: [(&[u8], PositionError); 12] = [
            (b"", PositionError::Malformed),
            (b"/order:1:1", PositionError::Malformed),
            (b"/order:1:1:", PositionError::Malformed),
            (b"/order:1:1:+2", PositionError::Malformed),
            (b"/order:1:1:02", PositionError::Malformed),
            (b"/order:1:1:99999999999999999999", PositionError::Malformed),
            (b":1:1:1", PositionError::Source),
            (b"a\nb:1:1:1", PositionError::Source),
            (b"/order:0:1:1", PositionError::Impossible),
            (b"/order:2:9:8", PositionError::Impossible),
            (b"/order:1:2:2", PositionError::Impossible),
            (b"\xff:1:1:1", PositionError::NotText),
        ];
        for (bytes, expected) in cases {
            assert_eq!(Position::parse(bytes), Err(expected), "{bytes:?}");
        }
    }
}
