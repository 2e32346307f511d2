//! Every receipt and adjustment by its command.

use schemas::{CommandId, Sku};

use super::{Timestamptz, Unknown, table};
use domain::stock::{Receipt, ReceiptKind};

table!(
    /// A stock command that was carried out.
    ReceiptRow in "stock_receipts", key (sku: String, command_id: String), guard () {
        once version: i64,
        once kind: String,
        once pieces: i64,
        once at: Timestamptz,
    }
);

impl ReceiptRow {
    /// The row of a receipt.
    pub fn of(receipt: &Receipt) -> Self {
        ReceiptRow {
            sku: receipt.sku.as_str().to_owned(),
            command_id: receipt.command_id.as_str().to_owned(),
            version: receipt.version,
            kind: receipt.kind.as_str().to_owned(),
            pieces: receipt.pieces,
            at: Timestamptz(receipt.at),
        }
    }

    /// The receipt.
    ///
    /// # Errors
    /// A text is none that this version knows.
    pub fn into_receipt(self) -> Result<Receipt, Unknown> {
        Ok(Receipt {
            sku: Unknown::unless("sku", &self.sku, |text| Sku::new(text).ok())?,
            command_id: Unknown::unless("command_id", &self.command_id, |text| CommandId::new(text).ok())?,
            version: self.version,
            kind: Unknown::unless("kind", &self.kind, ReceiptKind::parse)?,
            pieces: self.pieces,
            at: self.at.0,
        })
    }
}
