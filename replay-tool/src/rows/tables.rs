//! The tables of state, column by column, as `workers/migrations` defines them.
//!
//! Written down here a second time on purpose: what the services store is compared with what their events say, and their
//! own reading code may not take part in that. Runtime tables are not here; they are never compared.

use schemas::ServiceName;
use workers::Timestamptz;

use super::table::{TableRow, table_row};

table_row!(
    /// An order.
    OrderRow in "orders", key (order_id: String) {
        order_id: String,
        partition: i32,
        version: i64,
        stage: String,
        awaiting: Option<String>,
        detail: Option<String>,
        cancel_reason: Option<String>,
        cancel_command_id: Option<String>,
        customer_id: String,
        placed_at: Timestamptz,
        currency: String,
        total_minor: i64,
        content: Vec<u8>,
        confirm_by: Timestamptz,
        accepted_at: Timestamptz,
        changed_at: Timestamptz,
    }
);

table_row!(
    /// What was ordered.
    ContentsRow in "order_contents", key (order_id: String) {
        order_id: String,
        skus: Vec<String>,
        quantities: Vec<i64>,
        unit_prices_minor: Vec<i64>,
    }
);

table_row!(
    /// What is held for an order.
    ReservationRow in "reservations", key (order_id: String) {
        order_id: String,
        version: i64,
        status: String,
        skus: Vec<String>,
        quantities: Vec<i64>,
        short_skus: Vec<String>,
        short_requested: Vec<i64>,
        short_available: Vec<i64>,
        decided_at: Timestamptz,
        changed_at: Timestamptz,
    }
);

table_row!(
    /// The stock of a SKU.
    StockRow in "stock", key (sku: String) {
        sku: String,
        version: i64,
        received: i64,
        reserved: i64,
        shipped: i64,
    }
);

table_row!(
    /// A stock command that was carried out.
    ReceiptRow in "stock_receipts", key (sku: String, command_id: String) {
        sku: String,
        command_id: String,
        version: i64,
        kind: String,
        pieces: i64,
        at: Timestamptz,
    }
);

table_row!(
    /// An order's payment.
    PaymentRow in "payments", key (order_id: String) {
        order_id: String,
        version: i64,
        status: String,
        customer_id: Option<String>,
        currency: Option<String>,
        amount_minor: Option<i64>,
        authorization_version: Option<i64>,
        authorization_at: Option<Timestamptz>,
        authorization_reference: Option<String>,
        decline_detail: Option<String>,
        capture_version: Option<i64>,
        capture_at: Option<Timestamptz>,
        capture_reference: Option<String>,
        capture_failure: Option<String>,
        void_version: Option<i64>,
        void_at: Option<Timestamptz>,
        stuck_version: Option<i64>,
        stuck_at: Option<Timestamptz>,
        stuck_operation: Option<String>,
        stuck_detail: Option<String>,
    }
);

table_row!(
    /// One side of a booking.
    PostingRow in "ledger", key (order_id: String, version: i64, account: String) {
        order_id: String,
        version: i64,
        account: String,
        amount_minor: i64,
        currency: String,
    }
);

impl PaymentRow {
    /// Whether the amount was held at the provider at some time.
    pub(crate) fn was_authorized(&self) -> bool {
        self.authorization_version.is_some() && self.decline_detail.is_none()
    }

    /// Whether the amount was taken.
    pub(crate) fn is_captured(&self) -> bool {
        self.capture_version.is_some() && self.capture_failure.is_none()
    }
}

impl ReservationRow {
    /// Whether the lines were held at some time.
    pub(crate) fn was_reserved(&self) -> bool {
        !self.skus.is_empty()
    }
}

/// Something to be done with every table of state, whatever its rows are.
pub(crate) trait EachTable {
    /// Why it could not be done.
    type Error;

    /// Do it with the table of these rows.
    fn table<R: TableRow>(&mut self) -> Result<(), Self::Error>;
}

/// Visit the service's tables.
pub(crate) fn each_table<V: EachTable>(service: ServiceName, visitor: &mut V) -> Result<(), V::Error> {
    match service {
        ServiceName::Order => {
            visitor.table::<OrderRow>()?;
            visitor.table::<ContentsRow>()
        }
        ServiceName::Inventory => {
            visitor.table::<ReservationRow>()?;
            visitor.table::<StockRow>()?;
            visitor.table::<ReceiptRow>()
        }
        ServiceName::Payment => {
            visitor.table::<PaymentRow>()?;
            visitor.table::<PostingRow>()
        }
    }
}
