//! What the order service says happened: an event per transition, and refusals.
//!
//! Every event of an order carries the order's attributes, and, where a command made it happen, which one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Adjustment, Awaiting, CancelReason, LineQuantity, OrderCommandName, OrderLine, RejectionCode, ReturnedLine,
};
use crate::{CommandId, CustomerId, OrderId, Time, text};

/// The command that made an event happen: what, by whom, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The command's name.
    #[serde(with = "text")]
    pub command: String,
    /// The command's id.
    pub command_id: CommandId,
    /// Who sent it, at most `MAX_DETAIL_BYTES`.
    #[serde(with = "text::optional")]
    pub by: Option<String>,
    /// Why, in words, at most `MAX_DETAIL_BYTES`.
    #[serde(with = "text::optional")]
    pub note: Option<String>,
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
    #[serde(with = "text")]
    pub currency: String,
    /// What is ordered.
    pub lines: Vec<OrderLine>,
    /// Sum over the lines and the adjustments, in minor units.
    pub total_minor: i64,
    /// Until then the order is confirmed, or it is undone.
    pub confirm_by: Time,
    /// The account of a payment provider to charge; none for the default one.
    #[serde(default, with = "text::optional")]
    pub payment_provider: Option<String>,
    /// The provider's token for the customer's means of payment.
    #[serde(default, with = "text::optional")]
    pub payment_token: Option<String>,
    /// When the payment is taken: `at_confirm`, as none, or `at_shipment`.
    #[serde(default, with = "text::optional")]
    pub capture: Option<String>,
    /// How the goods leave: `automatic`, as none, or `on_command`.
    #[serde(default, with = "text::optional")]
    pub fulfilment: Option<String>,
    /// Added to the sum of the lines.
    #[serde(default)]
    pub adjustments: Vec<Adjustment>,
    /// Carried unchanged into all events of the order.
    #[serde(default, with = "text::map")]
    pub attributes: BTreeMap<String, String>,
    /// The order that this one replaces.
    #[serde(default)]
    pub replaces_order_id: Option<OrderId>,
    /// Held from the beginning, by the service's policy.
    #[serde(default)]
    pub hold: Option<Hold>,
}

/// That an order waits for a person before it is confirmed or shipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Why.
    #[serde(with = "text")]
    pub reason_code: String,
    /// Until then it is released, or it is undone.
    pub until: Time,
}

/// An event of an order that is there: which order, version and time, then its own fields, then what the order carries and
/// what made it happen, then what later versions of the event added.
macro_rules! order_event {
    (
        $(#[$doc:meta])* $name:ident
        { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }
        { $($(#[$last_doc:meta])* $last:ident: $last_type:ty,)* }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name {
            /// Which order.
            pub order_id: OrderId,
            /// Of the order.
            pub version: i64,
            /// When the service decided.
            pub at: Time,
            $($(#[$field_doc])* pub $field: $type,)*
            /// What the order carries, unchanged since it was placed.
            #[serde(default, with = "text::map")]
            pub attributes: BTreeMap<String, String>,
            /// The command that made it happen; none where the machine went on by itself.
            #[serde(default)]
            pub origin: Option<Origin>,
            $($(#[$last_doc])* pub $last: $last_type,)*
        }
    };
}

order_event!(
    /// Its stock is reserved; its payment is being authorized.
    OrderStockReserved {} {}
);
order_event!(
    /// The customer has to act before its payment is authorized, such as to confirm it with the bank. It waits for that.
    OrderActionRequired {
        /// Until then the customer acts, or it is undone.
        until: Time,
        /// Until then it is confirmed, or it is undone, in the place of the time that it was placed with.
        confirm_by: Time,
    } {}
);
order_event!(
    /// Its payment is authorized, and it is held: it is confirmed when somebody releases it.
    OrderAuthorized {} {}
);
order_event!(
    /// Its payment is authorized: the customer has the order. The payment is being captured, or the goods are to be shipped.
    OrderConfirmed {} {
        /// Until when it should be shipped; none where it need not wait for `ShipOrder`, or not yet.
        #[serde(default)]
        ship_by: Option<Time>,
    }
);
order_event!(
    /// Its payment is captured; its stock is being committed, or the goods are to be shipped.
    OrderPaymentCaptured {} {
        /// Until when it should be shipped; none where it need not wait for `ShipOrder`.
        #[serde(default)]
        ship_by: Option<Time>,
    }
);
order_event!(
    /// It is not confirmed, or not shipped, until somebody releases it.
    OrderHeld {} {
        /// Why.
        #[serde(with = "text")]
        reason_code: String,
        /// Until then it is released, or it is undone.
        until: Time,
    }
);
order_event!(
    /// It is held no more.
    OrderReleased {} {}
);
order_event!(
    /// The goods leave: from here on the order goes forward. Its stock is being committed.
    OrderShipped {} {
        /// Who carries it.
        #[serde(with = "text::optional")]
        carrier: Option<String>,
        /// The carrier's number.
        #[serde(with = "text::optional")]
        tracking: Option<String>,
    }
);
order_event!(
    /// The stock is committed; the payment is being captured.
    OrderStockCommitted {} {}
);
order_event!(
    /// The goods have left and are paid for.
    OrderCompleted {} {}
);
order_event!(
    /// The order is being undone; repeated with every step of the undoing.
    OrderCancelling {
        /// Why it is undone.
        reason: CancelReason,
        /// The reply that the order waits for now; the nearest that the first version had a name for.
        awaiting: Awaiting,
        /// The command that cancelled it, when one did.
        command_id: Option<CommandId>,
    } {
        /// Why, more precisely than `reason` says.
        #[serde(default, with = "text::optional")]
        reason_code: Option<String>,
        /// What is awaited, more precisely than `awaiting` says.
        #[serde(default, with = "text::optional")]
        step: Option<String>,
    }
);
order_event!(
    /// Every step that had been taken is undone. Terminal.
    OrderCancelled {
        /// Why it was undone.
        reason: CancelReason,
        /// The command that cancelled it, when one did.
        command_id: Option<CommandId>,
    } {
        /// Why, more precisely than `reason` says.
        #[serde(default, with = "text::optional")]
        reason_code: Option<String>,
    }
);
order_event!(
    /// A step that must succeed failed for good: a person has to look.
    OrderStuck {
        /// The reply that the order had been waiting for; the nearest that the first version had a name for.
        awaiting: Awaiting,
        /// What the failing service said, at most `MAX_DETAIL_BYTES`.
        #[serde(with = "text")]
        detail: String,
    } {
        /// What was awaited, more precisely than `awaiting` says.
        #[serde(default, with = "text::optional")]
        step: Option<String>,
    }
);
order_event!(
    /// The step at which it was stuck is tried again.
    OrderRetried {} {
        /// Which step.
        #[serde(with = "text")]
        step: String,
    }
);
order_event!(
    /// A request whose reply is awaited is made once more, because it, or the reply, lies among the dead letters.
    OrderAskedAgain {} {
        /// The request's name.
        #[serde(with = "text")]
        request: String,
        /// Where the letter lies.
        #[serde(with = "text")]
        letter: String,
    }
);
order_event!(
    /// A stuck order has been ended by a person. Terminal.
    OrderResolved {} {
        /// `completed` or `cancelled`.
        #[serde(with = "text")]
        outcome: String,
    }
);
order_event!(
    /// A refund is being carried out.
    OrderRefundRequested {} {
        /// The refund's id: its command's.
        refund_id: CommandId,
        /// How much, in minor units.
        amount_minor: i64,
        /// Which lines it is for.
        lines: Vec<LineQuantity>,
        /// Why.
        #[serde(with = "text::optional")]
        reason_code: Option<String>,
        /// The return that it is for.
        return_id: Option<CommandId>,
    }
);
order_event!(
    /// A refund has been carried out.
    OrderRefunded {} {
        /// Which refund.
        refund_id: CommandId,
        /// How much, in minor units.
        amount_minor: i64,
    }
);
order_event!(
    /// A refund has not been carried out, or nobody knows.
    OrderRefundFailed {} {
        /// Which refund.
        refund_id: CommandId,
        /// How much was asked for, in minor units.
        amount_minor: i64,
        /// `refused`, or `unknown`: then the money may have gone, and counts as if it had.
        #[serde(with = "text")]
        outcome: String,
        /// What the payment service said, at most `MAX_DETAIL_BYTES`.
        #[serde(with = "text")]
        detail: String,
    }
);
order_event!(
    /// Goods are to come back.
    OrderReturnRequested {} {
        /// The return's id: its command's.
        return_id: CommandId,
        /// What is to come back.
        lines: Vec<LineQuantity>,
        /// Why.
        #[serde(with = "text::optional")]
        reason_code: Option<String>,
        /// Until then they come, or the return is closed.
        close_by: Time,
    }
);
order_event!(
    /// Goods have come back; the stock is being corrected.
    OrderReturnReceived {} {
        /// Which return.
        return_id: CommandId,
        /// What came, and what becomes of it.
        lines: Vec<ReturnedLine>,
        /// How much is refunded once the stock is right, in minor units.
        refund_minor: i64,
    }
);
order_event!(
    /// A return has ended.
    OrderReturnClosed {} {
        /// Which return.
        return_id: CommandId,
        /// `taken_back`, `expired` or `refused`.
        #[serde(with = "text")]
        outcome: String,
        /// What inventory said where it refused, at most `MAX_DETAIL_BYTES`; else empty.
        #[serde(with = "text")]
        detail: String,
    }
);

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
    /// What kind of mistake; the nearest that the first version had a name for.
    pub code: RejectionCode,
    /// The same in words, with the offending value; at most `MAX_DETAIL_BYTES`.
    #[serde(with = "text")]
    pub detail: String,
    /// What kind, more precisely than `code` says.
    #[serde(default, with = "text::optional")]
    pub reason_code: Option<String>,
}

/// A command was refused; no order was touched. For the commands that `OrderRejected` has no name for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCommandRefused {
    /// The order that the command names.
    pub order_id: OrderId,
    /// When the service decided.
    pub at: Time,
    /// Which command.
    #[serde(with = "text")]
    pub command: String,
    /// The command's id.
    pub command_id: CommandId,
    /// Every reason found, at most `MAX_REASONS`.
    pub reasons: Vec<Refusal>,
}

/// One reason to refuse a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What kind of mistake.
    #[serde(with = "text")]
    pub reason_code: String,
    /// The same in words, with the offending value; at most `MAX_DETAIL_BYTES`.
    #[serde(with = "text")]
    pub detail: String,
}
