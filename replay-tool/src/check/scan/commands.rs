//! `order.commands.v1` and `stock.commands.v1`: what clients and operators have asked for, and what of it a service has
//! taken. What is not taken must have no trace yet, but may have one: a restored service takes it once more.

use domain::saga::ContentDigest;
use domain::stock::Deed;
use outbox::inbox::place::Place;
use schemas::{CommandId, Message, OrderCommand, OrderId, Sku, TopicName};

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
    /// The message's name.
    pub(crate) name: &'static str,
    pub(crate) command: Command,
}

/// What was asked for, as far as its trace depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    Place {
        order_id: OrderId,
        content: ContentDigest,
    },
    /// To undo an order: one that is being undone already needs no further one.
    Undo {
        order_id: OrderId,
        command_id: CommandId,
    },
    /// Anything else that is done to an order.
    Change {
        order_id: OrderId,
        command_id: CommandId,
    },
    Stock {
        sku: Sku,
        command_id: CommandId,
        deed: Deed,
    },
}

impl Command {
    /// The command of a message; none for messages that are no commands of clients or operators.
    pub(crate) fn of(message: &Message) -> Option<Command> {
        if let Message::OrderCommand(command) = message {
            let (order_id, command_id) = (command.key().clone(), command.command_id().cloned());
            return match command {
                OrderCommand::PlaceOrder(command) => {
                    Some(Command::Place { order_id, content: ContentDigest::of_command(command) })
                }
                OrderCommand::CancelOrder(_) | OrderCommand::RejectOrder(_) => {
                    command_id.map(|command_id| Command::Undo { order_id, command_id })
                }
                OrderCommand::RefundOrder(_)
                | OrderCommand::ShipOrder(_)
                | OrderCommand::HoldOrder(_)
                | OrderCommand::ReleaseOrder(_)
                | OrderCommand::RequestReturn(_)
                | OrderCommand::ReceiveReturn(_)
                | OrderCommand::RetryOrder(_)
                | OrderCommand::SkipOrderStep(_)
                | OrderCommand::ResolveOrder(_)
                | OrderCommand::RedriveDeadLetter(_) => {
                    command_id.map(|command_id| Command::Change { order_id, command_id })
                }
            };
        }
        let Message::StockCommand(command) = message else { return None };
        let (sku, command_id) = (command.key().clone(), command.command_id().clone());
        Some(Command::Stock { sku, command_id, deed: Deed::asked_by(command) })
    }

    /// The order or SKU that it is about.
    pub(crate) fn key(&self) -> &str {
        match self {
            Command::Place { order_id, .. } | Command::Undo { order_id, .. } | Command::Change { order_id, .. } => {
                order_id.as_str()
            }
            Command::Stock { sku, .. } => sku.as_str(),
        }
    }
}
