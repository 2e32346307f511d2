//! `inventory.commands.v1` and `payment.commands.v1`: what order has asked for, and what the other side has taken of it.

use std::collections::HashMap;

use outbox::inbox::place::Place;
use schemas::{CommandId, InventoryCommand, Message, OrderId, PaymentCommand};
use uuid::Uuid;

use super::told::Told;
use crate::particulars::change_of;

/// What order asks of the other services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum RequestKind {
    Reserve,
    Commit,
    Release,
    Return,
    Authorize,
    Capture,
    Void,
    Refund,
    Retry,
}

/// A request that the other service has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) order_id: OrderId,
    pub(crate) kind: RequestKind,
    /// Which refund or return it is about.
    pub(crate) change: Option<CommandId>,
    /// The message's name.
    pub(crate) name: &'static str,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// What the ids of its answers are made of.
    pub(crate) place: Place,
}

/// What order asked for, for one order, up to its cut.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Asked to commit.
    pub(crate) commit: bool,
    /// Asked to capture.
    pub(crate) capture: bool,
    /// What led to the first request to authorize.
    pub(crate) authorize: Option<Caused>,
    /// What led to the first request to release.
    pub(crate) release: Option<Caused>,
    /// What led to the first request to void.
    pub(crate) void: Option<Caused>,
}

/// What led to a request: the id of the message that did, where it is known.
pub(crate) type Caused = Option<Uuid>;

/// Requests of one topic.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    pub(crate) sent: HashMap<OrderId, Sent>,
    /// The refunds, or the returns, that order has asked for.
    pub(crate) changes: HashMap<OrderId, Vec<CommandId>>,
    pub(crate) taken: Vec<Request>,
}

impl Requests {
    /// Order has sent this.
    pub(crate) fn send(&mut self, message: &Message, (order_id, kind): (&OrderId, RequestKind), told: Told) {
        if let Some(change) = change_of(message) {
            self.changes.entry(order_id.clone()).or_default().push(change.clone());
        }
        let sent = self.sent.entry(order_id.clone()).or_default();
        match kind {
            RequestKind::Reserve | RequestKind::Return | RequestKind::Refund | RequestKind::Retry => {}
            RequestKind::Commit => sent.commit = true,
            RequestKind::Capture => sent.capture = true,
            RequestKind::Release => sent.release = sent.release.or(Some(told.cause)),
            RequestKind::Authorize => sent.authorize = sent.authorize.or(Some(told.cause)),
            RequestKind::Void => sent.void = sent.void.or(Some(told.cause)),
        }
    }

    /// The other service has taken this message, which is such a request.
    pub(crate) fn take(
        &mut self,
        message: &Message,
        (order_id, kind): (&OrderId, RequestKind),
        (partition, offset): (i32, i64),
        place: Place,
    ) {
        let (order_id, change, name) = (order_id.clone(), change_of(message).cloned(), message.name());
        self.taken.push(Request { order_id, kind, change, name, partition, offset, place });
    }
}

/// Whose and which request a message is; none for messages that are no requests of order's.
pub(crate) fn of(message: &Message) -> Option<(&OrderId, RequestKind)> {
    if let Message::InventoryCommand(command) = message {
        let kind = match command {
            InventoryCommand::ReserveStock(_) => RequestKind::Reserve,
            InventoryCommand::CommitStock(_) => RequestKind::Commit,
            InventoryCommand::ReleaseStock(_) => RequestKind::Release,
            InventoryCommand::ReturnStock(_) => RequestKind::Return,
        };
        return Some((command.key(), kind));
    }
    let Message::PaymentCommand(command) = message else { return None };
    let kind = match command {
        PaymentCommand::AuthorizePayment(_) => RequestKind::Authorize,
        PaymentCommand::CapturePayment(_) => RequestKind::Capture,
        PaymentCommand::VoidPayment(_) => RequestKind::Void,
        PaymentCommand::RefundPayment(_) => RequestKind::Refund,
        PaymentCommand::RetryPayment(_) => RequestKind::Retry,
    };
    Some((command.key(), kind))
}
