//! Messages and policies that the tests share. Everything is about order `o-1` unless it says otherwise.

use domain::charge;
use domain::saga;
use schemas::{
    AuthorizePayment, CancelOrder, CapturePayment, CommandId, CommitStock, CustomerId, DescribeProduct, HoldOrder,
    InventoryCommand, InventoryEvent, LineQuantity, OrderCommand, OrderId, OrderLine, PaymentActionRequired,
    PaymentAuthorized, PaymentCaptureFailed, PaymentCaptured, PaymentCommand, PaymentDeclined, PaymentDisputed,
    PaymentEvent, PaymentOperation, PaymentRefundFailed, PaymentRefundReversed, PaymentRefunded, PaymentStuck,
    PaymentVoided, PlaceOrder, ReceiveReturn, RedriveDeadLetter, RefundOrder, RefundPayment, RejectOrder, ReleaseOrder,
    ReleaseStock, RequestReturn, ReserveStock, ResolveOrder, RetryOrder, RetryPayment, ReturnStock, ReturnedLine,
    ReturnedStock, ShipOrder, SkipOrderStep, Sku, StockCommitRefused, StockCommitted, StockLine, StockRejected,
    StockReleased, StockReserved, StockReturnRefused, StockReturned, Time, VoidPayment, message_id,
};

/// The present, where it does not matter.
pub(crate) fn noon() -> Time {
    Time::from_micros(1_750_000_000_000_000)
}

pub(crate) fn order_id() -> OrderId {
    OrderId::new("o-1").unwrap()
}

pub(crate) fn sku(text: &str) -> Sku {
    Sku::new(text).unwrap()
}

pub(crate) fn command_id(text: &str) -> CommandId {
    CommandId::new(text).unwrap()
}

pub(crate) fn describe(
    name: &str,
    id: &str,
    title: &str,
    price_minor: i64,
    currency: &str,
    by: Option<&str>,
) -> DescribeProduct {
    let (title, currency, by) = (title.to_owned(), currency.to_owned(), by.map(str::to_owned));
    DescribeProduct { sku: sku(name), command_id: command_id(id), title, price_minor, currency, by, note: None }
}

pub(crate) fn line(text: &str, quantity: i64, unit_price_minor: i64) -> OrderLine {
    OrderLine { sku: sku(text), quantity, unit_price_minor }
}

pub(crate) fn stock_line(text: &str, quantity: i64) -> StockLine {
    StockLine { sku: sku(text), quantity }
}

pub(crate) const CONFIRM_WITHIN_MS: i64 = 30_000;
pub(crate) const SHIP_WITHIN_MS: i64 = 40_000;
pub(crate) const HOLD_WITHIN_MS: i64 = 50_000;
pub(crate) const RETURN_WITHIN_MS: i64 = 60_000;

pub(crate) fn saga_policy() -> saga::Policy {
    saga::Policy {
        confirm_within_ms: CONFIRM_WITHIN_MS,
        ship_within_ms: SHIP_WITHIN_MS,
        hold_within_ms: HOLD_WITHIN_MS,
        return_within_ms: RETURN_WITHIN_MS,
        hold_above_minor: Some(100_000),
        hold_customers: [CustomerId::new("c-listed").unwrap()].into(),
    }
}

/// How long a customer has.
pub(crate) const ACTION_WITHIN_MS: i64 = 20_000;

pub(crate) fn charge_policy() -> charge::Policy {
    charge::Policy {
        retry_first_ms: 100,
        retry_max_ms: 1_000,
        accepted_max_ms: 1_000,
        renew_before_ms: 30_000,
        idempotency_window_ms: 10_000,
        action_within_ms: ACTION_WITHIN_MS,
        action_look_ms: 500,
        give_up_after_ms: 60_000,
    }
}

pub(crate) fn place_order() -> PlaceOrder {
    let lines = vec![line("b", 2, 250), line("a", 1, 100), line("b", 1, 250)];
    PlaceOrder::new(order_id(), CustomerId::new("c-1").unwrap(), noon().plus_ms(-5_000), "EUR", lines)
}

/// The commands of clients.
pub(crate) mod ask {
    use super::*;

    pub(crate) fn place() -> OrderCommand {
        place_order().into()
    }

    pub(crate) fn place_other() -> OrderCommand {
        PlaceOrder { currency: "USD".into(), ..place_order() }.into()
    }

    pub(crate) fn cancel(id: &str) -> OrderCommand {
        CancelOrder::new(order_id(), command_id(id)).into()
    }

    pub(crate) fn refund() -> OrderCommand {
        refund_as("refund")
    }

    pub(crate) fn refund_as(id: &str) -> OrderCommand {
        RefundOrder::all(order_id(), command_id(id)).into()
    }

    pub(crate) fn refund_of(id: &str, amount_minor: i64) -> OrderCommand {
        RefundOrder { amount_minor: Some(amount_minor), ..RefundOrder::all(order_id(), command_id(id)) }.into()
    }

    pub(crate) fn place_on_command() -> OrderCommand {
        PlaceOrder { fulfilment: Some("on_command".into()), ..place_order() }.into()
    }

    pub(crate) fn place_at_shipment() -> OrderCommand {
        let (fulfilment, capture) = (Some("on_command".into()), Some("at_shipment".into()));
        PlaceOrder { fulfilment, capture, ..place_order() }.into()
    }

    pub(crate) fn ship(id: &str) -> OrderCommand {
        ShipOrder {
            order_id: order_id(),
            command_id: command_id(id),
            lines: vec![],
            carrier: Some("a carrier".into()),
            tracking: Some("t-1".into()),
            by: Some("a warehouse".into()),
            note: None,
        }
        .into()
    }

    pub(crate) fn hold(id: &str) -> OrderCommand {
        let (order_id, command_id, reason_code) = (order_id(), command_id(id), "fraud".into());
        HoldOrder { order_id, command_id, reason_code, until: None, by: Some("a service".into()), note: None }.into()
    }

    pub(crate) fn release(id: &str) -> OrderCommand {
        let note = Some("looks good".into());
        ReleaseOrder { order_id: order_id(), command_id: command_id(id), by: Some("a person".into()), note }.into()
    }

    pub(crate) fn reject(id: &str) -> OrderCommand {
        let (order_id, command_id, reason_code) = (order_id(), command_id(id), "fraud".into());
        RejectOrder { order_id, command_id, reason_code, by: Some("a person".into()), note: None }.into()
    }

    pub(crate) fn give_back(id: &str, lines: &[(i32, i64)]) -> OrderCommand {
        let lines = lines.iter().map(|(line, quantity)| LineQuantity { line: *line, quantity: *quantity }).collect();
        let (reason_code, by, note) = (Some("too small".into()), None, None);
        RequestReturn { order_id: order_id(), command_id: command_id(id), lines, reason_code, by, note }.into()
    }

    pub(crate) fn receive(id: &str, return_id: &str, lines: &[(i32, i64, &str)]) -> OrderCommand {
        let line = |(line, quantity, what): &(i32, i64, &str)| ReturnedLine {
            line: *line,
            quantity: *quantity,
            disposition: (*what).to_owned(),
        };
        ReceiveReturn {
            order_id: order_id(),
            command_id: command_id(id),
            return_id: command_id(return_id),
            lines: lines.iter().map(line).collect(),
            refund_minor: None,
            by: None,
            note: None,
        }
        .into()
    }

    pub(crate) fn retry(id: &str, step: Option<&str>) -> OrderCommand {
        let step = step.map(str::to_owned);
        RetryOrder { order_id: order_id(), command_id: command_id(id), step, by: None, note: None }.into()
    }

    pub(crate) fn skip(id: &str, step: Option<&str>) -> OrderCommand {
        let step = step.map(str::to_owned);
        SkipOrderStep { order_id: order_id(), command_id: command_id(id), step, by: None, note: None }.into()
    }

    /// That a letter be said again which is this message, and is or answers the request that came with this version.
    pub(crate) fn redrive(id: &str, message: &str, version: i64, part: Option<&str>) -> OrderCommand {
        let request_id = message_id::of_version("order", order_id().as_str(), version, 1).to_string();
        RedriveDeadLetter {
            order_id: order_id(),
            command_id: command_id(id),
            letter: "inventory.commands.v1-dlt[0]@7".to_owned(),
            message: message.to_owned(),
            request_id,
            part: part.map(command_id),
            by: Some("kim".to_owned()),
            note: Some("the bug is mended".to_owned()),
        }
        .into()
    }

    pub(crate) fn resolve(id: &str, outcome: &str) -> OrderCommand {
        let (order_id, command_id, outcome) = (order_id(), command_id(id), outcome.to_owned());
        ResolveOrder { order_id, command_id, outcome, by: None, note: None }.into()
    }
}

/// What inventory says.
pub(crate) mod stock {
    use super::*;

    pub(crate) fn reserved() -> InventoryEvent {
        let lines = vec![stock_line("a", 1), stock_line("b", 3)];
        StockReserved { order_id: order_id(), version: 1, at: noon(), lines }.into()
    }

    pub(crate) fn rejected() -> InventoryEvent {
        StockRejected { order_id: order_id(), version: 1, at: noon(), shortages: vec![] }.into()
    }

    pub(crate) fn committed() -> InventoryEvent {
        StockCommitted { order_id: order_id(), version: 2, at: noon() }.into()
    }

    pub(crate) fn released() -> InventoryEvent {
        StockReleased { order_id: order_id(), version: 2, at: noon() }.into()
    }

    pub(crate) fn commit_refused() -> InventoryEvent {
        StockCommitRefused { order_id: order_id(), at: noon(), detail: "nothing is reserved".into() }.into()
    }

    pub(crate) fn returned(return_id: &str) -> InventoryEvent {
        let lines = vec![ReturnedStock { sku: sku("b"), restocked: 1, written_off: 0 }];
        StockReturned { order_id: order_id(), version: 3, at: noon(), return_id: command_id(return_id), lines }.into()
    }

    pub(crate) fn return_refused(return_id: &str) -> InventoryEvent {
        let (return_id, detail) = (command_id(return_id), "nothing can come back".into());
        StockReturnRefused { order_id: order_id(), at: noon(), return_id, detail }.into()
    }

    /// That so many pieces can be sold again and so many cannot.
    pub(crate) fn take_back(return_id: &str, lines: &[(&str, i64, i64)]) -> InventoryCommand {
        let line = |(name, restocked, written_off): &(&str, i64, i64)| ReturnedStock {
            sku: sku(name),
            restocked: *restocked,
            written_off: *written_off,
        };
        let lines = lines.iter().map(line).collect();
        ReturnStock { order_id: order_id(), return_id: command_id(return_id), lines }.into()
    }

    pub(crate) fn reserve(lines: &[(&str, i64)]) -> InventoryCommand {
        let lines = lines.iter().map(|(sku, quantity)| stock_line(sku, *quantity)).collect();
        ReserveStock { order_id: order_id(), lines }.into()
    }

    pub(crate) fn commit() -> InventoryCommand {
        CommitStock { order_id: order_id() }.into()
    }

    pub(crate) fn release() -> InventoryCommand {
        ReleaseStock { order_id: order_id() }.into()
    }
}

/// What payment says, and what is asked of it.
pub(crate) mod pay {
    use super::*;

    pub(crate) fn authorized() -> PaymentEvent {
        PaymentAuthorized {
            order_id: order_id(),
            version: 1,
            at: noon(),
            customer_id: CustomerId::new("c-1").unwrap(),
            currency: "EUR".into(),
            amount_minor: 850,
            provider_reference: Some("ref".into()),
            payment_provider: None,
            payment_token: None,
            expires_at: None,
            attempt: 1,
        }
        .into()
    }

    /// The customer has to act, and has so long for that.
    pub(crate) fn action_required() -> PaymentEvent {
        PaymentActionRequired {
            order_id: order_id(),
            version: 1,
            at: noon(),
            customer_id: CustomerId::new("c-1").unwrap(),
            currency: "EUR".into(),
            amount_minor: 850,
            provider_reference: "ref".into(),
            payment_provider: None,
            until: noon().plus_ms(ACTION_WITHIN_MS),
        }
        .into()
    }

    /// The customer has not acted in time.
    pub(crate) fn action_expired() -> PaymentEvent {
        let reason_code = Some("action_expired".into());
        PaymentVoided { order_id: order_id(), version: 2, at: noon(), reason_code }.into()
    }

    pub(crate) fn declined() -> PaymentEvent {
        PaymentDeclined {
            order_id: order_id(),
            version: 1,
            at: noon(),
            customer_id: CustomerId::new("c-1").unwrap(),
            currency: "EUR".into(),
            amount_minor: 850,
            detail: "no funds".into(),
        }
        .into()
    }

    pub(crate) fn captured() -> PaymentEvent {
        PaymentCaptured { order_id: order_id(), version: 2, at: noon(), provider_reference: Some("ref".into()) }.into()
    }

    pub(crate) fn capture_failed() -> PaymentEvent {
        PaymentCaptureFailed { order_id: order_id(), version: 2, at: noon(), detail: "account closed".into() }.into()
    }

    pub(crate) fn voided() -> PaymentEvent {
        PaymentVoided { order_id: order_id(), version: 2, at: noon(), reason_code: None }.into()
    }

    pub(crate) fn expired() -> PaymentEvent {
        PaymentVoided { order_id: order_id(), version: 2, at: noon(), reason_code: Some("expired".into()) }.into()
    }

    pub(crate) fn stuck() -> PaymentEvent {
        let (operation, detail) = (PaymentOperation::Authorize, "no certain answer".into());
        PaymentStuck { order_id: order_id(), version: 1, at: noon(), operation, detail, refused_attempts: 0 }.into()
    }

    pub(crate) fn refunded(refund_id: &str, amount_minor: i64) -> PaymentEvent {
        let (refund_id, provider_reference) = (command_id(refund_id), Some("ref".into()));
        PaymentRefunded { order_id: order_id(), version: 3, at: noon(), refund_id, amount_minor, provider_reference }
            .into()
    }

    pub(crate) fn refund_failed(refund_id: &str, amount_minor: i64, outcome: &str) -> PaymentEvent {
        PaymentRefundFailed {
            order_id: order_id(),
            version: 3,
            at: noon(),
            refund_id: command_id(refund_id),
            amount_minor,
            outcome: outcome.to_owned(),
            detail: "account closed".into(),
        }
        .into()
    }

    pub(crate) fn refund_reversed(refund_id: &str, amount_minor: i64) -> PaymentEvent {
        let (refund_id, detail) = (command_id(refund_id), "account closed".into());
        PaymentRefundReversed { order_id: order_id(), version: 4, at: noon(), refund_id, amount_minor, detail }.into()
    }

    pub(crate) fn disputed(status: &str) -> PaymentEvent {
        PaymentDisputed {
            order_id: order_id(),
            version: 3,
            at: noon(),
            dispute_id: "dp-1".into(),
            status: status.to_owned(),
            amount_minor: 850,
            currency: "EUR".into(),
            fee_minor: 15,
        }
        .into()
    }

    pub(crate) fn authorize(amount_minor: i64) -> PaymentCommand {
        AuthorizePayment {
            order_id: order_id(),
            customer_id: CustomerId::new("c-1").unwrap(),
            currency: "EUR".into(),
            amount_minor,
            payment_provider: None,
            payment_token: None,
        }
        .into()
    }

    pub(crate) fn refund(refund_id: &str, amount_minor: Option<i64>) -> PaymentCommand {
        RefundPayment { order_id: order_id(), refund_id: command_id(refund_id), amount_minor }.into()
    }

    pub(crate) fn retry(id: &str) -> PaymentCommand {
        RetryPayment {
            order_id: order_id(),
            command_id: command_id(id),
            customer_id: CustomerId::new("c-1").unwrap(),
            currency: "EUR".into(),
            amount_minor: 850,
            payment_provider: None,
            payment_token: None,
        }
        .into()
    }

    pub(crate) fn capture() -> PaymentCommand {
        CapturePayment { order_id: order_id() }.into()
    }

    pub(crate) fn void() -> PaymentCommand {
        VoidPayment { order_id: order_id() }.into()
    }
}
