//! A digest of state: the same for the same rows, in whatever order and on whatever machine they come.
//!
//! Of each row the SHA-256 of its table's name and its columns' bytes (`rows::cell`); of each table the sum of these
//! as 256-bit numbers, so that parts can be summed up by different threads and after a restart; of the whole the SHA-256
//! over the tables' names, row counts and sums. It finds differences; it is no defence against rows made to collide.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tables::{StockRow, TableRow};

use super::table::RowFormats as _;

/// Rows of one table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sum {
    pub(crate) rows: u64,
    /// Least significant part first.
    sum: [u64; 4],
}

impl Sum {
    fn add_row<R: TableRow>(&mut self, row: &R, buffer: &mut Vec<u8>) {
        buffer.clear();
        buffer.extend_from_slice(R::TABLE.as_bytes());
        buffer.push(0);
        row.encode(buffer);
        let hash: [u8; 32] = Sha256::digest(&buffer).into();
        let mut parts = [0; 4];
        for (part, bytes) in parts.iter_mut().zip(hash.as_chunks::<8>().0) {
            *part = u64::from_le_bytes(*bytes);
        }
        self.add(&Sum { rows: 1, sum: parts });
    }

    fn add(&mut self, other: &Sum) {
        self.rows += other.rows;
        let mut carry = false;
        for (mine, theirs) in self.sum.iter_mut().zip(other.sum) {
            let (sum, over) = mine.overflowing_add(theirs);
            let (sum, over_again) = sum.overflowing_add(u64::from(carry));
            *mine = sum;
            carry = over || over_again;
        }
    }

    fn bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (to, part) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(self.sum) {
            *to = part.to_le_bytes();
        }
        bytes
    }

    /// As text: the sum in hexadecimal digits.
    pub(crate) fn to_hex(self) -> String {
        hex(&self.bytes())
    }
}

/// Sums of all tables.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StateDigest(BTreeMap<String, Sum>);

impl StateDigest {
    /// Add rows of a table.
    pub(crate) fn add_rows<'r, R: TableRow + 'r>(&mut self, rows: impl IntoIterator<Item = &'r R>) {
        let sum = self.0.entry(R::TABLE.to_owned()).or_default();
        let mut buffer = Vec::with_capacity(256);
        rows.into_iter().for_each(|row| sum.add_row(row, &mut buffer));
    }

    /// Add rows of a table as they pass.
    pub(crate) fn passing<R: TableRow>(&mut self, rows: impl Iterator<Item = R>) -> impl Iterator<Item = R> {
        let sum = self.0.entry(R::TABLE.to_owned()).or_default();
        let mut buffer = Vec::with_capacity(256);
        rows.inspect(move |row| sum.add_row(row, &mut buffer))
    }

    /// Add levels, summed up.
    pub(crate) fn add_stock(&mut self, rows: &[StockRow]) {
        self.add_rows(rows);
    }

    /// Add a table's sum.
    pub(crate) fn add_sum(&mut self, table: &str, sum: &Sum) {
        self.0.entry(table.to_owned()).or_default().add(sum);
    }

    /// The tables that any rows are in, with their sums.
    pub(crate) fn tables(&self) -> impl Iterator<Item = (&str, &Sum)> {
        self.0.iter().filter(|(_, sum)| sum.rows > 0).map(|(table, sum)| (table.as_str(), sum))
    }

    /// The digest as text. Tables without rows count as tables that are not there.
    pub(crate) fn to_hex(&self) -> String {
        let mut hasher = Sha256::new();
        for (table, sum) in self.tables() {
            hasher.update(table.as_bytes());
            hasher.update([0]);
            hasher.update(sum.rows.to_be_bytes());
            hasher.update(sum.bytes());
        }
        hex(&hasher.finalize())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(sku: &str, received: i64) -> StockRow {
        StockRow { sku: sku.into(), version: 1, received, reserved: 0, shipped: 0, returned: 0, written_off: 0 }
    }

    fn digest(rows: &[StockRow]) -> StateDigest {
        let mut digest = StateDigest::default();
        digest.add_stock(rows);
        digest
    }

    #[test]
    fn order_does_not_matter_and_every_value_does() {
        let (a, b) = (row("a", 1), row("b", 2));
        let both = digest(&[a.clone(), b.clone()]);
        assert_eq!(both.to_hex(), digest(&[b.clone(), a.clone()]).to_hex());
        assert_ne!(both.to_hex(), digest(&[a.clone(), row("b", 3)]).to_hex());
        assert_ne!(both.to_hex(), digest(&[a.clone(), b.clone(), b.clone()]).to_hex());
        let mut parts = digest(&[a]);
        let other = digest(&[b]);
        other.tables().for_each(|(table, sum)| parts.add_sum(table, sum));
        assert_eq!(parts, both);
    }

    #[test]
    fn the_digest_is_the_same_on_every_machine() {
        // Written down when a SKU's row last got columns: whoever changes the encoding, or adds a column, makes all digests of
        // the past worthless.
        let known = "d006cd8cd1e81ec90115fbfc9ec1d86f5243db40387a5105a9b162b0250df279";
        assert_eq!(digest(&[row("SKU-1", 10), row("SKU-2", -1)]).to_hex(), known);
        assert_eq!(StateDigest::default().to_hex(), hex(&Sha256::digest(b"")));
    }
}
