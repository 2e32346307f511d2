//! How many orders there are of each stage.

use serde::Serialize;

/// Orders by stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct OrderCounts {
    /// Waiting for the reservation.
    pub placed: u64,
    /// Waiting for the authorization.
    pub stock_reserved: u64,
    /// Waiting for the capture.
    pub confirmed: u64,
    /// Waiting for the commit of the stock.
    pub payment_captured: u64,
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
        self.completed + self.cancelled + self.stuck + self.in_flight()
    }

    /// Those that the machine is not done with.
    pub fn in_flight(&self) -> u64 {
        self.placed + self.stock_reserved + self.confirmed + self.payment_captured + self.cancelling
    }

    /// Counts an order of this stage, by the stage's name in the table.
    pub(crate) fn count(&mut self, stage: &str) {
        let counter = match stage {
            "placed" => &mut self.placed,
            "stock_reserved" => &mut self.stock_reserved,
            "confirmed" => &mut self.confirmed,
            "payment_captured" => &mut self.payment_captured,
            "completed" => &mut self.completed,
            "cancelling" => &mut self.cancelling,
            "cancelled" => &mut self.cancelled,
            // The table's own constraint allows no other stage.
            _ => &mut self.stuck,
        };
        *counter += 1;
    }
}
