//! What only some messages say: which refund or return they are about, and what an order's events carry.

use std::collections::BTreeMap;

use schemas::{CommandId, InventoryCommand, InventoryEvent, Message, OrderEvent, PaymentCommand, PaymentEvent};

/// Which refund or return a request, or the reply to one, is about; none for all other messages.
pub(crate) fn change_of(message: &Message) -> Option<&CommandId> {
    match message {
        Message::InventoryCommand(command) => match command {
            InventoryCommand::ReturnStock(command) => Some(&command.return_id),
            InventoryCommand::ReserveStock(_)
            | InventoryCommand::CommitStock(_)
            | InventoryCommand::ReleaseStock(_) => None,
        },
        Message::PaymentCommand(command) => match command {
            PaymentCommand::RefundPayment(command) => Some(&command.refund_id),
            PaymentCommand::AuthorizePayment(_)
            | PaymentCommand::CapturePayment(_)
            | PaymentCommand::VoidPayment(_)
            | PaymentCommand::RetryPayment(_) => None,
        },
        Message::InventoryEvent(event) => return_of(event),
        Message::PaymentEvent(event) => refund_of(event),
        Message::OrderCommand(_) | Message::OrderEvent(_) | Message::StockCommand(_) | Message::StockEvent(_) => None,
    }
}

/// Which return an event of inventory is about.
pub(crate) fn return_of(event: &InventoryEvent) -> Option<&CommandId> {
    match event {
        InventoryEvent::StockReturned(event) => Some(&event.return_id),
        InventoryEvent::StockReturnRefused(event) => Some(&event.return_id),
        InventoryEvent::StockReserved(_)
        | InventoryEvent::StockRejected(_)
        | InventoryEvent::StockCommitted(_)
        | InventoryEvent::StockReleased(_)
        | InventoryEvent::StockCommitRefused(_) => None,
    }
}

/// Which refund an event of payment is about.
pub(crate) fn refund_of(event: &PaymentEvent) -> Option<&CommandId> {
    match event {
        PaymentEvent::PaymentRefunded(event) => Some(&event.refund_id),
        PaymentEvent::PaymentRefundFailed(event) => Some(&event.refund_id),
        PaymentEvent::PaymentRefundReversed(event) => Some(&event.refund_id),
        PaymentEvent::PaymentActionRequired(_)
        | PaymentEvent::PaymentAuthorized(_)
        | PaymentEvent::PaymentDeclined(_)
        | PaymentEvent::PaymentCaptured(_)
        | PaymentEvent::PaymentCaptureFailed(_)
        | PaymentEvent::PaymentVoided(_)
        | PaymentEvent::PaymentStuck(_)
        | PaymentEvent::PaymentDisputed(_) => None,
    }
}

/// What an event carries of its order; none for refusals, which are of no order.
pub(crate) fn attributes_of(event: &OrderEvent) -> Option<&BTreeMap<String, String>> {
    match event {
        OrderEvent::OrderPlaced(event) => Some(&event.attributes),
        OrderEvent::OrderStockReserved(event) => Some(&event.attributes),
        OrderEvent::OrderActionRequired(event) => Some(&event.attributes),
        OrderEvent::OrderAuthorized(event) => Some(&event.attributes),
        OrderEvent::OrderConfirmed(event) => Some(&event.attributes),
        OrderEvent::OrderPaymentCaptured(event) => Some(&event.attributes),
        OrderEvent::OrderHeld(event) => Some(&event.attributes),
        OrderEvent::OrderReleased(event) => Some(&event.attributes),
        OrderEvent::OrderShipped(event) => Some(&event.attributes),
        OrderEvent::OrderStockCommitted(event) => Some(&event.attributes),
        OrderEvent::OrderCompleted(event) => Some(&event.attributes),
        OrderEvent::OrderCancelling(event) => Some(&event.attributes),
        OrderEvent::OrderCancelled(event) => Some(&event.attributes),
        OrderEvent::OrderStuck(event) => Some(&event.attributes),
        OrderEvent::OrderRetried(event) => Some(&event.attributes),
        OrderEvent::OrderAskedAgain(event) => Some(&event.attributes),
        OrderEvent::OrderResolved(event) => Some(&event.attributes),
        OrderEvent::OrderRefundRequested(event) => Some(&event.attributes),
        OrderEvent::OrderRefunded(event) => Some(&event.attributes),
        OrderEvent::OrderRefundFailed(event) => Some(&event.attributes),
        OrderEvent::OrderReturnRequested(event) => Some(&event.attributes),
        OrderEvent::OrderReturnReceived(event) => Some(&event.attributes),
        OrderEvent::OrderReturnClosed(event) => Some(&event.attributes),
        OrderEvent::OrderRejected(_) | OrderEvent::OrderCommandRefused(_) => None,
    }
}
