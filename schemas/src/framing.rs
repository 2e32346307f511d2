//! The five bytes in front of every datum: a zero byte and the schema id, most significant byte first.
//!
//! Confluent's wire format, which every Kafka tool with Avro support reads.

use crate::DecodeError;

/// The frame for a datum of this schema.
pub(crate) fn frame(schema_id: u32) -> [u8; 5] {
    let [a, b, c, d] = schema_id.to_be_bytes();
    [0, a, b, c, d]
}

/// The schema id and the datum.
pub(crate) fn unframe(payload: &[u8]) -> Result<(u32, &[u8]), DecodeError> {
    match payload {
        [0, a, b, c, d, datum @ ..] => Ok((u32::from_be_bytes([*a, *b, *c, *d]), datum)),
        _ => Err(DecodeError::NotFramed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_is_a_zero_and_the_id_in_network_order() {
        assert_eq!(frame(1_000_000), [0, 0, 0x0f, 0x42, 0x40]);
        assert_eq!(unframe(&[0, 0, 0x0f, 0x42, 0x40, 7]), Ok((1_000_000, &[7][..])));
    }

    #[test]
    fn anything_else_is_not_framed() {
        for payload in [&[][..], &[0], &[0, 0, 0, 1], &[1, 0, 0, 0, 1, 7]] {
            assert_eq!(unframe(payload), Err(DecodeError::NotFramed));
        }
    }
}
