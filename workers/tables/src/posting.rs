//! Double entry: what captures, refunds and disputes post. Insert-only.

use super::table;
use domain::charge::Posting;

table!(
    /// One side of a booking.
    PostingRow in "ledger", key (order_id: String, version: i64, account: String), guard () {
        once amount_minor: i64,
        once currency: String,
    }
);

impl PostingRow {
    /// The row of a posting.
    pub fn of(posting: &Posting) -> Self {
        PostingRow {
            order_id: posting.order_id.as_str().to_owned(),
            version: posting.version,
            account: posting.account.as_str().to_owned(),
            amount_minor: posting.amount_minor,
            currency: posting.currency.clone(),
        }
    }
}
