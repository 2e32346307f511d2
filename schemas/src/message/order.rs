//! What the order service is asked and what it says.

use serde::{Deserialize, Serialize};

use crate::symbols::symbols;
use crate::{CommandId, CustomerId, OrderCommand, OrderId, Sku, Time};

/// Place an order. Repeating it unchanged has no effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceOrder {
    /// Chosen by the sender; unique for ever.
    pub order_id: OrderId,
    /// Who orders.
    pub customer_id: CustomerId,
    /// When the customer placed it, by the sender's clock.
    pub placed_at: Time,
    /// ISO 4217 alphabetic code, as sent.
    pub currency: String,
    /// What is ordered.
    pub lines: Vec<OrderLine>,
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLine {
    /// What.
    pub sku: Sku,
    /// How many pieces.
    pub quantity: i64,
    /// Price of one piece in minor units of the order's currency.
    pub unit_price_minor: i64,
}

/// Cancel an order that is not confirmed yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelOrder {
    /// Which order.
    pub order_id: OrderId,
    /// Makes a repeated cancel harmless.
    pub command_id: CommandId,
}

/// Refund a completed order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundOrder {
    /// Which order.
    pub order_id: OrderId,
    /// Makes a repeated refund harmless.
    pub command_id: CommandId,
}

impl OrderCommand {
    /// What makes a repetition harmless; `None` for `PlaceOrder`, which is known by its content.
    pub const fn command_id(&self) -> Option<&CommandId> {
        match self {
            OrderCommand::PlaceOrder(_) => None,
            OrderCommand::CancelOrder(command) => Some(&command.command_id),
            OrderCommand::RefundOrder(command) => Some(&command.command_id),
        }
    }
}

/// The order was accepted; its stock is being reserved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderPlaced {
    /// Which order.
    pub order_id: OrderId,
    /// Of the order, 1 here; each further event of the order has one more.
    pub version: i64,
    /// When the service decided.
    pub at: Time,
    /// Who orders.
    pub customer_id: CustomerId,
    /// When the customer placed it, by the sender's clock.
    pub placed_at: Time,
    /// ISO 4217 alphabetic code.
    #[serde(with = "crate::text")]
    pub currency: String,
    /// What is ordered.
    pub lines: Vec<OrderLine>,
    /// Sum over the lines, in minor units.
    pub total_minor: i64,
    /// Until then the order is confirmed, or it is undone.
    pub confirm_by: Time,
}

macro_rules! order_transition {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name {
            /// Which order.
            pub order_id: OrderId,
            /// Of the order.
            pub version: i64,
            /// When the service decided.
            pub at: Time,
        }
    };
}

order_transition!(
    /// Its stock is reserved; its payment is being authorized.
    OrderStockReserved);
order_transition!(
    /// Its payment is authorized: the pivot, from here on the order goes forward. The payment is being captured.
    OrderConfirmed);
order_transition!(
    /// Its payment is captured; its stock is being committed.
    OrderPaymentCaptured);
order_transition!(
    /// The goods have left and are paid for. Terminal.
    OrderCompleted);

/// The order is being undone; repeated with every step of the undoing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCancelling {
    /// Which order.
    pub order_id: OrderId,
    /// Of the order.
    pub version: i64,
    /// When the service decided.
    pub at: Time,
    /// Why it is undone.
    pub reason: CancelReason,
    /// The reply that the order waits for now.
    pub awaiting: Awaiting,
    /// The command that cancelled it, when one did.
    pub command_id: Option<CommandId>,
}

/// Every step that had been taken is undone. Terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCancelled {
    /// Which order.
    pub order_id: OrderId,
    /// Of the order.
    pub version: i64,
    /// When the service decided.
    pub at: Time,
    /// Why it was undone.
    pub reason: CancelReason,
    /// The command that cancelled it, when one did.
    pub command_id: Option<CommandId>,
}

/// A step that must succeed failed for good: a person has to look. Terminal for the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderStuck {
    /// Which order.
    pub order_id: OrderId,
    /// Of the order.
    pub version: i64,
    /// When the service decided.
    pub at: Time,
    /// The reply that the order had been waiting for.
    pub awaiting: Awaiting,
    /// What the failing service said, at most `MAX_DETAIL_BYTES`.
    #[serde(with = "crate::text")]
    pub detail: String,
}

/// A command was refused; no order was touched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRejected {
    /// The order that the command names.
    pub order_id: OrderId,
    /// When the service decided.
    pub at: Time,
    /// Which command.
    pub command: OrderCommandName,
    /// The command's id, when it has one.
    pub command_id: Option<CommandId>,
    /// Every reason found, at most `MAX_REASONS`.
    pub reasons: Vec<Rejection>,
}

/// One reason to refuse a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// What kind of mistake.
    pub code: RejectionCode,
    /// The same in words, with the offending value; at most `MAX_DETAIL_BYTES`.
    #[serde(with = "crate::text")]
    pub detail: String,
}

symbols!(
    /// Kinds of mistakes in a command.
    RejectionCode {
        /// `PlaceOrder` without a line.
        NoLines,
        /// More lines than `MAX_LINES`.
        TooManyLines,
        /// A quantity of 0 or less.
        QuantityNotPositive,
        /// A price below 0.
        PriceNegative,
        /// Not a current ISO 4217 code.
        CurrencyUnknown,
        /// A line's or the order's total does not fit into 64 bits.
        AmountOverflow,
        /// The id belongs to an order with other content.
        ContentDiffers,
        /// No order has this id.
        OrderUnknown,
        /// The order is completed, cancelled or stuck.
        OrderFinished,
        /// The order is confirmed: it can no longer be cancelled.
        TooLate,
        /// The order service does not carry out this command.
        NotSupported,
    }
);

symbols!(
    /// The commands on `order.commands.v1` by name.
    OrderCommandName {
        /// `PlaceOrder`.
        PlaceOrder,
        /// `CancelOrder`.
        CancelOrder,
        /// `RefundOrder`.
        RefundOrder,
    }
);

symbols!(
    /// Why an order is undone.
    CancelReason {
        /// Inventory refused the reservation.
        OutOfStock,
        /// Payment refused the authorization.
        PaymentDeclined,
        /// `confirm_by` passed.
        DeadlinePassed,
        /// Somebody asked for it.
        Requested,
        /// The capture failed for good.
        CaptureFailed,
    }
);

symbols!(
    /// The reply that an order waits for.
    Awaiting {
        /// To `ReserveStock`.
        StockReservation,
        /// To `AuthorizePayment`.
        PaymentAuthorization,
        /// To `CapturePayment`.
        PaymentCapture,
        /// To `CommitStock`.
        StockCommit,
        /// To `VoidPayment`; the stock is released after it.
        PaymentVoid,
        /// To `ReleaseStock`.
        StockRelease,
    }
);
