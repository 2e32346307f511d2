//! Avro's object container file, as far as a segment needs it: a header with metadata, then blocks of compressed records.
//!
//! Written in one piece from memory, because the header names what follows: the number of records, the last offset and a
//! checksum. Read piece by piece, every length checked against what is there.

use std::collections::BTreeMap;
use std::io;

use super::codec::{Codec, Compressor, Decompressor};
use super::row::{Cursor, Malformed, put_bytes, put_long};

const MAGIC: &[u8] = b"Obj\x01";
const SYNC_BYTES: usize = 16;

/// A file's metadata by key.
pub(super) type Metadata = BTreeMap<String, Vec<u8>>;

/// Ends every block.
pub(super) type Sync = [u8; SYNC_BYTES];

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("it is no Avro object container file")]
    NoContainer,
    #[error("its header: {0}")]
    Header(Malformed),
    #[error("byte {at}: {reason}")]
    Block {
        /// Where in the file the block begins.
        at: usize,
        reason: String,
    },
}

/// Append a block of so many records.
pub(super) fn put_block(
    out: &mut Vec<u8>,
    compressor: &mut Compressor,
    records: i64,
    data: &[u8],
    sync: &Sync,
) -> io::Result<()> {
    let compressed = compressor.compress(data)?;
    put_long(out, records);
    put_bytes(out, &compressed);
    out.extend_from_slice(sync);
    Ok(())
}

/// A file's header.
pub(super) fn header(metadata: &Metadata, sync: &Sync) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    put_long(&mut out, i64::try_from(metadata.len()).unwrap_or(i64::MAX));
    for (key, value) in metadata {
        put_bytes(&mut out, key.as_bytes());
        put_bytes(&mut out, value);
    }
    put_long(&mut out, 0);
    out.extend_from_slice(sync);
    out
}

/// A file's header, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) metadata: Metadata,
    pub(super) sync: Sync,
    /// Where the first block begins.
    pub(super) length: usize,
}

impl Header {
    /// `file`: all of it, or its beginning.
    pub(super) fn read(file: &[u8]) -> Result<Header, Unreadable> {
        let body = file.strip_prefix(MAGIC).ok_or(Unreadable::NoContainer)?;
        let mut cursor = Cursor::new(body);
        let mut metadata = Metadata::new();
        let mut read = || {
            loop {
                let count = cursor.count()?;
                if count == 0 {
                    break;
                }
                for _ in 0..count {
                    let key = cursor.text()?.to_owned();
                    metadata.insert(key, cursor.bytes()?.to_vec());
                }
            }
            Sync::try_from(cursor.take(SYNC_BYTES)?).map_err(|_| Malformed::CutOff)
        };
        let sync = read().map_err(Unreadable::Header)?;
        Ok(Header { metadata, sync, length: file.len() - cursor.rest().len() })
    }

    /// How the blocks are compressed.
    pub(super) fn codec(&self) -> Result<Codec, String> {
        Codec::of_header(self.text("avro.codec"))
    }

    /// The value of a key as text.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        std::str::from_utf8(self.metadata.get(key)?).ok()
    }
}

/// Reads a file's blocks one after the other, into memory that is used again.
pub(super) struct Blocks<'f> {
    file: &'f [u8],
    at: usize,
    sync: Sync,
    decompressor: Decompressor,
}

impl<'f> Blocks<'f> {
    pub(super) fn new(file: &'f [u8], header: &Header) -> Result<Self, Unreadable> {
        let unreadable = |reason: String| Unreadable::Block { at: 0, reason };
        let decompressor =
            Decompressor::new(header.codec().map_err(unreadable)?).map_err(|error| unreadable(error.to_string()))?;
        Ok(Blocks { file, at: header.length, sync: header.sync, decompressor })
    }

    /// Where the next block begins.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The next block into `data`: how many records it holds. None at the file's end.
    pub(super) fn next(&mut self, data: &mut Vec<u8>) -> Result<Option<usize>, Unreadable> {
        let at = self.at;
        let unreadable = |reason: String| Unreadable::Block { at, reason };
        let mut cursor = Cursor::new(self.file.get(at..).unwrap_or_default());
        if cursor.is_at_end() {
            return Ok(None);
        }
        let mut framed = || {
            let records = cursor.long()?;
            let records = usize::try_from(records).map_err(|_| Malformed::Length(records))?;
            Ok((records, cursor.bytes()?, cursor.take(SYNC_BYTES)?))
        };
        let (records, stored, sync) = framed().map_err(|error: Malformed| match error == Malformed::CutOff {
            true => unreadable("the file ends within this block".into()),
            false => unreadable(error.to_string()),
        })?;
        if sync != self.sync {
            return Err(unreadable("the mark at the block's end is not the file's".into()));
        }
        data.clear();
        self.decompressor.decompress(stored, data).map_err(unreadable)?;
        self.at = self.file.len() - cursor.rest().len();
        Ok(Some(records))
    }
}
