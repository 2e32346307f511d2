//! What is fixed about each service's own tables: their migrations, what its stores do to them, and the little that whoever
//! exchanges or moves tables has to know. How columns look is described in `tables`.

use outbox::grants::Right;
use schemas::ServiceName;

/// What is fixed about a service's own tables.
pub(crate) struct Schema {
    /// The steps from version to version, one after the other.
    pub(crate) migrations: &'static str,
    /// What the stores do to the tables. `for update` takes UPDATE as well.
    pub(crate) rights: &'static [Right],
    views: &'static [&'static str],
    partitioned: Option<&'static str>,
}

/// Views of tables of state.
pub const fn views(service: ServiceName) -> &'static [&'static str] {
    of(service).views
}

/// The table whose rows hold the partition of their order.
pub const fn partitioned(service: ServiceName) -> Option<&'static str> {
    of(service).partitioned
}

pub(crate) const fn of(service: ServiceName) -> &'static Schema {
    match service {
        ServiceName::Order => &ORDER,
        ServiceName::Inventory => &INVENTORY,
        ServiceName::Payment => &PAYMENT,
    }
}

const ORDER: Schema = Schema {
    migrations: include_str!("../migrations/order.sql"),
    rights: &[
        ("service_version", "SELECT"),
        ("orders", "SELECT"),
        ("orders", "INSERT"),
        ("orders", "UPDATE"),
        // Written once, when an order is taken; read when something is done to its lines.
        ("order_contents", "SELECT"),
        ("order_contents", "INSERT"),
    ],
    views: &["order_lines", "order_refunds", "order_returns"],
    partitioned: Some("orders"),
};

const INVENTORY: Schema = Schema {
    migrations: include_str!("../migrations/inventory.sql"),
    rights: &[
        ("service_version", "SELECT"),
        ("reservations", "SELECT"),
        ("reservations", "INSERT"),
        ("reservations", "UPDATE"),
        ("stock", "SELECT"),
        ("stock", "INSERT"),
        ("stock", "UPDATE"),
        ("stock_receipts", "SELECT"),
        ("stock_receipts", "INSERT"),
        ("products", "SELECT"),
        ("products", "INSERT"),
        ("products", "UPDATE"),
    ],
    views: &[],
    partitioned: None,
};

const PAYMENT: Schema = Schema {
    migrations: include_str!("../migrations/payment.sql"),
    rights: &[
        ("service_version", "SELECT"),
        ("payments", "SELECT"),
        ("payments", "INSERT"),
        ("payments", "UPDATE"),
        // Insert-only, as a ledger should be: not even the service can change what it has posted.
        ("ledger", "INSERT"),
        ("payment_calls", "SELECT"),
        ("payment_calls", "INSERT"),
        ("payment_calls", "UPDATE"),
        ("payment_calls", "DELETE"),
        ("payment_looks", "SELECT"),
        ("payment_looks", "INSERT"),
        ("payment_looks", "UPDATE"),
        ("payment_looks", "DELETE"),
    ],
    views: &["payment_refunds", "payment_disputes", "payment_actions"],
    partitioned: Some("payment_calls"),
};
