//! Lines of a file, plain or zstd-compressed, or of standard input: one at a time, in bounded memory.
//!
//! Compression is recognised by the content, not by the name, so that it works through a pipe too.
//! What a line means is for `order_file` and `stock_file` to say.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use super::ClientError;

/// The longest line that is read, in bytes. An order of the most lines that the services take is well below.
pub const MAX_LINE_BYTES: usize = 4 << 20;

const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// One line that is not blank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// Its bytes without the line break.
    Bytes(Vec<u8>),
    /// Longer than `MAX_LINE_BYTES`; it was skipped.
    TooLong,
}

/// Reads lines; blank ones are skipped but counted in the numbers.
pub struct LineFile {
    name: String,
    input: Box<dyn BufRead + Send>,
    number: u64,
}

impl LineFile {
    /// Opens a file; `-` is standard input.
    pub fn open(path: &Path) -> Result<Self, ClientError> {
        let name = path.display().to_string();
        let opened = if name == "-" {
            Self::from_reader(name.clone(), io::stdin())
        } else {
            File::open(path).and_then(|file| Self::from_reader(name.clone(), file))
        };
        opened.map_err(|source| ClientError::File { file: name, source })
    }

    /// Reads from anything; `name` is for messages.
    pub fn from_reader(name: String, input: impl Read + Send + 'static) -> io::Result<Self> {
        let mut head = Vec::new();
        let mut input = input;
        (&mut input).take(4).read_to_end(&mut head)?;
        let compressed = head == ZSTD_MAGIC;
        let whole = io::Cursor::new(head).chain(input);
        let input: Box<dyn BufRead + Send> = if compressed {
            Box::new(BufReader::with_capacity(1 << 17, zstd::Decoder::new(whole)?))
        } else {
            Box::new(BufReader::with_capacity(1 << 17, whole))
        };
        Ok(Self { name, input, number: 0 })
    }

    /// The next line that is not blank, with its number from 1. None at the end.
    pub fn next_line(&mut self) -> Result<Option<(u64, Line)>, ClientError> {
        loop {
            let mut bytes = Vec::new();
            let found = read_line(self.input.as_mut(), &mut bytes)
                .map_err(|source| ClientError::File { file: self.name.clone(), source })?;
            let Some(fits) = found else { return Ok(None) };
            self.number += 1;
            if !fits {
                return Ok(Some((self.number, Line::TooLong)));
            }
            if self.number == 1 && bytes.starts_with(BYTE_ORDER_MARK) {
                bytes.drain(..BYTE_ORDER_MARK.len());
            }
            if !bytes.trim_ascii().is_empty() {
                return Ok(Some((self.number, Line::Bytes(bytes))));
            }
        }
    }
}

/// Appends one line without its line feed. `None` at the end of the input, `false` when the line was too long.
fn read_line(input: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<Option<bool>> {
    let mut any = false;
    let mut fits = true;
    loop {
        let buffer = match input.fill_buf() {
            Ok(buffer) => buffer,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if buffer.is_empty() {
            return Ok(any.then_some(fits));
        }
        any = true;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let part = &buffer[..end.unwrap_or(buffer.len())];
        fits = fits && line.len() + part.len() <= MAX_LINE_BYTES;
        if fits {
            line.extend_from_slice(part);
        }
        let used = end.map_or(buffer.len(), |at| at + 1);
        input.consume(used);
        if end.is_some() {
            return Ok(Some(fits));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Vec<(u64, Line)> {
        let mut file = LineFile::from_reader("test".to_owned(), io::Cursor::new(bytes.to_vec())).unwrap();
        std::iter::from_fn(|| file.next_line().unwrap()).collect()
    }

    fn text(number: u64, line: &str) -> (u64, Line) {
        (number, Line::Bytes(line.as_bytes().to_vec()))
    }

    #[test]
    fn blank_lines_are_skipped_and_numbers_stay_those_of_the_file() {
        assert_eq!(lines(b"a\n\n  \nb\n\nc"), [text(1, "a"), text(4, "b"), text(6, "c")]);
        assert_eq!(lines(b""), []);
        assert_eq!(lines(b"\n"), []);
    }

    #[test]
    fn a_byte_order_mark_is_no_content() {
        assert_eq!(lines("\u{feff}a\n\u{feff}b".as_bytes()), [text(1, "a"), text(2, "\u{feff}b")]);
    }

    #[test]
    fn zstd_is_recognised_by_its_content_also_in_several_frames() {
        let mut bytes = zstd::encode_all(&b"a\nb"[..], 1).unwrap();
        bytes.extend(zstd::encode_all(&b"c\nd\n"[..], 1).unwrap());
        assert_eq!(lines(&bytes), [text(1, "a"), text(2, "bc"), text(3, "d")]);
    }

    #[test]
    fn a_truncated_zstd_file_is_an_error_not_an_end() {
        let bytes = zstd::encode_all("line\n".repeat(100_000).as_bytes(), 1).unwrap();
        let half = bytes[..bytes.len() - 3].to_vec();
        let mut file = LineFile::from_reader("half.zst".to_owned(), io::Cursor::new(half)).unwrap();
        let error = loop {
            match file.next_line() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the missing end went unnoticed"),
                Err(error) => break error,
            }
        };
        assert!(error.to_string().contains("half.zst"), "{error}");
    }

    #[test]
    fn a_line_too_long_is_named_and_the_next_one_is_read() {
        let mut bytes = vec![b'x'; MAX_LINE_BYTES + 1];
        bytes.extend_from_slice(b"\nnext\n");
        assert_eq!(lines(&bytes), [(1, Line::TooLong), text(2, "next")]);
        let longest = vec![b'x'; MAX_LINE_BYTES];
        assert_eq!(lines(&longest), [(1, Line::Bytes(longest))]);
    }
}
