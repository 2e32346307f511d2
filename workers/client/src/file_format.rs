//! What a file is that does not hold lines of JSON: found from its beginning, so that one mistake is told once and not per line.
//!
//! A guess that is wrong would refuse a good file; so each rule holds for no file whose first line is an object of its own.

use serde::de::IgnoredAny;
use serde_json::Deserializer;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A file that is no JSON lines as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// UTF-16, least significant byte first.
    Utf16Le,
    /// UTF-16, most significant byte first.
    Utf16Be,
    /// UTF-32 of either order.
    Utf32,
    /// One list around all objects.
    JsonArray,
    /// Objects over several lines each.
    PrettyJson,
    /// Cells with separators.
    Csv,
    /// Compressed or packed with this program.
    Packed(&'static str),
}

impl FileFormat {
    /// What the file is and what to do, with its name (`-` for standard input) where a command needs it.
    pub(super) fn in_words(self, file: &str) -> String {
        let lines = "not JSON lines (UTF-8, one object per line)";
        match self {
            FileFormat::Utf16Le => format!("UTF-16, {lines}; convert it: iconv -f UTF-16LE -t UTF-8 {file}"),
            FileFormat::Utf16Be => format!("UTF-16, {lines}; convert it: iconv -f UTF-16BE -t UTF-8 {file}"),
            FileFormat::Utf32 => format!("UTF-32, {lines}; convert it: iconv -f UTF-32 -t UTF-8 {file}"),
            FileFormat::JsonArray => format!("a JSON array, {lines}; make lines of it: jq -c '.[]' {file}"),
            FileFormat::PrettyJson => format!("JSON over several lines, {lines}; make lines of it: jq -c . {file}"),
            FileFormat::Csv => format!("CSV, {lines}; make an object of each row, --help shows one"),
            FileFormat::Packed(program) => format!("a file of {program}, {lines}; unpack it first"),
        }
    }
}

/// What the file is, by its first bytes (unpacked); none where it may be JSON lines.
pub(super) fn recognise(sample: &[u8]) -> Option<FileFormat> {
    if let Some(found) = encoding(sample).or_else(|| packed(sample)) {
        return Some(found);
    }
    let text = sample.strip_prefix(BYTE_ORDER_MARK).unwrap_or(sample).trim_ascii();
    match text.first()? {
        b'[' => Some(FileFormat::JsonArray),
        b'{' => is_over_several_lines(text).then_some(FileFormat::PrettyJson),
        _ => is_csv(text).then_some(FileFormat::Csv),
    }
}

/// By the mark, or by the zeros around a first character that is ASCII.
fn encoding(sample: &[u8]) -> Option<FileFormat> {
    match *sample {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] | [0, 0, 0, 1..=255, ..] | [1..=255, 0, 0, 0, ..] => {
            Some(FileFormat::Utf32)
        }
        [0xff, 0xfe, ..] | [1..=255, 0, ..] => Some(FileFormat::Utf16Le),
        [0xfe, 0xff, ..] | [0, 1..=255, ..] => Some(FileFormat::Utf16Be),
        _ => None,
    }
}

fn packed(sample: &[u8]) -> Option<FileFormat> {
    const MAGIC: [(&[u8], &str); 4] =
        [(b"BZh", "bzip2"), (b"\xfd7zX", "xz"), (b"PK\x03\x04", "zip"), (b"\x04\x22\x4d\x18", "lz4")];
    MAGIC.iter().find(|(magic, _)| sample.starts_with(magic)).map(|(_, program)| FileFormat::Packed(program))
}

/// Whether the first value has a line break in it. A line that is only cut off is none: what follows it is no part of it.
fn is_over_several_lines(text: &[u8]) -> bool {
    let mut values = Deserializer::from_slice(text).into_iter::<IgnoredAny>();
    let value = match values.next() {
        Some(Ok(_)) => &text[..values.byte_offset()],
        Some(Err(error)) if error.is_eof() => text,
        Some(Err(_)) | None => return false,
    };
    value.iter().any(|byte| matches!(byte, b'\n' | b'\r'))
}

/// Whether the first two lines that are not blank have cells, and are no JSON.
fn is_csv(text: &[u8]) -> bool {
    let mut lines = text.split(|byte| matches!(byte, b'\n' | b'\r')).filter(|line| !line.trim_ascii().is_empty());
    let Some(first) = lines.next() else { return false };
    let Some(separator) = [b',', b';', b'\t'].into_iter().find(|separator| first.contains(separator)) else {
        return false;
    };
    let is_row = |line: &[u8]| {
        line.contains(&separator) && !line.starts_with(b"{") && serde_json::from_slice::<IgnoredAny>(line).is_err()
    };
    is_row(first) && lines.next().is_none_or(is_row)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn encodings_are_known_with_and_without_a_mark() {
        for text in ["{\"a\":1}\n", "\u{feff}{\"a\":1}\n"] {
            assert_eq!(recognise(&utf16(text, u16::to_le_bytes)), Some(FileFormat::Utf16Le));
            assert_eq!(recognise(&utf16(text, u16::to_be_bytes)), Some(FileFormat::Utf16Be));
            let wide: Vec<u8> = text.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect();
            assert_eq!(recognise(&wide), Some(FileFormat::Utf32));
            let wide: Vec<u8> = text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
            assert_eq!(recognise(&wide), Some(FileFormat::Utf32));
        }
    }

    #[test]
    fn json_that_is_no_lines_is_known_even_when_the_sample_ends_within_it() {
        for array in ["[\n  {\"a\": 1}\n]", "\u{feff} [{\"a\":1},{\"a\":2}]"] {
            assert_eq!(recognise(array.as_bytes()), Some(FileFormat::JsonArray));
        }
        for pretty in
            ["{\n  \"a\": 1\n}\n{\n  \"a\": 2\n}", "{\"a\":\r\n 1}", "{\r  \"a\": [\r    1,", "\u{feff}{\n\"a\":1"]
        {
            assert_eq!(recognise(pretty.as_bytes()), Some(FileFormat::PrettyJson), "{pretty}");
        }
    }

    #[test]
    fn csv_is_known_with_any_separator_and_with_quotes() {
        for csv in
            ["order_id,sku\n1,2\n", "order_id;sku\r\n1;2", "a\tb\n1\t2", "\"order_id\",\"sku\"\n\"1\",\"2\"", "a,b"]
        {
            assert_eq!(recognise(csv.as_bytes()), Some(FileFormat::Csv), "{csv}");
        }
    }

    #[test]
    fn packed_files_are_named() {
        assert_eq!(recognise(b"PK\x03\x04rest"), Some(FileFormat::Packed("zip")));
        assert_eq!(recognise(b"\xfd7zXZ\0"), Some(FileFormat::Packed("xz")));
    }

    #[test]
    fn lines_stay_lines_whatever_is_wrong_with_one_of_them() {
        let good = "{\"a\":1,\"b\":[1,2]}";
        for lines in ["", "\n", "7\n{}", "nonsense", "{\"a\":1", "{\"a\":1\n", "hello, you\n{\"a\":1}", "\"a, b\"\n"] {
            assert_eq!(recognise(lines.as_bytes()), None, "{lines}");
        }
        for first in [good, "{\"a\":", "{\"order_id\n", "{\"a\":1,\"a\":2}", "\u{feff}{}"] {
            assert_eq!(recognise(format!("{first}\n{good}\n{good}\n").as_bytes()), None, "{first}");
        }
    }
}
