//! `order.commands.v1` and `stock.commands.v1`: what clients and operators have asked for, and what of it a service has
//! taken. What is not taken must have no trace yet, but may have one: a restored service takes it once more.

use schemas::place::Place;
use schemas::{CommandId, Message, OrderCommand, OrderId, Sku, StockCommand, TopicName};
use workers::inventory::stock::ReceiptKind;
use workers::order::saga::ContentDigest;

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SentCommand {
    pub(crate) topic: TopicName,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// What the ids of its answers are made of.
    pub(crate) place: Place,
    /// Whether its service has taken it.
    pub(crate) is_taken: bool,
    pub(crate) command: Command,
}

/// What was asked for, as far as its trace depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    Place { order_id: OrderId, content: ContentDigest },
    Cancel { order_id: OrderId },
    Refund { order_id: OrderId },
    Stock { sku: Sku, command_id: CommandId, kind: ReceiptKind, pieces: i64 },
}

impl Command {
    /// The command of a message; none for messages that are no commands of clients or operators.
    pub(crate) fn of(message: &Message) -> Option<Command> {
        match message {
            Message::OrderCommand(OrderCommand::PlaceOrder(command)) => {
                Some(Command::Place { order_id: command.order_id.clone(), content: ContentDigest::of_command(command) })
            }
            Message::OrderCommand(OrderCommand::CancelOrder(command)) => {
                Some(Command::Cancel { order_id: command.order_id.clone() })
            }
            Message::OrderCommand(OrderCommand::RefundOrder(command)) => {
                Some(Command::Refund { order_id: command.order_id.clone() })
            }
            Message::StockCommand(StockCommand::ReceiveStock(command)) => Some(Command::Stock {
                sku: command.sku.clone(),
                command_id: command.command_id.clone(),
                kind: ReceiptKind::Received,
                pieces: command.quantity,
            }),
            Message::StockCommand(StockCommand::AdjustStock(command)) => Some(Command::Stock {
                sku: command.sku.clone(),
                command_id: command.command_id.clone(),
                kind: ReceiptKind::Adjusted,
                pieces: command.delta,
            }),
            Message::OrderEvent(_)
            | Message::InventoryCommand(_)
            | Message::InventoryEvent(_)
            | Message::StockEvent(_)
            | Message::PaymentCommand(_)
            | Message::PaymentEvent(_) => None,
        }
    }

    /// The message's name.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Command::Place { .. } => "PlaceOrder",
            Command::Cancel { .. } => "CancelOrder",
            Command::Refund { .. } => "RefundOrder",
            Command::Stock { kind: ReceiptKind::Received, .. } => "ReceiveStock",
            Command::Stock { kind: ReceiptKind::Adjusted, .. } => "AdjustStock",
        }
    }

    /// The order or SKU that it is about.
    pub(crate) fn key(&self) -> &str {
        match self {
            Command::Place { order_id, .. } | Command::Cancel { order_id } | Command::Refund { order_id } => {
                order_id.as_str()
            }
            Command::Stock { sku, .. } => sku.as_str(),
        }
    }
}
