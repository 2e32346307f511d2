//! Avro's object container file, as far as a segment needs it: a header with metadata, then blocks of compressed records.
//!
//! Written in one piece from memory, because the header names what follows: the number of records, the last offset and a
//! checksum. Read piece by piece, every length checked against what is there.

use std::collections::BTreeMap;
use std::io;

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::{CParameter, get_frame_content_size};

use super::row::{Cursor, Malformed, put_bytes, put_long};

const MAGIC: &[u8] = b"Obj\x01";
const SYNC_BYTES: usize = 16;
/// A block that would need more memory than this is damaged, or not ours: ours hold a quarter of a mebibyte and one record.
const MOST_OF_A_BLOCK: u64 = 256 * 1024 * 1024;

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

/// The compressor of a segment's blocks; one serves many.
pub(super) fn compressor() -> io::Result<Compressor<'static>> {
    let mut compressor = Compressor::new(zstd::DEFAULT_COMPRESSION_LEVEL)?;
    // So that a reader sees damage without reading the file twice.
    compressor.set_parameter(CParameter::ChecksumFlag(true))?;
    Ok(compressor)
}

/// Append a block of so many records.
pub(super) fn put_block(
    out: &mut Vec<u8>,
    compressor: &mut Compressor<'_>,
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

    /// The value of a key as text.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        std::str::from_utf8(self.metadata.get(key)?).ok()
    }
}

/// How a file's blocks are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Codec {
    Null,
    Zstandard,
}

/// Reads a file's blocks one after the other, into memory that is used again.
pub(super) struct Blocks<'f> {
    file: &'f [u8],
    at: usize,
    sync: Sync,
    codec: Codec,
    decompressor: Decompressor<'static>,
}

impl<'f> Blocks<'f> {
    pub(super) fn new(file: &'f [u8], header: &Header) -> Result<Self, Unreadable> {
        let unreadable = |reason: String| Unreadable::Block { at: 0, reason };
        let codec = match header.text("avro.codec") {
            Some("zstandard") => Codec::Zstandard,
            None | Some("null") => Codec::Null,
            Some(other) => return Err(unreadable(format!("codec {other}, neither zstandard nor null"))),
        };
        let decompressor = Decompressor::new().map_err(|error| unreadable(error.to_string()))?;
        Ok(Blocks { file, at: header.length, sync: header.sync, codec, decompressor })
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
        match self.codec {
            Codec::Null => data.extend_from_slice(stored),
            Codec::Zstandard => self.decompress(stored, data).map_err(unreadable)?,
        }
        self.at = self.file.len() - cursor.rest().len();
        Ok(Some(records))
    }

    fn decompress(&mut self, stored: &[u8], data: &mut Vec<u8>) -> Result<(), String> {
        match get_frame_content_size(stored) {
            Ok(Some(size)) if size > MOST_OF_A_BLOCK => Err(format!("a block of {size} bytes")),
            Ok(Some(size)) => {
                data.reserve(usize::try_from(size).map_err(|error| error.to_string())?);
                self.decompressor.decompress_to_buffer(stored, data).map_err(|error| error.to_string())?;
                Ok(())
            }
            // Other writers stream, and do not know the size beforehand.
            Ok(None) => {
                let decoder = zstd::Decoder::new(stored).map_err(|error| error.to_string())?;
                let mut limited = io::Read::take(decoder, MOST_OF_A_BLOCK + 1);
                io::Read::read_to_end(&mut limited, data).map_err(|error| error.to_string())?;
                if limited.limit() == 0 { Err("a block without end".into()) } else { Ok(()) }
            }
            Err(_) => Err("it is not compressed with zstandard".into()),
        }
    }
}
