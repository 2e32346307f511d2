//! Lines of a file, plain or compressed with zstd or gzip, or of standard input: one at a time, in bounded memory.
//!
//! Compression and line ends are recognised by the content, not by the name, so that both work through a pipe too.
//! What a line means is for `order_file` and `stock_file` to say.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::ClientError;
use super::file_format::recognise;

/// The longest line that is read, in bytes. An order of the most lines that the services take is well below.
pub const MAX_LINE_BYTES: usize = 4 << 20;

const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b, 0x08];
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// What is read at once.
const BUFFER_BYTES: usize = 1 << 17;

/// With fewer bytes a file's beginning says nothing.
const SAMPLE_MIN_BYTES: usize = 4;

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
    /// What ends a line, once the first end was seen.
    line_end: Option<u8>,
    number: u64,
}

impl LineFile {
    /// Opens a file; `-` is standard input. Fails where the file as a whole is something else than lines of JSON.
    pub fn open(path: &Path) -> Result<Self, ClientError> {
        let (name, input) = input(path)?;
        Self::from_reader(name, input)
    }

    /// The same for lines of anything.
    pub(super) fn open_any(path: &Path) -> Result<Self, ClientError> {
        let (name, input) = input(path)?;
        Self::of_any(name, input)
    }

    /// Reads from anything; `name` is for messages.
    pub fn from_reader(name: String, input: impl Read + Send + 'static) -> Result<Self, ClientError> {
        let (sample, file) = Self::unpacked(name, input)?;
        match recognise(&sample) {
            None => Ok(file),
            Some(format) => Err(ClientError::Format { file: file.name, format }),
        }
    }

    /// Reads lines of anything from anything.
    pub(super) fn of_any(name: String, input: impl Read + Send + 'static) -> Result<Self, ClientError> {
        Self::unpacked(name, input).map(|(_, file)| file)
    }

    fn unpacked(name: String, input: impl Read + Send + 'static) -> Result<(Vec<u8>, Self), ClientError> {
        match unpacked(input) {
            Ok((sample, input)) => Ok((sample, Self { name, input, line_end: None, number: 0 })),
            Err(source) => Err(ClientError::File { file: name, source }),
        }
    }

    /// The next line that is not blank, with its number from 1. None at the end.
    pub fn next_line(&mut self) -> Result<Option<(u64, Line)>, ClientError> {
        loop {
            let mut bytes = Vec::new();
            let found = read_line(self.input.as_mut(), &mut self.line_end, &mut bytes)
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

/// A file by its name, which is for messages.
fn input(path: &Path) -> Result<(String, Box<dyn Read + Send>), ClientError> {
    let name = path.display().to_string();
    if name == "-" {
        return Ok((name, Box::new(io::stdin())));
    }
    match File::open(path) {
        Ok(file) => Ok((name, Box::new(file))),
        Err(source) => Err(ClientError::File { file: name, source }),
    }
}

/// The content and, from its beginning, what came with the first read.
fn unpacked(input: impl Read + Send + 'static) -> io::Result<(Vec<u8>, Box<dyn BufRead + Send>)> {
    let (sample, whole) = sampled(input)?;
    let whole = BufReader::with_capacity(BUFFER_BYTES, whole);
    if sample.starts_with(ZSTD_MAGIC) {
        let (sample, content) = sampled(zstd::Decoder::with_buffer(whole)?)?;
        Ok((sample, Box::new(BufReader::with_capacity(BUFFER_BYTES, content))))
    } else if sample.starts_with(GZIP_MAGIC) {
        let (sample, content) = sampled(MultiGzDecoder::new(whole))?;
        Ok((sample, Box::new(BufReader::with_capacity(BUFFER_BYTES, content))))
    } else {
        Ok((sample, Box::new(whole)))
    }
}

/// What one read gives, and the input with it in front again. Never waits for more: a pipe may bring lines one by one.
fn sampled<R: Read>(mut input: R) -> io::Result<(Vec<u8>, impl Read + use<R>)> {
    let mut sample = vec![0; BUFFER_BYTES];
    let mut length = 0;
    while length < SAMPLE_MIN_BYTES {
        match input.read(&mut sample[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    sample.truncate(length);
    Ok((sample.clone(), Cursor::new(sample).chain(input)))
}

/// Appends one line without its line feed. `None` at the end of the input, `false` when the line was too long.
fn read_line(input: &mut dyn BufRead, line_end: &mut Option<u8>, line: &mut Vec<u8>) -> io::Result<Option<bool>> {
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
        *line_end = line_end.or_else(|| first_end(buffer));
        let end = line_end.and_then(|line_end| buffer.iter().position(|byte| *byte == line_end));
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

/// What ends lines here: a line feed, with a carriage return before it or without; in a file that has none, the return.
fn first_end(buffer: &[u8]) -> Option<u8> {
    if buffer.contains(&b'\n') {
        return Some(b'\n');
    }
    // Behind a return at the very end a line feed may yet come.
    buffer[..buffer.len() - 1].contains(&b'\r').then_some(b'\r')
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

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        io::Write::write_all(&mut encoder, bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn gzip_is_recognised_by_its_content_also_in_several_members() {
        let bytes = [gzip(b"\xef\xbb\xbfa\r\nb"), gzip(b"c\r\nd\r\n")].concat();
        assert_eq!(lines(&bytes), [text(1, "a\r"), text(2, "bc\r"), text(3, "d\r")]);
    }

    #[test]
    fn a_truncated_compressed_file_is_an_error_not_an_end() {
        let content = (0..100_000).map(|number| format!("line {number}\n")).collect::<String>().into_bytes();
        for bytes in [zstd::encode_all(&content[..], 1).unwrap(), gzip(&content)] {
            let half = bytes[..bytes.len() - 3].to_vec();
            let mut file = LineFile::from_reader("half".to_owned(), io::Cursor::new(half)).unwrap();
            let error = loop {
                match file.next_line() {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("the missing end went unnoticed"),
                    Err(error) => break error,
                }
            };
            assert!(error.to_string().contains("half"), "{error}");
        }
    }

    #[test]
    fn returns_end_lines_where_there_is_no_line_feed() {
        assert_eq!(lines(b"a\r\rb\rc"), [text(1, "a"), text(3, "b"), text(4, "c")]);
        assert_eq!(
            lines(b"a\r\nb \r c\r\n"),
            [text(1, "a\r"), text(2, "b \r c\r")],
            "a return within a line is its own"
        );
        assert_eq!(lines(b"a\r"), [text(1, "a\r")]);
    }

    #[test]
    fn a_file_of_another_kind_is_one_error_that_says_what_to_do_also_compressed() {
        let array = b"[\n  {\"order_id\": \"1\"}\n]".to_vec();
        for bytes in [zstd::encode_all(&array[..], 1).unwrap(), gzip(&array), array] {
            let Err(error) = LineFile::from_reader("orders.json".to_owned(), io::Cursor::new(bytes)) else {
                panic!("it was opened")
            };
            let error = error.to_string();
            assert!(
                error.starts_with("orders.json is a JSON array") && error.contains("jq -c '.[]' orders.json"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_pipe_that_brings_bytes_one_by_one_is_read_as_they_come() {
        struct Slow(io::Cursor<Vec<u8>>);
        impl Read for Slow {
            fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
                self.0.read(&mut to[..1])
            }
        }
        for bytes in [b"abc\r\nd\r\n".to_vec(), gzip(b"abc\r\nd\r\n")] {
            let slow = Slow(io::Cursor::new(bytes));
            let mut file = LineFile::from_reader("slow".to_owned(), slow).unwrap();
            let found: Vec<_> = std::iter::from_fn(|| file.next_line().unwrap()).collect();
            assert_eq!(found, [text(1, "abc\r"), text(2, "d\r")]);
        }
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
