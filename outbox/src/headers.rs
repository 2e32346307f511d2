//! Record headers packed into one `bytea`, so that a row needs no second table and no array of composites.
//!
//! Layout, repeated per header: name length (u16 BE), name, value length (u32 BE, all ones for a null value), value.
//! Order and repeated names are kept. Deliberately absent: compression (dead letters are rare).

use crate::error::OutboxError;

const NULL: u32 = u32::MAX;

/// A header as it is read back: its name, and its value unless that is null.
pub type HeaderRef<'a> = (&'a str, Option<&'a [u8]>);

/// Packs the headers; `None` when there are none. A name must have at most 65,535 bytes and no NUL (Kafka clients
/// written in C cannot carry one); it may be empty, as a stranger's may.
pub(crate) fn pack(headers: &[(String, Option<Vec<u8>>)]) -> Result<Option<Vec<u8>>, OutboxError> {
    if headers.is_empty() {
        return Ok(None);
    }
    let mut packed = Vec::with_capacity(headers.iter().map(|(name, value)| 6 + name.len() + length(value)).sum());
    for (name, value) in headers {
        let refused = || OutboxError::Header { name: name.chars().take(64).collect() };
        let name_length = u16::try_from(name.len()).map_err(|_| refused())?;
        if name.contains('\0') {
            return Err(refused());
        }
        packed.extend_from_slice(&name_length.to_be_bytes());
        packed.extend_from_slice(name.as_bytes());
        match value {
            None => packed.extend_from_slice(&NULL.to_be_bytes()),
            Some(value) => {
                let value_length = u32::try_from(value.len()).ok().filter(|n| *n != NULL).ok_or_else(refused)?;
                packed.extend_from_slice(&value_length.to_be_bytes());
                packed.extend_from_slice(value);
            }
        }
    }
    Ok(Some(packed))
}

/// Reads packed headers in their order; stops with an error at the first that is cut short.
pub(crate) fn unpack(packed: &[u8]) -> impl Iterator<Item = Result<HeaderRef<'_>, OutboxError>> {
    let mut rest = packed;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        match split_one(rest) {
            Some((header, after)) => {
                rest = after;
                Some(Ok(header))
            }
            None => {
                rest = &[];
                Some(Err(OutboxError::CorruptRow { what: "packed headers" }))
            }
        }
    })
}

fn split_one(bytes: &[u8]) -> Option<(HeaderRef<'_>, &[u8])> {
    let (name_length, bytes) = bytes.split_first_chunk::<2>()?;
    let (name, bytes) = bytes.split_at_checked(usize::from(u16::from_be_bytes(*name_length)))?;
    let name = std::str::from_utf8(name).ok()?;
    let (value_length, bytes) = bytes.split_first_chunk::<4>()?;
    match u32::from_be_bytes(*value_length) {
        NULL => Some(((name, None), bytes)),
        length => {
            let (value, bytes) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
            Some(((name, Some(value)), bytes))
        }
    }
}

fn length(value: &Option<Vec<u8>>) -> usize {
    value.as_ref().map_or(0, Vec::len)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn headers_read_back_in_order(headers in proptest::collection::vec(
            ("[a-z]{0,20}", proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40))), 0..6)
        ) {
            let packed = pack(&headers).unwrap().unwrap_or_default();
            let read: Vec<_> = unpack(&packed).map(Result::unwrap)
                .map(|(name, value)| (name.to_owned(), value.map(<[u8]>::to_vec))).collect();
            prop_assert_eq!(read, headers);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = unpack(&bytes).count();
        }
    }

    #[test]
    fn a_name_that_kafka_cannot_carry_is_refused() {
        for name in ["a\0b", &"x".repeat(70_000)] {
            assert!(pack(&[(name.to_owned(), None)]).is_err());
        }
    }
}
