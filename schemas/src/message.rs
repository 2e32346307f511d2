//! Every message of the pipeline as a Rust type, grouped by the topic that carries it.
//!
//! One struct per record schema in `schemas/avro`, with the record's name and field names (the codec writes by name).
//! A group is an enum, so that a new message breaks every `match` that has to decide about it.
//! Structs hold what was sent; whether it makes sense (a quantity of 0, an unknown currency) is for the service to say.

use serde::{Deserialize, Serialize};

use crate::{CommandId, CustomerId, OrderId, Sku, Time};

macro_rules! messages {
    ($(#[$doc:meta])* $group:ident { $($name:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $group {
            $(#[doc = concat!("See [`", stringify!($name), "`].")] $name($name)),+
        }

        $(
            impl From<$name> for $group {
                fn from(message: $name) -> Self {
                    $group::$name(message)
                }
            }
            impl From<$name> for Message {
                fn from(message: $name) -> Self {
                    Message::$group($group::$name(message))
                }
            }
        )+

        impl From<$group> for Message {
            fn from(group: $group) -> Self {
                Message::$group(group)
            }
        }
    };
}

/// Any message of the pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// On `order.commands.v1`.
    OrderCommand(OrderCommand),
    /// On `order.events.v1`.
    OrderEvent(OrderEvent),
    /// On `inventory.commands.v1`.
    InventoryCommand(InventoryCommand),
    /// On `inventory.events.v1`.
    InventoryEvent(InventoryEvent),
    /// On `stock.commands.v1`.
    StockCommand(StockCommand),
    /// On `stock.events.v1`.
    StockEvent(StockEvent),
    /// On `payment.commands.v1`.
    PaymentCommand(PaymentCommand),
    /// On `payment.events.v1`.
    PaymentEvent(PaymentEvent),
}

messages!(
    /// What anyone may ask of the order service.
    OrderCommand { PlaceOrder, CancelOrder, RefundOrder });
messages!(
/// What the order service says happened: one per saga transition, and refused commands.
OrderEvent {
    OrderPlaced, OrderStockReserved, OrderConfirmed, OrderPaymentCaptured, OrderCompleted,
    OrderCancelling, OrderCancelled, OrderStuck, OrderRejected
});
messages!(
    /// What the order service asks of the inventory service.
    InventoryCommand { ReserveStock, CommitStock, ReleaseStock });
messages!(
    /// What the inventory service says happened to an order's reservation.
    InventoryEvent { StockReserved, StockRejected, StockCommitted, StockReleased, StockCommitRefused });
messages!(
    /// What operators ask of the inventory service.
    StockCommand { ReceiveStock, AdjustStock });
messages!(
    /// What the inventory service says happened to a SKU's stock.
    StockEvent { StockReceived, StockAdjusted, StockCommandRejected });
messages!(
    /// What the order service asks of the payment service.
    PaymentCommand { AuthorizePayment, CapturePayment, VoidPayment });
messages!(
/// What the payment service says happened to an order's payment.
PaymentEvent {
    PaymentAuthorized, PaymentDeclined, PaymentCaptured, PaymentCaptureFailed, PaymentVoided, PaymentStuck
});

// ---------------------------------------------------------------- order.commands.v1

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

// ---------------------------------------------------------------- order.events.v1

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
    pub detail: String,
}

/// Kinds of mistakes in a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RejectionCode {
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

/// The commands on `order.commands.v1` by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OrderCommandName {
    /// `PlaceOrder`.
    PlaceOrder,
    /// `CancelOrder`.
    CancelOrder,
    /// `RefundOrder`.
    RefundOrder,
}

/// Why an order is undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CancelReason {
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

/// The reply that an order waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Awaiting {
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

// ---------------------------------------------------------------- inventory.commands.v1

/// Reserve all lines or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReserveStock {
    /// For which order.
    pub order_id: OrderId,
    /// What to reserve; a SKU may stand in several lines.
    pub lines: Vec<StockLine>,
}

/// So many pieces of a SKU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockLine {
    /// What.
    pub sku: Sku,
    /// How many pieces, above 0.
    pub quantity: i64,
}

/// The reserved goods leave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitStock {
    /// Of which order.
    pub order_id: OrderId,
}

/// Undo the reservation; where there is none yet, refuse it when it comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseStock {
    /// Of which order.
    pub order_id: OrderId,
}

// ---------------------------------------------------------------- inventory.events.v1

/// All lines are reserved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockReserved {
    /// For which order.
    pub order_id: OrderId,
    /// Of the reservation.
    pub version: i64,
    /// When the service decided.
    pub at: Time,
    /// What is reserved: one line per SKU, ascending.
    pub lines: Vec<StockLine>,
}

/// Too little stock; nothing is reserved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockRejected {
    /// For which order.
    pub order_id: OrderId,
    /// Of the reservation.
    pub version: i64,
    /// When the service decided.
    pub at: Time,
    /// What was missing, at most `MAX_REASONS` of them.
    pub shortages: Vec<Shortage>,
}

/// A SKU of which too little is available.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortage {
    /// Which SKU.
    pub sku: Sku,
    /// How many pieces the order wants.
    pub requested: i64,
    /// How many were available.
    pub available: i64,
}

/// The reserved goods have left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockCommitted {
    /// Of which order.
    pub order_id: OrderId,
    /// Of the reservation.
    pub version: i64,
    /// When the service decided.
    pub at: Time,
}

/// The reservation is undone, or (version 1) refused before it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockReleased {
    /// Of which order.
    pub order_id: OrderId,
    /// Of the reservation.
    pub version: i64,
    /// When the service decided.
    pub at: Time,
}

/// `CommitStock` for what is not reserved; the reservation is untouched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockCommitRefused {
    /// Of which order.
    pub order_id: OrderId,
    /// When the service decided.
    pub at: Time,
    /// Why, at most `MAX_DETAIL_BYTES`.
    pub detail: String,
}

// ---------------------------------------------------------------- stock.commands.v1

/// Goods have arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiveStock {
    /// Which SKU; a new one is created.
    pub sku: Sku,
    /// Makes a repeated receipt harmless.
    pub command_id: CommandId,
    /// How many pieces, above 0.
    pub quantity: i64,
}

/// A count differed from the books.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdjustStock {
    /// Which SKU.
    pub sku: Sku,
    /// Makes a repeated adjustment harmless.
    pub command_id: CommandId,
    /// How many pieces more (or, negative, fewer), not 0.
    pub delta: i64,
}

// ---------------------------------------------------------------- stock.events.v1

/// Goods have arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockReceived {
    /// Which SKU.
    pub sku: Sku,
    /// Of the SKU: counts its receipts and adjustments.
    pub version: i64,
    /// When the service decided.
    pub at: Time,
    /// The command's id.
    pub command_id: CommandId,
    /// How many pieces.
    pub quantity: i64,
}

/// The books were corrected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockAdjusted {
    /// Which SKU.
    pub sku: Sku,
    /// Of the SKU: counts its receipts and adjustments.
    pub version: i64,
    /// When the service decided.
    pub at: Time,
    /// The command's id.
    pub command_id: CommandId,
    /// How many pieces more (or fewer).
    pub delta: i64,
}

/// A stock command was refused; no stock was touched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockCommandRejected {
    /// The SKU that the command names.
    pub sku: Sku,
    /// When the service decided.
    pub at: Time,
    /// The command's id.
    pub command_id: CommandId,
    /// What kind of mistake.
    pub code: StockRejectionCode,
    /// The same in words; at most `MAX_DETAIL_BYTES`.
    pub detail: String,
}

/// Kinds of mistakes in a stock command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StockRejectionCode {
    /// A receipt of 0 or fewer pieces.
    QuantityNotPositive,
    /// An adjustment by 0.
    NoChange,
    /// Fewer would be left than are reserved and shipped.
    BelowReserved,
    /// The sum does not fit into 64 bits.
    QuantityOverflow,
    /// The command id belongs to a command with other content.
    ContentDiffers,
}

// ---------------------------------------------------------------- payment.commands.v1

/// Hold the amount on the customer's means of payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizePayment {
    /// For which order.
    pub order_id: OrderId,
    /// Who pays.
    pub customer_id: CustomerId,
    /// ISO 4217 alphabetic code.
    pub currency: String,
    /// How much, in minor units; 0 needs no provider.
    pub amount_minor: i64,
}

/// Take what is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturePayment {
    /// For which order.
    pub order_id: OrderId,
}

/// Let go of what is held; where nothing is yet, refuse the authorization when it comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoidPayment {
    /// For which order.
    pub order_id: OrderId,
}

// ---------------------------------------------------------------- payment.events.v1

/// The amount is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentAuthorized {
    /// For which order.
    pub order_id: OrderId,
    /// Of the payment.
    pub version: i64,
    /// When the service recorded it.
    pub at: Time,
    /// Who pays.
    pub customer_id: CustomerId,
    /// ISO 4217 alphabetic code.
    pub currency: String,
    /// How much, in minor units.
    pub amount_minor: i64,
    /// The provider's name for it; none when the amount is 0.
    pub provider_reference: Option<String>,
}

/// The provider refused for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentDeclined {
    /// For which order.
    pub order_id: OrderId,
    /// Of the payment.
    pub version: i64,
    /// When the service recorded it.
    pub at: Time,
    /// Who pays.
    pub customer_id: CustomerId,
    /// ISO 4217 alphabetic code.
    pub currency: String,
    /// How much was asked for, in minor units.
    pub amount_minor: i64,
    /// The provider's words, at most `MAX_DETAIL_BYTES`.
    pub detail: String,
}

/// The amount is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentCaptured {
    /// For which order.
    pub order_id: OrderId,
    /// Of the payment.
    pub version: i64,
    /// When the service recorded it.
    pub at: Time,
    /// The provider's name for it; none when the amount is 0.
    pub provider_reference: Option<String>,
}

/// The provider refused the capture for good; the amount is still held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentCaptureFailed {
    /// For which order.
    pub order_id: OrderId,
    /// Of the payment.
    pub version: i64,
    /// When the service recorded it.
    pub at: Time,
    /// The provider's words, at most `MAX_DETAIL_BYTES`.
    pub detail: String,
}

/// Nothing is held any more, or (version 1) the authorization was refused before it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentVoided {
    /// For which order.
    pub order_id: OrderId,
    /// Of the payment.
    pub version: i64,
    /// When the service recorded it.
    pub at: Time,
}

/// No definitive answer could be had from the provider: a person has to look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentStuck {
    /// For which order.
    pub order_id: OrderId,
    /// Of the payment.
    pub version: i64,
    /// When the service recorded it.
    pub at: Time,
    /// What was asked of the provider.
    pub operation: PaymentOperation,
    /// What happened, at most `MAX_DETAIL_BYTES`.
    pub detail: String,
}

/// What the provider is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PaymentOperation {
    /// Hold an amount.
    Authorize,
    /// Take what is held.
    Capture,
    /// Let go of what is held.
    Void,
}
