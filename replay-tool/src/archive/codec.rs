//! How blocks are compressed: with codecs of Avro's specification.
//!
//! `deflate` is written unless something else is asked for: of the codecs that make files smaller it is the only one that
//! every Avro tool reads without additions (`findings/avro-zstandard-container.sh`). All that were ever written are read,
//! in one archive beside each other. Deliberately absent: snappy, bzip2 and xz, which nobody has asked for.

use std::io::{self, Read};

use libdeflater::{CompressionLvl, DecompressionError};
use zstd::bulk;
use zstd::zstd_safe::{CParameter, get_frame_content_size};

/// A block that would need more memory than this is damaged, or not ours: ours hold a quarter of a mebibyte and one record.
const MOST_OF_A_BLOCK_BYTES: usize = 256 * 1024 * 1024;
/// libdeflate's own scale, 1 to 12.
const DEFLATE_LEVEL: i32 = 1;
/// Room for a block of ours.
const FIRST_GUESS_BYTES: usize = 512 * 1024;

/// A codec of Avro's object container files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Codec {
    /// Read by every Avro tool.
    #[default]
    Deflate,
    /// Smaller and faster, and unknown to many tools.
    Zstandard,
    /// Not compressed.
    Null,
}

impl Codec {
    /// As it stands in a file's header.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Codec::Deflate => "deflate",
            Codec::Zstandard => "zstandard",
            Codec::Null => "null",
        }
    }

    /// The codec that a header names; a header without one means `null`.
    pub(super) fn of_header(name: Option<&str>) -> Result<Codec, String> {
        match name {
            Some("deflate") => Ok(Codec::Deflate),
            Some("zstandard") => Ok(Codec::Zstandard),
            None | Some("null") => Ok(Codec::Null),
            Some(other) => Err(format!("codec {other}, none of deflate, zstandard and null")),
        }
    }

    /// Whether a block that was damaged cannot be decompressed: the others have no checksum.
    pub(super) fn shows_damage(self) -> bool {
        match self {
            Codec::Zstandard => true,
            Codec::Deflate | Codec::Null => false,
        }
    }
}

/// Compresses blocks; one serves many.
pub(super) struct Compressor {
    codec: Codec,
    deflate: libdeflater::Compressor,
    zstandard: bulk::Compressor<'static>,
}

impl Compressor {
    pub(super) fn new(codec: Codec) -> io::Result<Self> {
        let mut zstandard = bulk::Compressor::new(zstd::DEFAULT_COMPRESSION_LEVEL)?;
        // So that a reader sees damage without reading the file twice.
        zstandard.set_parameter(CParameter::ChecksumFlag(true))?;
        // Three times as fast as the default, and its files are larger by a fortieth (docs/decisions/0012).
        let deflate = libdeflater::Compressor::new(CompressionLvl::new(DEFLATE_LEVEL).unwrap_or_default());
        Ok(Compressor { codec, deflate, zstandard })
    }

    pub(super) fn compress(&mut self, data: &[u8]) -> io::Result<Vec<u8>> {
        match self.codec {
            Codec::Deflate => {
                let mut compressed = vec![0; self.deflate.deflate_compress_bound(data.len())];
                let length = self
                    .deflate
                    .deflate_compress(data, &mut compressed)
                    .map_err(|error| io::Error::other(error.to_string()))?;
                compressed.truncate(length);
                Ok(compressed)
            }
            Codec::Zstandard => self.zstandard.compress(data),
            Codec::Null => Ok(data.to_vec()),
        }
    }
}

/// Decompresses a file's blocks.
pub(super) struct Decompressor {
    codec: Codec,
    deflate: libdeflater::Decompressor,
    zstandard: bulk::Decompressor<'static>,
}

impl Decompressor {
    pub(super) fn new(codec: Codec) -> io::Result<Self> {
        let (deflate, zstandard) = (libdeflater::Decompressor::new(), bulk::Decompressor::new()?);
        Ok(Decompressor { codec, deflate, zstandard })
    }

    /// A block into empty memory; why not, where it cannot be.
    pub(super) fn decompress(&mut self, stored: &[u8], data: &mut Vec<u8>) -> Result<(), String> {
        match self.codec {
            Codec::Deflate => self.deflate(stored, data),
            Codec::Zstandard => self.zstandard(stored, data),
            Codec::Null => {
                data.extend_from_slice(stored);
                Ok(())
            }
        }
    }

    /// Nothing says beforehand how large a block will be.
    fn deflate(&mut self, stored: &[u8], data: &mut Vec<u8>) -> Result<(), String> {
        data.resize(data.capacity().max(FIRST_GUESS_BYTES), 0);
        loop {
            match self.deflate.deflate_decompress(stored, data) {
                Ok(length) => {
                    data.truncate(length);
                    return Ok(());
                }
                Err(DecompressionError::BadData) => return Err("it is not compressed with deflate".into()),
                Err(DecompressionError::InsufficientSpace) if data.len() >= MOST_OF_A_BLOCK_BYTES => {
                    return Err("a block without end".into());
                }
                Err(DecompressionError::InsufficientSpace) => data.resize(data.len() * 2, 0),
            }
        }
    }

    fn zstandard(&mut self, stored: &[u8], data: &mut Vec<u8>) -> Result<(), String> {
        match get_frame_content_size(stored) {
            Ok(Some(size)) => {
                let size = usize::try_from(size).ok().filter(|size| *size <= MOST_OF_A_BLOCK_BYTES);
                data.reserve(size.ok_or("a block without end")?);
                self.zstandard.decompress_to_buffer(stored, data).map_err(|error| error.to_string())?;
                Ok(())
            }
            // Other writers stream, and do not know the size beforehand.
            Ok(None) => {
                let decoder = zstd::Decoder::new(stored).map_err(|error| error.to_string())?;
                let most = u64::try_from(MOST_OF_A_BLOCK_BYTES).unwrap_or(u64::MAX);
                let mut limited = decoder.take(most.saturating_add(1));
                limited.read_to_end(data).map_err(|error| error.to_string())?;
                if limited.limit() == 0 { Err("a block without end".into()) } else { Ok(()) }
            }
            Err(_) => Err("it is not compressed with zstandard".into()),
        }
    }
}
