//! Orders, without what was ordered.

use schemas::{Awaiting, CancelReason, CommandId, CustomerId, OrderId, partitioner};

use super::{Timestamptz, Unknown, table};
use domain::saga::{Cancellation, ContentDigest, Order, Stage};

table!(
    /// An order.
    OrderRow in "orders", key (order_id: String), guard (version) {
        once partition: i32,
        changes version: i64,
        changes stage: String,
        changes awaiting: Option<String>,
        changes detail: Option<String>,
        changes cancel_reason: Option<String>,
        changes cancel_command_id: Option<String>,
        once customer_id: String,
        once placed_at: Timestamptz,
        once currency: String,
        once total_minor: i64,
        once content: Vec<u8>,
        once confirm_by: Timestamptz,
        once accepted_at: Timestamptz,
        changes changed_at: Timestamptz,
    }
);

impl OrderRow {
    /// The row of an order, for topics of so many partitions.
    pub fn of(order: &Order, partitions: i32) -> Self {
        let (awaiting, detail) = match &order.stage {
            Stage::Cancelling { awaiting } => (Some(awaiting.as_str()), None),
            Stage::Stuck { awaiting, detail } => (Some(awaiting.as_str()), Some(detail.clone())),
            Stage::Placed
            | Stage::StockReserved
            | Stage::Confirmed
            | Stage::PaymentCaptured
            | Stage::Completed
            | Stage::Cancelled => (None, None),
        };
        let cancellation = order.cancellation.as_ref();
        let command_id = cancellation.and_then(|had| had.command_id.as_ref());
        OrderRow {
            order_id: order.order_id.as_str().to_owned(),
            partition: partitioner::partition_of(order.order_id.as_str().as_bytes(), partitions),
            version: order.version,
            stage: order.stage.as_str().to_owned(),
            awaiting: awaiting.map(str::to_owned),
            detail,
            cancel_reason: cancellation.map(|had| had.reason.as_str().to_owned()),
            cancel_command_id: command_id.map(|id| id.as_str().to_owned()),
            customer_id: order.customer_id.as_str().to_owned(),
            placed_at: Timestamptz(order.placed_at),
            currency: order.currency.clone(),
            total_minor: order.total_minor,
            content: order.content.as_bytes().to_vec(),
            confirm_by: Timestamptz(order.confirm_by),
            accepted_at: Timestamptz(order.accepted_at),
            changed_at: Timestamptz(order.changed_at),
        }
    }

    /// The order, without lines: they are a row of another table, which no decision needs.
    ///
    /// # Errors
    /// A text is none that this version knows.
    pub fn into_order(self) -> Result<Order, Unknown> {
        let content: Option<[u8; 32]> = self.content.as_slice().try_into().ok();
        Ok(Order {
            stage: self.stage()?,
            cancellation: self.cancellation()?,
            order_id: Unknown::unless("order_id", &self.order_id, |text| OrderId::new(text).ok())?,
            version: self.version,
            customer_id: Unknown::unless("customer_id", &self.customer_id, |text| CustomerId::new(text).ok())?,
            placed_at: self.placed_at.0,
            currency: self.currency,
            lines: Vec::new(),
            total_minor: self.total_minor,
            content: ContentDigest::from_bytes(Unknown::unless("content", "bytes", |_| content)?),
            confirm_by: self.confirm_by.0,
            accepted_at: self.accepted_at.0,
            changed_at: self.changed_at.0,
        })
    }

    fn stage(&self) -> Result<Stage, Unknown> {
        let awaited = || Unknown::unless("awaiting", self.awaiting.as_deref().unwrap_or_default(), Awaiting::parse);
        Ok(match self.stage.as_str() {
            "placed" => Stage::Placed,
            "stock_reserved" => Stage::StockReserved,
            "confirmed" => Stage::Confirmed,
            "payment_captured" => Stage::PaymentCaptured,
            "completed" => Stage::Completed,
            "cancelling" => Stage::Cancelling { awaiting: awaited()? },
            "cancelled" => Stage::Cancelled,
            "stuck" => Stage::Stuck { awaiting: awaited()?, detail: self.detail.clone().unwrap_or_default() },
            other => return Err(Unknown { column: "stage", text: other.to_owned() }),
        })
    }

    fn cancellation(&self) -> Result<Option<Cancellation>, Unknown> {
        let Some(reason) = &self.cancel_reason else { return Ok(None) };
        let command_id = self.cancel_command_id.as_ref();
        let command_id =
            command_id.map(|text| Unknown::unless("cancel_command_id", text, |text| CommandId::new(text).ok()));
        Ok(Some(Cancellation {
            reason: Unknown::unless("cancel_reason", reason, CancelReason::parse)?,
            command_id: command_id.transpose()?,
        }))
    }
}
