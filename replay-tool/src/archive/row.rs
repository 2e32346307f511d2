//! A record as an Avro datum of `record.avsc`, and back without a copy: a careful codec for this one schema.
//!
//! A generic decoder makes a tree of values of every record; this one borrows from the block, which is some ten times
//! faster. Whatever else a block may hold is an error with its place: nothing is read beyond the block, and nothing is
//! allocated for a length that the block cannot hold. Other schemas are read in `foreign`.

use std::borrow::Cow;

use crate::log::{Header, Record, TimestampType};

/// The schema, as it stands in every segment.
pub(super) const SCHEMA: &str = include_str!("record.avsc");

/// Why bytes are no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("it ends within a record")]
    CutOff,
    #[error("a number of more than 64 bits")]
    Number,
    #[error("a length or count that cannot be: {0}")]
    Length(i64),
    #[error("branch {0} of a union that has two")]
    Branch(i64),
    #[error("a type of time that there is not: {0}")]
    TimestampType(i64),
    #[error("a text that is not UTF-8")]
    Text,
    #[error("a partition that is none: {0}")]
    Partition(i64),
}

/// Append the record's datum.
pub(super) fn encode(out: &mut Vec<u8>, topic: &str, record: &Record<'_>) {
    put_bytes(out, topic.as_bytes());
    put_long(out, i64::from(record.partition));
    put_long(out, record.offset);
    put_long(out, record.timestamp_ms);
    put_long(
        out,
        match record.timestamp_type {
            TimestampType::None => 0,
            TimestampType::Create => 1,
            TimestampType::LogAppend => 2,
        },
    );
    put_optional(out, record.key);
    put_optional(out, record.payload);
    let Some(headers) = &record.headers else { return put_long(out, 0) };
    put_long(out, 1);
    if !headers.is_empty() {
        put_length(out, headers.len());
        for (name, value) in headers.iter() {
            put_bytes(out, name.as_bytes());
            put_optional(out, *value);
        }
    }
    put_long(out, 0);
}

/// A number as Avro has it: zigzag, seven bits a byte, the lowest first.
pub(super) fn put_long(out: &mut Vec<u8>, number: i64) {
    let mut rest = (number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned();
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push((rest & 0x7f) as u8);
}

pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_length(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    // No slice is longer than isize::MAX.
    put_long(out, i64::try_from(length).unwrap_or(i64::MAX));
}

fn put_optional(out: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        None => put_long(out, 0),
        Some(bytes) => {
            put_long(out, 1);
            put_bytes(out, bytes);
        }
    }
}

/// Reads Avro's primitives one after the other.
#[derive(Debug)]
pub(super) struct Cursor<'b> {
    rest: &'b [u8],
}

impl<'b> Cursor<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Cursor { rest: bytes }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// What has not been read.
    pub(super) fn rest(&self) -> &'b [u8] {
        self.rest
    }

    #[inline]
    pub(super) fn long(&mut self) -> Result<i64, Malformed> {
        // Most are lengths and branches of one byte.
        if let [byte @ ..0x80, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(i64::from(byte >> 1) ^ -i64::from(byte & 1));
        }
        self.longer()
    }

    fn longer(&mut self) -> Result<i64, Malformed> {
        let mut number = 0_u64;
        for (index, byte) in self.rest.iter().enumerate() {
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit.
            if index > 9 || (index == 9 && bits > 1) {
                return Err(Malformed::Number);
            }
            number |= bits << (7 * index);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[index + 1..];
                return Ok((number >> 1).cast_signed() ^ -((number & 1).cast_signed()));
            }
        }
        Err(Malformed::CutOff)
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'b [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Malformed::CutOff)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn bytes(&mut self) -> Result<&'b [u8], Malformed> {
        let length = self.long()?;
        self.take(usize::try_from(length).map_err(|_| Malformed::Length(length))?)
    }

    pub(super) fn text(&mut self) -> Result<&'b str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed::Text)
    }

    fn is_there(&mut self) -> Result<bool, Malformed> {
        match self.long()? {
            0 => Ok(false),
            1 => Ok(true),
            branch => Err(Malformed::Branch(branch)),
        }
    }

    fn optional(&mut self) -> Result<Option<&'b [u8]>, Malformed> {
        if self.is_there()? { self.bytes().map(Some) } else { Ok(None) }
    }

    /// The number of items of an array's or a map's next block; 0 after the last.
    pub(super) fn count(&mut self) -> Result<usize, Malformed> {
        let count = self.long()?;
        if count < 0 {
            // Then the block's size in bytes follows.
            self.long()?;
        }
        let items = usize::try_from(count.unsigned_abs()).map_err(|_| Malformed::Length(count))?;
        // No item of ours takes less than a byte.
        if items > self.rest.len() { Err(Malformed::Length(count)) } else { Ok(items) }
    }

    /// Whether there are any, none of them included.
    fn headers(&mut self, headers: &mut Vec<Header<'b>>) -> Result<bool, Malformed> {
        headers.clear();
        if !self.is_there()? {
            return Ok(false);
        }
        loop {
            let count = self.count()?;
            if count == 0 {
                return Ok(true);
            }
            for _ in 0..count {
                headers.push((self.text()?, self.optional()?));
            }
        }
    }

    /// The next record, and the topic that it names. Its headers lie in the buffer, which serves for one after the other.
    pub(super) fn record<'h>(&mut self, headers: &'h mut Vec<Header<'b>>) -> Result<(&'b [u8], Record<'h>), Malformed> {
        let topic = self.bytes()?;
        let partition = self.long()?;
        let partition = i32::try_from(partition).map_err(|_| Malformed::Partition(partition))?;
        let offset = self.long()?;
        let timestamp_ms = self.long()?;
        let timestamp_type = match self.long()? {
            0 => TimestampType::None,
            1 => TimestampType::Create,
            2 => TimestampType::LogAppend,
            other => return Err(Malformed::TimestampType(other)),
        };
        let (key, payload) = (self.optional()?, self.optional()?);
        let headers = self.headers(headers)?.then_some(Cow::Borrowed(headers.as_slice()));
        Ok((topic, Record { partition, offset, timestamp_ms, timestamp_type, key, payload, headers }))
    }
}

#[cfg(test)]
#[path = "row_tests.rs"]
mod tests;
