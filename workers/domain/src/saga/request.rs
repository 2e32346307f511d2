//! The commands by which an order asks for its steps and their undoing.
//!
//! One constructor per command, so that a repeated or resumed request is the same message.

use schemas::{
    AuthorizePayment, Awaiting, CapturePayment, CommitStock, CustomerId, Message, OrderId, OrderLine, ReleaseStock,
    ReserveStock, StockLine, VoidPayment,
};

use super::state::Order;

/// The command whose reply is awaited.
pub(super) fn of(order: &Order, awaiting: Awaiting) -> Message {
    let order_id = order.order_id.clone();
    match awaiting {
        Awaiting::StockReservation => reserve(&order_id, &order.lines),
        Awaiting::PaymentAuthorization => authorize(&order_id, &order.customer_id, &order.currency, order.total_minor),
        Awaiting::PaymentCapture => CapturePayment { order_id }.into(),
        Awaiting::StockCommit => CommitStock { order_id }.into(),
        Awaiting::PaymentVoid => VoidPayment { order_id }.into(),
        Awaiting::StockRelease => ReleaseStock { order_id }.into(),
    }
}

/// Ask for the stock of these lines, as they stand in the order.
pub(super) fn reserve(order_id: &OrderId, lines: &[OrderLine]) -> Message {
    let lines = lines.iter().map(|line| StockLine { sku: line.sku.clone(), quantity: line.quantity }).collect();
    ReserveStock { order_id: order_id.clone(), lines }.into()
}

/// Ask for the authorization of the total.
pub(super) fn authorize(order_id: &OrderId, customer_id: &CustomerId, currency: &str, amount_minor: i64) -> Message {
    AuthorizePayment {
        order_id: order_id.clone(),
        customer_id: customer_id.clone(),
        currency: currency.to_owned(),
        amount_minor,
    }
    .into()
}
