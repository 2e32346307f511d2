//! Orders, without what was ordered.

use schemas::{CancelReason, CommandId, CustomerId, OrderId, partitioner};

use super::{Timestamptz, Unknown, json, table};
use domain::saga::{Cancellation, ContentDigest, Order, Stage, Step};

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
        changes confirm_by: Timestamptz,
        once accepted_at: Timestamptz,
        changes changed_at: Timestamptz,
        once terms: Option<String>,
        changes cancel_code: Option<String>,
        changes ship_by: Option<Timestamptz>,
        changes wake_at: Option<Timestamptz>,
        changes aftercare: Option<String>,
        changes action_until: Option<Timestamptz>,
    }
);

impl OrderRow {
    /// The row of an order, for topics of so many partitions.
    pub fn of(order: &Order, partitions: i32) -> Self {
        let (awaiting, detail) = match &order.stage {
            Stage::Cancelling { step } => (Some(step.as_str()), None),
            Stage::Stuck { step, detail } => (Some(step.as_str()), Some(detail.clone())),
            Stage::Placed
            | Stage::StockReserved
            | Stage::Authorized
            | Stage::Confirmed
            | Stage::PaymentCaptured
            | Stage::ReadyToShip
            | Stage::Shipped
            | Stage::StockCommitted
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
            terms: order.terms.as_deref().map(json::of),
            cancel_code: cancellation.and_then(|had| had.code.clone()),
            ship_by: order.ship_by.map(Timestamptz),
            wake_at: order.wakes_at().map(Timestamptz),
            aftercare: order.aftercare.as_deref().map(json::of),
            action_until: order.action_until.map(Timestamptz),
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
            terms: json::read("terms", self.terms.as_deref())?,
            ship_by: self.ship_by.map(|Timestamptz(time)| time),
            aftercare: json::read("aftercare", self.aftercare.as_deref())?,
            order_id: Unknown::unless("order_id", &self.order_id, |text| OrderId::new(text).ok())?,
            version: self.version,
            customer_id: Unknown::unless("customer_id", &self.customer_id, |text| CustomerId::new(text).ok())?,
            placed_at: self.placed_at.0,
            currency: self.currency,
            lines: Vec::new(),
            total_minor: self.total_minor,
            content: ContentDigest::from_bytes(Unknown::unless("content", "bytes", |_| content)?),
            confirm_by: self.confirm_by.0,
            action_until: self.action_until.map(|Timestamptz(time)| time),
            accepted_at: self.accepted_at.0,
            changed_at: self.changed_at.0,
        })
    }

    fn stage(&self) -> Result<Stage, Unknown> {
        let awaited = || Unknown::unless("awaiting", self.awaiting.as_deref().unwrap_or_default(), Step::parse);
        Ok(match self.stage.as_str() {
            "placed" => Stage::Placed,
            "stock_reserved" => Stage::StockReserved,
            "authorized" => Stage::Authorized,
            "confirmed" => Stage::Confirmed,
            "payment_captured" => Stage::PaymentCaptured,
            "ready_to_ship" => Stage::ReadyToShip,
            "shipped" => Stage::Shipped,
            "stock_committed" => Stage::StockCommitted,
            "completed" => Stage::Completed,
            "cancelling" => Stage::Cancelling { step: awaited()? },
            "cancelled" => Stage::Cancelled,
            "stuck" => Stage::Stuck { step: awaited()?, detail: self.detail.clone().unwrap_or_default() },
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
            code: self.cancel_code.clone(),
        }))
    }
}
