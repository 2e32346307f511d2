//! Every message of the pipeline as a Rust type, grouped by the topic that carries it.
//!
//! One struct per record schema in `schemas/avro`, with the record's name and field names (the codec writes by name).
//! A group is an enum, so that a new message breaks every `match` that has to decide about it.
//! Structs hold what was sent; whether it makes sense (a quantity of 0, an unknown currency) is for the service to say.

mod inventory;
mod order;
mod payment;
mod stock;

pub use inventory::*;
pub use order::*;
pub use payment::*;
pub use stock::*;

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
