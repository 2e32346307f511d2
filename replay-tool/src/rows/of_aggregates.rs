//! State as rows: what a service has to store for an aggregate that its events tell of.

use schemas::{Awaiting, CancelReason, PaymentOperation, Sku, partitioner};
use workers::Timestamptz;
use workers::inventory::stock::{Level, Receipt, Reservation};
use workers::order::saga::{Order, Stage};
use workers::payment::charge::{AuthorizationOutcome, CaptureOutcome, Payment, Posting};

use super::tables::{ContentsRow, OrderRow, PaymentRow, PostingRow, ReceiptRow, ReservationRow, StockRow};

impl OrderRow {
    /// The row of an order, for topics of so many partitions.
    pub(crate) fn of(order: &Order, partitions: i32) -> Self {
        let (awaiting, detail) = match &order.stage {
            Stage::Cancelling { awaiting } => (Some(awaiting_name(*awaiting)), None),
            Stage::Stuck { awaiting, detail } => (Some(awaiting_name(*awaiting)), Some(detail.clone())),
            Stage::Placed
            | Stage::StockReserved
            | Stage::Confirmed
            | Stage::PaymentCaptured
            | Stage::Completed
            | Stage::Cancelled => (None, None),
        };
        let cancellation = order.cancellation.as_ref();
        let command_id = cancellation.and_then(|had| had.command_id.as_ref());
        OrderRow {
            order_id: order.order_id.as_str().to_owned(),
            partition: partitioner::partition_of(order.order_id.as_str().as_bytes(), partitions),
            version: order.version,
            stage: order.stage.as_str().to_owned(),
            awaiting: awaiting.map(str::to_owned),
            detail,
            cancel_reason: cancellation.map(|had| reason_name(had.reason).to_owned()),
            cancel_command_id: command_id.map(|id| id.as_str().to_owned()),
            customer_id: order.customer_id.as_str().to_owned(),
            placed_at: Timestamptz(order.placed_at),
            currency: order.currency.clone(),
            total_minor: order.total_minor,
            content: order.content.as_bytes().to_vec(),
            confirm_by: Timestamptz(order.confirm_by),
            accepted_at: Timestamptz(order.accepted_at),
            changed_at: Timestamptz(order.changed_at),
        }
    }
}

impl ContentsRow {
    /// The row of what was ordered.
    pub(crate) fn of(order: &Order) -> Self {
        ContentsRow {
            order_id: order.order_id.as_str().to_owned(),
            skus: order.lines.iter().map(|line| line.sku.as_str().to_owned()).collect(),
            quantities: order.lines.iter().map(|line| line.quantity).collect(),
            unit_prices_minor: order.lines.iter().map(|line| line.unit_price_minor).collect(),
        }
    }
}

impl ReservationRow {
    /// The row of a reservation.
    pub(crate) fn of(reservation: &Reservation) -> Self {
        let Reservation { order_id, version, status, lines, shortages, decided_at, changed_at } = reservation;
        ReservationRow {
            order_id: order_id.as_str().to_owned(),
            version: *version,
            status: status.as_str().to_owned(),
            skus: lines.iter().map(|line| line.sku.as_str().to_owned()).collect(),
            quantities: lines.iter().map(|line| line.quantity).collect(),
            short_skus: shortages.iter().map(|one| one.sku.as_str().to_owned()).collect(),
            short_requested: shortages.iter().map(|one| one.requested).collect(),
            short_available: shortages.iter().map(|one| one.available).collect(),
            decided_at: Timestamptz(*decided_at),
            changed_at: Timestamptz(*changed_at),
        }
    }
}

impl StockRow {
    /// The row of a SKU's level.
    pub(crate) fn of(sku: &Sku, level: Level) -> Self {
        let Level { version, received, reserved, shipped } = level;
        StockRow { sku: sku.as_str().to_owned(), version, received, reserved, shipped }
    }
}

impl ReceiptRow {
    /// The row of a receipt.
    pub(crate) fn of(receipt: &Receipt) -> Self {
        ReceiptRow {
            sku: receipt.sku.as_str().to_owned(),
            command_id: receipt.command_id.as_str().to_owned(),
            version: receipt.version,
            kind: receipt.kind.as_str().to_owned(),
            pieces: receipt.pieces,
            at: Timestamptz(receipt.at),
        }
    }
}

impl PaymentRow {
    /// The row of a payment.
    pub(crate) fn of(payment: &Payment) -> Self {
        let authorization = payment.authorization.as_ref();
        let (reference, decline) = match authorization.map(|had| &had.outcome) {
            Some(AuthorizationOutcome::Authorized { provider_reference }) => (provider_reference.clone(), None),
            Some(AuthorizationOutcome::Declined { detail }) => (None, Some(detail.clone())),
            None => (None, None),
        };
        let capture = payment.capture.as_ref();
        let (capture_reference, capture_failure) = match capture.map(|had| &had.outcome) {
            Some(CaptureOutcome::Captured { provider_reference }) => (provider_reference.clone(), None),
            Some(CaptureOutcome::Failed { detail }) => (None, Some(detail.clone())),
            None => (None, None),
        };
        let stuck = payment.stuck.as_ref();
        PaymentRow {
            order_id: payment.order_id.as_str().to_owned(),
            version: payment.version,
            status: payment.status().as_str().to_owned(),
            customer_id: authorization.map(|had| had.customer_id.as_str().to_owned()),
            currency: authorization.map(|had| had.currency.clone()),
            amount_minor: authorization.map(|had| had.amount_minor),
            authorization_version: authorization.map(|had| had.version),
            authorization_at: authorization.map(|had| Timestamptz(had.at)),
            authorization_reference: reference,
            decline_detail: decline,
            capture_version: capture.map(|had| had.version),
            capture_at: capture.map(|had| Timestamptz(had.at)),
            capture_reference,
            capture_failure,
            void_version: payment.void.map(|had| had.version),
            void_at: payment.void.map(|had| Timestamptz(had.at)),
            stuck_version: stuck.map(|had| had.version),
            stuck_at: stuck.map(|had| Timestamptz(had.at)),
            stuck_operation: stuck.map(|had| operation_name(had.operation).to_owned()),
            stuck_detail: stuck.map(|had| had.detail.clone()),
        }
    }
}

impl PostingRow {
    /// The row of a posting.
    pub(crate) fn of(posting: &Posting) -> Self {
        PostingRow {
            order_id: posting.order_id.as_str().to_owned(),
            version: posting.version,
            account: posting.account.as_str().to_owned(),
            amount_minor: posting.amount_minor,
            currency: posting.currency.clone(),
        }
    }
}

/// As in the table's constraint.
const fn awaiting_name(awaiting: Awaiting) -> &'static str {
    match awaiting {
        Awaiting::StockReservation => "StockReservation",
        Awaiting::PaymentAuthorization => "PaymentAuthorization",
        Awaiting::PaymentCapture => "PaymentCapture",
        Awaiting::StockCommit => "StockCommit",
        Awaiting::PaymentVoid => "PaymentVoid",
        Awaiting::StockRelease => "StockRelease",
    }
}

const fn reason_name(reason: CancelReason) -> &'static str {
    match reason {
        CancelReason::OutOfStock => "OutOfStock",
        CancelReason::PaymentDeclined => "PaymentDeclined",
        CancelReason::DeadlinePassed => "DeadlinePassed",
        CancelReason::Requested => "Requested",
        CancelReason::CaptureFailed => "CaptureFailed",
    }
}

const fn operation_name(operation: PaymentOperation) -> &'static str {
    match operation {
        PaymentOperation::Authorize => "authorize",
        PaymentOperation::Capture => "capture",
        PaymentOperation::Void => "void",
    }
}
