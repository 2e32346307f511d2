//! The three services by name.
//!
//! The name appears in headers, consumer groups and message ids, so it is part of the contract. What is fixed about each is
//! in `topology`.

/// A service of the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceName {
    /// Takes orders and runs their sagas.
    Order,
    /// Keeps stock and reservations.
    Inventory,
    /// Charges.
    Payment,
}

impl ServiceName {
    /// Every service, in the order in which an order meets them.
    pub const ALL: [ServiceName; 3] = [ServiceName::Order, ServiceName::Inventory, ServiceName::Payment];
}

impl std::fmt::Display for ServiceName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
