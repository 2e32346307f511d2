//! The names of the wire's enums in the database: those of the Avro symbols.

use schemas::{Awaiting, CancelReason};

/// The name of what an order waits for.
pub(super) const fn awaiting_name(awaiting: Awaiting) -> &'static str {
    match awaiting {
        Awaiting::StockReservation => "StockReservation",
        Awaiting::PaymentAuthorization => "PaymentAuthorization",
        Awaiting::PaymentCapture => "PaymentCapture",
        Awaiting::StockCommit => "StockCommit",
        Awaiting::PaymentVoid => "PaymentVoid",
        Awaiting::StockRelease => "StockRelease",
    }
}

/// What has this name.
pub(super) fn awaiting_named(name: &str) -> Option<Awaiting> {
    [
        Awaiting::StockReservation,
        Awaiting::PaymentAuthorization,
        Awaiting::PaymentCapture,
        Awaiting::StockCommit,
        Awaiting::PaymentVoid,
        Awaiting::StockRelease,
    ]
    .into_iter()
    .find(|one| awaiting_name(*one) == name)
}

/// The name of a reason to undo an order.
pub(super) const fn reason_name(reason: CancelReason) -> &'static str {
    match reason {
        CancelReason::OutOfStock => "OutOfStock",
        CancelReason::PaymentDeclined => "PaymentDeclined",
        CancelReason::DeadlinePassed => "DeadlinePassed",
        CancelReason::Requested => "Requested",
        CancelReason::CaptureFailed => "CaptureFailed",
    }
}

/// The reason of this name.
pub(super) fn reason_named(name: &str) -> Option<CancelReason> {
    [
        CancelReason::OutOfStock,
        CancelReason::PaymentDeclined,
        CancelReason::DeadlinePassed,
        CancelReason::Requested,
        CancelReason::CaptureFailed,
    ]
    .into_iter()
    .find(|one| reason_name(*one) == name)
}
