//! Bytes that stand in for real messages: 300 B of payload, 200 B of stored headers.
//!
//! Two thirds are digits drawn at random (real messages are mostly ids and numbers), the rest repeats, so lz4 neither
//! fails nor does wonders on them. Drawn once from a fixed seed: no run differs from another by its bytes.

use super::step::{Next, Topic};

/// Bytes of a payload.
pub(crate) const PAYLOAD_BYTES: usize = 300;
/// Bytes of an outbox row's headers.
pub(crate) const HEADER_BYTES: usize = 200;
/// Bytes of an event id in text.
const ID_BYTES: usize = 36;
/// Random bytes of a payload, after where it goes and its order.
const RANDOM_BYTES: usize = 200;
const POOL_BYTES: usize = 1 << 16;

/// The pool from which all bytes come.
pub(crate) struct Filler {
    digits: String,
    headers: Vec<[u8; HEADER_BYTES]>,
}

impl Filler {
    /// Always the same bytes.
    pub(crate) fn new() -> Self {
        let mut state = 1_u64;
        let digits: String = (0..POOL_BYTES).map(|_| char::from(digit(&mut state))).collect();
        let headers = digits.as_bytes().as_chunks::<HEADER_BYTES>().0.to_vec();
        Filler { digits, headers }
    }

    /// A payload: where it goes, its order, then filler.
    pub(crate) fn payload(&self, next: Next, order: i64) -> [u8; PAYLOAD_BYTES] {
        let mut payload = [b' '; PAYLOAD_BYTES];
        payload[0] = next.to_byte();
        payload[1..9].copy_from_slice(&order.to_be_bytes());
        let from = self.offset(order, usize::from(next.to_byte()));
        payload[9..9 + RANDOM_BYTES].copy_from_slice(&self.digits.as_bytes()[from..from + RANDOM_BYTES]);
        payload
    }

    /// The stored headers of a row.
    pub(crate) fn headers(&self, order: i64) -> &[u8; HEADER_BYTES] {
        &self.headers[self.offset(order, 0) % self.headers.len()]
    }

    /// The id of a message in text.
    pub(crate) fn id(&self, order: i64, topic: Topic) -> &str {
        let from = self.offset(order, topic.index());
        &self.digits[from..from + ID_BYTES]
    }

    fn offset(&self, order: i64, salt: usize) -> usize {
        let spread = usize::try_from(order.unsigned_abs()).unwrap_or(0).wrapping_mul(7919).wrapping_add(salt * 211);
        spread % (self.digits.len() - PAYLOAD_BYTES)
    }
}

/// The next digit of a xorshift generator.
fn digit(state: &mut u64) -> u8 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    b'0' + u8::try_from(*state % 10).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_the_same_every_time_and_differ_by_order() {
        let (one, other) = (Filler::new(), Filler::new());
        assert_eq!(one.payload(Next::Done, 7), other.payload(Next::Done, 7));
        assert_ne!(one.payload(Next::Done, 7)[9..], one.payload(Next::Done, 8)[9..]);
        assert_eq!(one.payload(Next::Step(3), 0x0102)[..9], [3, 0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(one.id(i64::MAX, Topic::PaymentEvents).len(), ID_BYTES);
    }
}
