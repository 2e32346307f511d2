//! Receipts of goods from a file of JSON lines: `{"sku":"1095275","quantity":12}`, optionally with a `command_id`.
//!
//! A line without a command id gets one from the name of the batch and its line number, so that the same file under the
//! same name has an effect once. As with orders, only what cannot be encoded is refused.

use std::path::Path;

use schemas::{CommandId, ReceiveStock};

use super::json_object::JsonObject;
use super::line_file::LineFile;
use super::order_file::bytes_of;
use super::{ClientError, Entry, FieldError, LineError};

/// Reads receipts one by one.
pub struct StockFile {
    lines: LineFile,
    batch: String,
}

impl StockFile {
    /// Opens `.jsonl`, `.jsonl.zst`, `.jsonl.gz` or `-` (standard input). `batch` begins the command ids of lines that have none.
    pub fn open(path: &Path, batch: &str) -> Result<Self, ClientError> {
        Ok(Self::from_lines(LineFile::open(path)?, batch))
    }

    /// Reads receipts from lines.
    pub fn from_lines(lines: LineFile, batch: &str) -> Self {
        Self { lines, batch: batch.to_owned() }
    }

    /// The next receipt or bad line; None at the end. An error means that the file itself cannot be read on.
    pub fn next_entry(&mut self) -> Result<Option<Entry<ReceiveStock>>, ClientError> {
        let Some((line, content)) = self.lines.next_line()? else { return Ok(None) };
        let content =
            bytes_of(content).and_then(|bytes| self.parse(&bytes, line)).map_err(|error| LineError { line, error });
        Ok(Some(Entry { line, content }))
    }

    fn parse(&self, bytes: &[u8], line: u64) -> Result<ReceiveStock, FieldError> {
        let mut object = JsonObject::parse(bytes)?;
        let sku = object.take("sku")?;
        let quantity = object.whole_number("quantity")?;
        let command_id = match object.optional("command_id", JsonObject::take)? {
            Some(given) => given,
            None => CommandId::new(format!("{}/{line}", self.batch))
                .map_err(|error| FieldError { field: Some("command_id".to_owned()), problem: error.to_string() })?,
        };
        Ok(ReceiveStock::of(sku, command_id, quantity))
    }
}

impl Iterator for StockFile {
    type Item = Result<Entry<ReceiveStock>, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_entry().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(text: &str) -> Vec<Result<(String, i64, String), String>> {
        let lines = LineFile::from_reader("test".to_owned(), std::io::Cursor::new(text.as_bytes().to_vec())).unwrap();
        StockFile::from_lines(lines, "delivery-7")
            .map(|entry| match entry.unwrap().content {
                Ok(r) => Ok((r.sku.to_string(), r.quantity, r.command_id.to_string())),
                Err(error) => Err(error.to_string()),
            })
            .collect()
    }

    #[test]
    fn lines_get_repeatable_command_ids_unless_they_have_their_own() {
        let found =
            entries("{\"sku\":\"a\",\"quantity\":3}\n\n{\"sku\":\"b\",\"quantity\":-1,\"command_id\":\"mine\"}");
        assert_eq!(
            found,
            [Ok(("a".to_owned(), 3, "delivery-7/1".to_owned())), Ok(("b".to_owned(), -1, "mine".to_owned())),]
        );
    }

    #[test]
    fn errors_name_line_and_field() {
        assert_eq!(
            entries("{\"sku\":\"a\"}\n{\"sku\":\"a\",\"quantity\":1,\"command_id\":\"\"}"),
            [
                Err("line 1, quantity: is missing".to_owned()),
                Err("line 2, command_id: the command id is empty; give 1 to 64 bytes".to_owned()),
            ]
        );
    }
}
