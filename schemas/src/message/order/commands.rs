//! What anyone may ask of the order service.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{CommandId, CustomerId, OrderCommand, OrderId, Sku, Time, text};

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
    /// The account of a payment provider to charge; none for the default one.
    #[serde(default, with = "text::optional")]
    pub payment_provider: Option<String>,
    /// The provider's token for the customer's means of payment. Never a card number.
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
    /// The order that this one replaces, as in an exchange.
    #[serde(default)]
    pub replaces_order_id: Option<OrderId>,
    /// What to do where there is too little stock. Not carried out yet.
    #[serde(default, with = "text::optional")]
    pub if_short: Option<String>,
    /// When to place it. Not carried out yet.
    #[serde(default)]
    pub place_at: Option<Time>,
}

impl PlaceOrder {
    /// An order without anything that may be left out.
    pub fn new(
        order_id: OrderId,
        customer_id: CustomerId,
        placed_at: Time,
        currency: impl Into<String>,
        lines: Vec<OrderLine>,
    ) -> Self {
        PlaceOrder {
            order_id,
            customer_id,
            placed_at,
            currency: currency.into(),
            lines,
            payment_provider: None,
            payment_token: None,
            capture: None,
            fulfilment: None,
            adjustments: Vec::new(),
            attributes: BTreeMap::new(),
            replaces_order_id: None,
            if_short: None,
            place_at: None,
        }
    }
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

/// What is added to, or taken from, the sum of the lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adjustment {
    /// `shipping`, `tax`, `discount` or `fee`.
    #[serde(with = "text")]
    pub kind: String,
    /// Signed, in minor units of the order's currency: a discount is below 0.
    pub amount_minor: i64,
    /// The line that it belongs to, from 1; none where it belongs to the order.
    pub line: Option<i32>,
}

/// So many pieces of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineQuantity {
    /// Which line of the order, from 1.
    pub line: i32,
    /// How many pieces, above 0.
    pub quantity: i64,
}

/// Pieces of a line that came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnedLine {
    /// Which line of the order, from 1.
    pub line: i32,
    /// How many pieces, above 0.
    pub quantity: i64,
    /// `restock` or `write_off`.
    #[serde(with = "text")]
    pub disposition: String,
}

/// A command about an order that is there: the order and the command's id, then its own fields, then who asks and why.
macro_rules! order_command {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name {
            /// Which order.
            pub order_id: OrderId,
            /// Makes a repeated command harmless.
            pub command_id: CommandId,
            $($(#[$field_doc])* pub $field: $type,)*
            /// Who asks.
            #[serde(default, with = "text::optional")]
            pub by: Option<String>,
            /// Why, in words.
            #[serde(default, with = "text::optional")]
            pub note: Option<String>,
        }
    };
}

order_command!(
    /// Cancel an order whose goods have not left.
    CancelOrder {
        /// Why, as a code of the sender's.
        #[serde(default, with = "text::optional")]
        reason_code: Option<String>,
    }
);
order_command!(
    /// Give money back for an order that is paid.
    RefundOrder {
        /// How much, in minor units, above 0; none for what the lines cost, or, without lines, for all that is left.
        #[serde(default)]
        amount_minor: Option<i64>,
        /// Which lines it is for.
        #[serde(default)]
        lines: Vec<LineQuantity>,
        /// Why, as a code of the sender's.
        #[serde(default, with = "text::optional")]
        reason_code: Option<String>,
    }
);
order_command!(
    /// The goods of a confirmed order leave.
    ShipOrder {
        /// What leaves; empty for everything.
        lines: Vec<LineQuantity>,
        /// Who carries it.
        #[serde(default, with = "text::optional")]
        carrier: Option<String>,
        /// The carrier's number.
        #[serde(default, with = "text::optional")]
        tracking: Option<String>,
    }
);
order_command!(
    /// Stop an order before it is confirmed or shipped, until somebody has looked.
    HoldOrder {
        /// Why, as a code of the sender's.
        #[serde(with = "text")]
        reason_code: String,
        /// Until then it is released, or it is undone; none for the service's own limit.
        until: Option<Time>,
    }
);
order_command!(
    /// Let a held order go on.
    ReleaseOrder {}
);
order_command!(
    /// Undo an order that somebody has looked at.
    RejectOrder {
        /// Why, as a code of the sender's.
        #[serde(with = "text")]
        reason_code: String,
    }
);
order_command!(
    /// The customer wants to send goods of a completed order back. The command's id is the return's.
    RequestReturn {
        /// What is to come back; empty for everything that is still out.
        lines: Vec<LineQuantity>,
        /// Why, as a code of the sender's.
        #[serde(default, with = "text::optional")]
        reason_code: Option<String>,
    }
);
order_command!(
    /// Goods of a return have come back.
    ReceiveReturn {
        /// Which return.
        return_id: CommandId,
        /// What came, and what becomes of it.
        lines: Vec<ReturnedLine>,
        /// How much is refunded, in minor units; none for what the lines cost.
        refund_minor: Option<i64>,
    }
);
order_command!(
    /// Try the step again at which an order is stuck.
    RetryOrder {
        /// The step that is meant; none for whichever.
        #[serde(with = "text::optional")]
        step: Option<String>,
    }
);
order_command!(
    /// Take the step at which an order is stuck for done: a person has seen to it.
    SkipOrderStep {
        /// The step that is meant; none for whichever.
        #[serde(with = "text::optional")]
        step: Option<String>,
    }
);
order_command!(
    /// End a stuck order: a person has seen to all that is left.
    ResolveOrder {
        /// `completed` or `cancelled`.
        #[serde(with = "text")]
        outcome: String,
    }
);
order_command!(
    /// Have a message said again that lies among the dead letters of a topic which a service writes.
    RedriveDeadLetter {
        /// Where the letter lies, as `inventory.commands.v1-dlt[3]@17`.
        #[serde(with = "text")]
        letter: String,
        /// The name of the message that it is.
        #[serde(with = "text")]
        message: String,
        /// The id of the order service's request that it is, or that it answers.
        #[serde(with = "text")]
        request_id: String,
        /// The refund or the return that it is about.
        part: Option<CommandId>,
    }
);

impl CancelOrder {
    /// A cancel that says no more than what it is.
    pub fn new(order_id: OrderId, command_id: CommandId) -> Self {
        CancelOrder { order_id, command_id, reason_code: None, by: None, note: None }
    }
}

impl RefundOrder {
    /// Give back all that is left.
    pub fn all(order_id: OrderId, command_id: CommandId) -> Self {
        RefundOrder {
            order_id,
            command_id,
            amount_minor: None,
            lines: Vec::new(),
            reason_code: None,
            by: None,
            note: None,
        }
    }
}

impl OrderCommand {
    /// What makes a repetition harmless; `None` for `PlaceOrder`, which is known by its content.
    pub const fn command_id(&self) -> Option<&CommandId> {
        match self {
            OrderCommand::PlaceOrder(_) => None,
            OrderCommand::CancelOrder(command) => Some(&command.command_id),
            OrderCommand::RefundOrder(command) => Some(&command.command_id),
            OrderCommand::ShipOrder(command) => Some(&command.command_id),
            OrderCommand::HoldOrder(command) => Some(&command.command_id),
            OrderCommand::ReleaseOrder(command) => Some(&command.command_id),
            OrderCommand::RejectOrder(command) => Some(&command.command_id),
            OrderCommand::RequestReturn(command) => Some(&command.command_id),
            OrderCommand::ReceiveReturn(command) => Some(&command.command_id),
            OrderCommand::RetryOrder(command) => Some(&command.command_id),
            OrderCommand::SkipOrderStep(command) => Some(&command.command_id),
            OrderCommand::ResolveOrder(command) => Some(&command.command_id),
            OrderCommand::RedriveDeadLetter(command) => Some(&command.command_id),
        }
    }
}
