//! Every receipt, adjustment and description by its command.

use schemas::{CommandId, Sku};

use super::{Timestamptz, Unknown, table};
use domain::stock::{Deed, Description, Receipt};

table!(
    /// A stock command that was carried out. What a description said stands here for its own command, so that a repetition gets
    /// the same answer after later ones; what holds now is in `products`.
    ReceiptRow in "stock_receipts", key (sku: String, command_id: String), guard () {
        once version: i64,
        once kind: String,
        once pieces: i64,
        once at: Timestamptz,
        once asked_by: Option<String>,
        once note: Option<String>,
        once title: Option<String>,
        once price_minor: Option<i64>,
        once currency: Option<String>,
    }
);

impl ReceiptRow {
    /// The row of a receipt.
    pub fn of(receipt: &Receipt) -> Self {
        let description = match &receipt.deed {
            Deed::Received(_) | Deed::Adjusted(_) => None,
            Deed::Described(description) => Some(description),
        };
        ReceiptRow {
            sku: receipt.sku.as_str().to_owned(),
            command_id: receipt.command_id.as_str().to_owned(),
            version: receipt.version,
            kind: receipt.deed.as_str().to_owned(),
            pieces: receipt.deed.pieces(),
            at: Timestamptz(receipt.at),
            asked_by: receipt.by.clone(),
            note: receipt.note.clone(),
            title: description.map(|had| had.title.clone()),
            price_minor: description.map(|had| had.price_minor),
            currency: description.map(|had| had.currency.clone()),
        }
    }

    /// The receipt.
    ///
    /// # Errors
    /// A text is none that this version knows, or a column lacks that the kind asks for.
    pub fn into_receipt(self) -> Result<Receipt, Unknown> {
        Ok(Receipt {
            sku: Unknown::unless("sku", &self.sku, |text| Sku::new(text).ok())?,
            command_id: Unknown::unless("command_id", &self.command_id, |text| CommandId::new(text).ok())?,
            version: self.version,
            deed: match self.kind.as_str() {
                "received" => Deed::Received(self.pieces),
                "adjusted" => Deed::Adjusted(self.pieces),
                "described" => Deed::Described(Description {
                    title: Unknown::unless_null("title", self.title)?,
                    price_minor: Unknown::unless_null("price_minor", self.price_minor)?,
                    currency: Unknown::unless_null("currency", self.currency)?,
                }),
                _ => return Err(Unknown { column: "kind", text: self.kind }),
            },
            at: self.at.0,
            by: self.asked_by,
            note: self.note,
        })
    }
}
