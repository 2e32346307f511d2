//! Rows as a binary COPY takes them, in pieces that are sent as they are.
//!
//! Encoded on the thread that folded them, so that the connection has nothing to do but to send, and one part is folded
//! while another is written. The format is that of Postgres' documentation of COPY, "Binary Format".

use std::error::Error;

use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::SinkExt as _;
use tokio_postgres::Transaction;

use crate::fold::TakeRows;
use crate::rows::{RowFormats as _, StateDigest, TableRow};

/// A piece is sent when it holds so much.
const PIECE_BYTES: usize = 64 * 1024;

/// The signature, no flags, no extension.
const HEADER: [u8; 19] = *b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// What cannot be encoded.
pub(crate) type Unencodable = Box<dyn Error + Sync + Send>;

/// All rows of one table.
#[derive(Debug)]
pub(crate) struct TableCopy {
    sql: String,
    pieces: Vec<Bytes>,
}

impl TableCopy {
    /// Rows for the table of this name, which has their columns; none where there are no rows.
    pub(crate) fn into_table<R: TableRow>(
        table: &str,
        rows: impl Iterator<Item = R>,
    ) -> Result<Option<TableCopy>, Unencodable> {
        let fields = i16::try_from(R::COLUMNS.len())?;
        let mut rows = rows.peekable();
        if rows.peek().is_none() {
            return Ok(None);
        }
        let sql = format!("copy {table} ({}) from stdin binary", R::column_list());
        let mut pieces = Vec::new();
        let mut piece = BytesMut::with_capacity(PIECE_BYTES + 4096);
        piece.put_slice(&HEADER);
        for row in rows {
            piece.put_i16(fields);
            row.put_fields(&mut piece)?;
            if piece.len() >= PIECE_BYTES {
                let next = BytesMut::with_capacity(PIECE_BYTES + 4096);
                pieces.push(std::mem::replace(&mut piece, next).freeze());
            }
        }
        piece.put_i16(-1);
        pieces.push(piece.freeze());
        Ok(Some(TableCopy { sql, pieces }))
    }

    /// Send them.
    pub(crate) async fn send(self, tx: &Transaction<'_>) -> Result<(), tokio_postgres::Error> {
        let mut sink = std::pin::pin!(tx.copy_in::<_, Bytes>(&self.sql).await?);
        for piece in self.pieces {
            sink.feed(piece).await?;
        }
        sink.finish().await.map(drop)
    }
}

/// Encodes a unit's rows and digests them on the way.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    pub(crate) copies: Vec<TableCopy>,
    pub(crate) digest: StateDigest,
}

impl TakeRows for Encoder {
    type Error = Unencodable;

    fn rows<R: TableRow>(&mut self, rows: impl Iterator<Item = R>) -> Result<(), Unencodable> {
        self.copies.extend(TableCopy::into_table(R::TABLE, self.digest.passing(rows))?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::StockRow;

    #[test]
    fn a_row_is_encoded_as_the_documentation_says() {
        let row = StockRow {
            sku: "a".into(),
            version: 1,
            received: 2,
            reserved: 0,
            shipped: -1,
            returned: 3,
            written_off: 1,
        };
        let copy = TableCopy::into_table("stock", [row].into_iter()).unwrap().unwrap();
        assert_eq!(
            copy.sql,
            "copy stock (sku, version, received, reserved, shipped, returned, written_off) from stdin binary"
        );
        let mut expected = HEADER.to_vec();
        expected.extend([0, 7, 0, 0, 0, 1, b'a']);
        for number in [1_i64, 2, 0, -1, 3, 1] {
            expected.extend([0, 0, 0, 8]);
            expected.extend(number.to_be_bytes());
        }
        expected.extend([0xff, 0xff]);
        assert_eq!(copy.pieces.concat(), expected);
    }
}
