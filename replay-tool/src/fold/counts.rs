//! How many orders there are of each stage.

use serde::Serialize;

/// Orders by stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct OrderCounts {
    /// Waiting for the reservation.
    pub placed: u64,
    /// Waiting for the authorization.
    pub stock_reserved: u64,
    /// Authorized and held: waiting for a person.
    pub authorized: u64,
    /// Waiting for the capture.
    pub confirmed: u64,
    /// Waiting for the commit of the stock.
    pub payment_captured: u64,
    /// Waiting for `ShipOrder`.
    pub ready_to_ship: u64,
    /// Shipped, waiting for the commit of the stock.
    pub shipped: u64,
    /// Shipped, waiting for the capture.
    pub stock_committed: u64,
    /// Paid for and gone.
    pub completed: u64,
    /// Being undone.
    pub cancelling: u64,
    /// Undone.
    pub cancelled: u64,
    /// Waiting for a person.
    pub stuck: u64,
}

impl OrderCounts {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.completed + self.cancelled + self.stuck + self.waiting() + self.in_flight()
    }

    /// Those that the machine goes on with by itself.
    pub fn in_flight(&self) -> u64 {
        let forward = self.placed + self.stock_reserved + self.confirmed + self.payment_captured;
        forward + self.shipped + self.stock_committed + self.cancelling
    }

    /// Those that wait for a command: to be released, or to be shipped.
    pub fn waiting(&self) -> u64 {
        self.authorized + self.ready_to_ship
    }

    /// Counts an order of this stage, by the stage's name in the table.
    pub(crate) fn count(&mut self, stage: &str) {
        let counter = match stage {
            "placed" => &mut self.placed,
            "stock_reserved" => &mut self.stock_reserved,
            "authorized" => &mut self.authorized,
            "confirmed" => &mut self.confirmed,
            "payment_captured" => &mut self.payment_captured,
            "ready_to_ship" => &mut self.ready_to_ship,
            "shipped" => &mut self.shipped,
            "stock_committed" => &mut self.stock_committed,
            "completed" => &mut self.completed,
            "cancelling" => &mut self.cancelling,
            "cancelled" => &mut self.cancelled,
            // The program writes no other stage.
            _ => &mut self.stuck,
        };
        *counter += 1;
    }
}
