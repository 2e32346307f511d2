//! By what a record is known again: a digest of all that it says.
//!
//! Stored beside the offset, so it must stay the same from version to version. The offset is not part of it.

use rdkafka::message::{BorrowedMessage, Message as _};
use sha2::{Digest as _, Sha256};

use outbox::kafka::record_headers;

/// The digest of a record: time, key, value, and those headers that can be read.
pub(crate) fn digest(message: &BorrowedMessage<'_>) -> [u8; 16] {
    let mut parts = Parts::new(message.timestamp().to_millis());
    parts.add(message.key());
    parts.add(message.payload());
    record_headers::visit(message, |name, value| {
        parts.add(Some(name.as_bytes()));
        parts.add(value);
    });
    parts.finish()
}

/// Parts with their lengths, so that no two records are the same text.
struct Parts(Sha256);

impl Parts {
    fn new(timestamp_ms: Option<i64>) -> Self {
        Parts(Sha256::new().chain_update(timestamp_ms.unwrap_or(-1).to_be_bytes()))
    }

    fn add(&mut self, part: Option<&[u8]>) {
        match part {
            None => self.0.update([0]),
            Some(bytes) => {
                self.0.update([1]);
                self.0.update((bytes.len() as u64).to_be_bytes());
                self.0.update(bytes);
            }
        }
    }

    fn finish(self) -> [u8; 16] {
        let mut short = [0; 16];
        short.copy_from_slice(&self.0.finalize()[..16]);
        short
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest_of(timestamp_ms: Option<i64>, parts: &[Option<&[u8]>]) -> String {
        let mut digest = Parts::new(timestamp_ms);
        parts.iter().for_each(|part| digest.add(*part));
        digest.finish().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn records_that_differ_in_anything_have_other_digests() {
        let all = [
            digest_of(Some(1), &[Some(b"key"), Some(b"value")]),
            digest_of(Some(2), &[Some(b"key"), Some(b"value")]),
            digest_of(None, &[Some(b"key"), Some(b"value")]),
            digest_of(Some(1), &[Some(b"keyv"), Some(b"alue")]),
            digest_of(Some(1), &[Some(b"key"), None]),
            digest_of(Some(1), &[Some(b"key"), Some(b"")]),
            digest_of(Some(1), &[None, Some(b"value")]),
            digest_of(Some(1), &[Some(b"key"), Some(b"value"), Some(b"name"), None]),
            digest_of(Some(1), &[Some(b"key"), Some(b"value"), Some(b"name"), Some(b"")]),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(!all[..index].contains(one), "{index}: {all:?}");
        }
    }
}
