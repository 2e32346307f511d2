//! The commands by which an order asks for its steps and their undoing.
//!
//! One constructor per command, so that a repeated or resumed request is the same message.

use schemas::{
    AuthorizePayment, CapturePayment, CommandId, CommitStock, CustomerId, Message, OrderId, OrderLine, RefundPayment,
    ReleaseStock, ReserveStock, RetryPayment, ReturnStock, ReturnedStock, Sku, StockLine, VoidPayment,
};

use super::aftercare::{Return, ReturnState};
use super::state::Order;
use super::step::Step;
use super::terms::Terms;

/// The refund that undoes an order has this id, as long as nobody asked to try again.
pub(super) const CANCELLATION: &str = "cancellation";

/// The command whose reply is awaited.
pub(super) fn of(order: &Order, step: Step) -> Option<Message> {
    let order_id = order.order_id.clone();
    Some(match step {
        Step::StockReservation => reserve(&order_id, &order.lines),
        Step::PaymentAuthorization => authorize(order),
        Step::PaymentCapture => CapturePayment { order_id }.into(),
        Step::StockCommit => CommitStock { order_id }.into(),
        Step::PaymentVoid => VoidPayment { order_id }.into(),
        Step::PaymentRefund => match order.aftercare.as_ref().and_then(|aftercare| aftercare.refund_under_way()) {
            Some(refund) => self::refund(&order_id, &refund.refund_id, Some(refund.amount_minor)),
            None => refund(&order_id, &undoing_refund(order)?, None),
        },
        Step::StockRelease => ReleaseStock { order_id }.into(),
    })
}

/// Ask for the stock of these lines, as they stand in the order.
pub(super) fn reserve(order_id: &OrderId, lines: &[OrderLine]) -> Message {
    let lines = lines.iter().map(|line| StockLine { sku: line.sku.clone(), quantity: line.quantity }).collect();
    ReserveStock { order_id: order_id.clone(), lines }.into()
}

/// Ask for the authorization of the total.
fn authorize(order: &Order) -> Message {
    let (order_id, customer_id): (OrderId, CustomerId) = (order.order_id.clone(), order.customer_id.clone());
    let (payment_provider, payment_token) = method(order);
    AuthorizePayment {
        order_id,
        customer_id,
        currency: order.currency.clone(),
        amount_minor: order.total_minor,
        payment_provider,
        payment_token,
    }
    .into()
}

/// Ask for what a payment is stuck at once more, before the step itself is asked for.
pub(super) fn retry(order: &Order, command_id: &CommandId) -> Message {
    let (payment_provider, payment_token) = method(order);
    RetryPayment {
        order_id: order.order_id.clone(),
        command_id: command_id.clone(),
        customer_id: order.customer_id.clone(),
        currency: order.currency.clone(),
        amount_minor: order.total_minor,
        payment_provider,
        payment_token,
    }
    .into()
}

/// The account that the order names, and the token.
fn method(order: &Order) -> (Option<String>, Option<String>) {
    let terms = order.terms.as_deref();
    terms.map_or((None, None), |terms: &Terms| (terms.payment_provider.clone(), terms.payment_token.clone()))
}

/// Give back so much, or all that is left.
pub(super) fn refund(order_id: &OrderId, refund_id: &CommandId, amount_minor: Option<i64>) -> Message {
    RefundPayment { order_id: order_id.clone(), refund_id: refund_id.clone(), amount_minor }.into()
}

/// Put what came back where it belongs. The order's lines must be there.
pub(super) fn take_back(order: &Order, returned: &Return) -> Message {
    let mut lines: Vec<ReturnedStock> = Vec::new();
    for one in &returned.received {
        let Some(sku) = sku_of(order, one.line) else { continue };
        let is_restocked = one.disposition == super::returns::RESTOCK;
        let (restocked, written_off) = if is_restocked { (one.quantity, 0) } else { (0, one.quantity) };
        match lines.iter_mut().find(|line| line.sku == *sku) {
            Some(line) => {
                line.restocked = line.restocked.saturating_add(restocked);
                line.written_off = line.written_off.saturating_add(written_off);
            }
            None => lines.push(ReturnedStock { sku: sku.clone(), restocked, written_off }),
        }
    }
    lines.sort_by(|a, b| a.sku.cmp(&b.sku));
    ReturnStock { order_id: order.order_id.clone(), return_id: returned.return_id.clone(), lines }.into()
}

/// The commands that have not been answered beside the order's way: for a refund, and for returns.
pub(super) fn beside(order: &Order) -> impl Iterator<Item = Message> {
    let aftercare = order.aftercare.as_deref();
    let refund = aftercare.and_then(|aftercare| aftercare.refund_under_way());
    let refund = refund.map(|one| self::refund(&order.order_id, &one.refund_id, Some(one.amount_minor)));
    let returns = aftercare.into_iter().flat_map(|aftercare| &aftercare.returns);
    let returns = returns.filter(|one| one.state == ReturnState::Received).map(|one| take_back(order, one));
    refund.into_iter().chain(returns)
}

/// The id of the refund that undoes an order: always there, since the constant is an id.
pub(super) fn undoing_refund(order: &Order) -> Option<CommandId> {
    let tried_again = order.aftercare.as_ref().and_then(|aftercare| aftercare.undoing_refund.clone());
    tried_again.or_else(|| CommandId::new(CANCELLATION).ok())
}

fn sku_of(order: &Order, line: i32) -> Option<&Sku> {
    let index = usize::try_from(line).ok()?.checked_sub(1)?;
    order.lines.get(index).map(|line| &line.sku)
}
