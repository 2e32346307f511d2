//! Messages and policies that the tests share. Everything is about order `o-1` unless it says otherwise.

use domain::charge;
use domain::saga;
use schemas::{
    AuthorizePayment, CancelOrder, CapturePayment, CommandId, CommitStock, CustomerId, InventoryCommand,
    InventoryEvent, Operation, OrderCommand, OrderId, OrderLine, PaymentAuthorized, PaymentCaptureFailed,
    PaymentCaptured, PaymentCommand, PaymentDeclined, PaymentEvent, PaymentStuck, PaymentVoided, PlaceOrder,
    RefundOrder, ReleaseStock, ReserveStock, Sku, StockCommitRefused, StockCommitted, StockLine, StockRejected,
    StockReleased, StockReserved, Time, VoidPayment,
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

pub(crate) fn line(text: &str, quantity: i64, unit_price_minor: i64) -> OrderLine {
    OrderLine { sku: sku(text), quantity, unit_price_minor }
}

pub(crate) fn stock_line(text: &str, quantity: i64) -> StockLine {
    StockLine { sku: sku(text), quantity }
}

pub(crate) const CONFIRM_WITHIN_MS: i64 = 30_000;

pub(crate) fn saga_policy() -> saga::Policy {
    saga::Policy { confirm_within_ms: CONFIRM_WITHIN_MS }
}

pub(crate) fn charge_policy() -> charge::Policy {
    charge::Policy { retry_first_ms: 100, retry_max_ms: 1_000, idempotency_window_ms: 10_000, give_up_after_ms: 60_000 }
}

pub(crate) fn place_order() -> PlaceOrder {
    PlaceOrder {
        order_id: order_id(),
        customer_id: CustomerId::new("c-1").unwrap(),
        placed_at: noon().plus_ms(-5_000),
        currency: "EUR".into(),
        lines: vec![line("b", 2, 250), line("a", 1, 100), line("b", 1, 250)],
    }
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
        CancelOrder { order_id: order_id(), command_id: command_id(id) }.into()
    }

    pub(crate) fn refund() -> OrderCommand {
        RefundOrder { order_id: order_id(), command_id: command_id("refund") }.into()
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
        }
        .into()
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
        PaymentVoided { order_id: order_id(), version: 2, at: noon() }.into()
    }

    pub(crate) fn stuck() -> PaymentEvent {
        let (operation, detail) = (Operation::Authorize, "no certain answer".into());
        PaymentStuck { order_id: order_id(), version: 1, at: noon(), operation, detail }.into()
    }

    pub(crate) fn authorize(amount_minor: i64) -> PaymentCommand {
        let customer_id = CustomerId::new("c-1").unwrap();
        AuthorizePayment { order_id: order_id(), customer_id, currency: "EUR".into(), amount_minor }.into()
    }

    pub(crate) fn capture() -> PaymentCommand {
        CapturePayment { order_id: order_id() }.into()
    }

    pub(crate) fn void() -> PaymentCommand {
        VoidPayment { order_id: order_id() }.into()
    }
}
