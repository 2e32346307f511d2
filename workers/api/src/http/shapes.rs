//! What callers get: the core's types, in the words of the document. Times are RFC 3339, money is in minor units.

use std::collections::BTreeMap;

use domain::charge::{AuthorizationOutcome, CaptureOutcome, Payment, RefundOutcome};
use domain::saga::{self, Order, RefundState, Stage};
use domain::stock::Level;
use schemas::Sku;
use serde::Serialize;
use utoipa::ToSchema;

/// An order as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct OrderShape {
    /// Which order.
    pub(super) order_id: String,
    /// How many events it has; the `id` of the last one.
    pub(super) version: i64,
    /// How far it has come.
    #[schema(example = "confirmed")]
    pub(super) state: &'static str,
    /// Who orders.
    pub(super) customer_id: String,
    /// ISO 4217 code.
    pub(super) currency: String,
    /// Sum over lines and adjustments.
    pub(super) total_minor: i64,
    /// What is ordered.
    pub(super) lines: Vec<LineShape>,
    /// When the customer placed it.
    pub(super) placed_at: String,
    /// When the order service accepted it.
    pub(super) accepted_at: String,
    /// The time of its last event.
    pub(super) changed_at: String,
    /// Until then it is confirmed, or it is undone.
    pub(super) confirm_by: String,
    /// Until when the customer has to act before the payment is authorized, as long as it waits for that.
    pub(super) action_required_until: Option<String>,
    /// Until when it should be shipped, as long as it waits for that.
    pub(super) ship_by: Option<String>,
    /// What it waits for while it is undone, or at which step it is stuck.
    pub(super) awaiting: Option<&'static str>,
    /// Of a stuck order: what the failing service said.
    pub(super) detail: Option<String>,
    /// Why it is or was undone.
    pub(super) cancellation: Option<CancellationShape>,
    /// That somebody holds it.
    pub(super) hold: Option<HoldShape>,
    /// That its goods have left.
    pub(super) shipment: Option<ShipmentShape>,
    /// Money that is given back.
    pub(super) refunds: Vec<RefundShape>,
    /// Goods that come back.
    pub(super) returns: Vec<ReturnShape>,
    /// How much can still be given back; none while it is not paid.
    pub(super) refundable_minor: Option<i64>,
    /// How the goods leave: `automatic` or `on_command`.
    pub(super) fulfilment: &'static str,
    /// When the payment is taken: `at_confirm` or `at_shipment`.
    pub(super) capture: &'static str,
    /// What it carries.
    pub(super) attributes: BTreeMap<String, String>,
}

/// A line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct LineShape {
    /// What.
    pub(super) sku: String,
    /// How many pieces.
    pub(super) quantity: i64,
    /// Price of one piece.
    pub(super) unit_price_minor: i64,
}

/// Why an order is undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct CancellationShape {
    /// The first reason.
    #[schema(example = "OutOfStock")]
    pub(super) reason: String,
    /// The same more precisely, where somebody said it.
    pub(super) code: Option<String>,
    /// The command that asked for it, when one did.
    pub(super) command_id: Option<String>,
}

/// That somebody holds an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct HoldShape {
    /// Why.
    pub(super) reason_code: String,
    /// Until then it is released, or it is undone.
    pub(super) until: String,
}

/// That goods have left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct ShipmentShape {
    /// When the order service heard of it.
    pub(super) at: String,
    /// Who carries it.
    pub(super) carrier: Option<String>,
    /// The carrier's number.
    pub(super) tracking: Option<String>,
}

/// Money that is given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct RefundShape {
    /// The `Idempotency-Key` of its request.
    pub(super) refund_id: String,
    /// How much.
    pub(super) amount_minor: i64,
    /// `requested`, `refunded`, `refused`, `unknown` or `superseded`.
    #[schema(example = "refunded")]
    pub(super) state: &'static str,
    /// In the payment service's words, where it was refused or nobody knows.
    pub(super) detail: Option<String>,
    /// Why.
    pub(super) reason_code: Option<String>,
    /// The return that it is for.
    pub(super) return_id: Option<String>,
    /// When it was asked for.
    pub(super) at: String,
}

/// Goods that come back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct ReturnShape {
    /// The `Idempotency-Key` of its request.
    pub(super) return_id: String,
    /// `requested`, `received`, `taken_back`, `expired` or `refused`.
    #[schema(example = "requested")]
    pub(super) state: &'static str,
    /// Which lines, and how many pieces of each.
    pub(super) lines: Vec<PiecesShape>,
    /// How much is refunded.
    pub(super) refund_minor: i64,
    /// Why.
    pub(super) reason_code: Option<String>,
    /// Until then they come, or it is closed.
    pub(super) close_by: String,
}

/// Pieces of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PiecesShape {
    /// Which line of the order, from 1.
    pub(super) line: i32,
    /// How many pieces.
    pub(super) quantity: i64,
}

impl OrderShape {
    /// Of an order.
    pub(super) fn of(order: &Order) -> Self {
        let (awaiting, detail) = match &order.stage {
            Stage::Cancelling { step } => (Some(step.as_str()), None),
            Stage::Stuck { step, detail } => (Some(step.as_str()), Some(detail.clone())),
            Stage::Placed
            | Stage::StockReserved
            | Stage::Authorized
            | Stage::Confirmed
            | Stage::PaymentCaptured
            | Stage::ReadyToShip
            | Stage::Shipped
            | Stage::StockCommitted
            | Stage::Completed
            | Stage::Cancelled => (None, None),
        };
        let aftercare = order.aftercare.as_deref();
        OrderShape {
            order_id: order.order_id.to_string(),
            version: order.version,
            state: order.stage.as_str(),
            customer_id: order.customer_id.to_string(),
            currency: order.currency.clone(),
            total_minor: order.total_minor,
            lines: order.lines.iter().map(line).collect(),
            placed_at: order.placed_at.to_string(),
            accepted_at: order.accepted_at.to_string(),
            changed_at: order.changed_at.to_string(),
            confirm_by: order.confirm_by.to_string(),
            action_required_until: order.action_until.map(|time| time.to_string()),
            ship_by: order.ship_by.map(|time| time.to_string()),
            awaiting,
            detail,
            cancellation: order.cancellation.as_ref().map(cancellation),
            hold: order
                .hold()
                .map(|hold| HoldShape { reason_code: hold.reason_code.clone(), until: hold.until.to_string() }),
            shipment: aftercare.and_then(|aftercare| aftercare.shipment.as_ref()).map(shipment),
            refunds: aftercare.iter().flat_map(|aftercare| &aftercare.refunds).map(refund).collect(),
            returns: aftercare.iter().flat_map(|aftercare| &aftercare.returns).map(back).collect(),
            refundable_minor: order.is_paid().then(|| order.refundable_minor()),
            fulfilment: order.fulfilment().as_str(),
            capture: order.capture().as_str(),
            attributes: order.attributes(),
        }
    }
}

fn line(line: &schemas::OrderLine) -> LineShape {
    LineShape { sku: line.sku.to_string(), quantity: line.quantity, unit_price_minor: line.unit_price_minor }
}

fn cancellation(had: &saga::Cancellation) -> CancellationShape {
    CancellationShape {
        reason: had.reason.as_str().to_owned(),
        code: had.code.clone(),
        command_id: had.command_id.as_ref().map(ToString::to_string),
    }
}

fn shipment(shipment: &saga::Shipment) -> ShipmentShape {
    ShipmentShape {
        at: shipment.at.to_string(),
        carrier: shipment.carrier.clone(),
        tracking: shipment.tracking.clone(),
    }
}

fn refund(refund: &saga::Refund) -> RefundShape {
    let detail = match &refund.state {
        RefundState::Refused { detail } | RefundState::Unknown { detail } => Some(detail.clone()),
        RefundState::Requested | RefundState::Refunded | RefundState::Superseded => None,
    };
    RefundShape {
        refund_id: refund.refund_id.to_string(),
        amount_minor: refund.amount_minor,
        state: refund.state.as_str(),
        detail,
        reason_code: refund.reason_code.clone(),
        return_id: refund.return_id.as_ref().map(ToString::to_string),
        at: refund.at.to_string(),
    }
}

fn back(back: &saga::Return) -> ReturnShape {
    let pieces = |line: &schemas::LineQuantity| PiecesShape { line: line.line, quantity: line.quantity };
    ReturnShape {
        return_id: back.return_id.to_string(),
        state: back.state.as_str(),
        lines: back.lines.iter().map(pieces).collect(),
        refund_minor: back.refund_minor,
        reason_code: back.reason_code.clone(),
        close_by: back.close_by.to_string(),
    }
}

/// An order's payment as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct PaymentShape {
    /// For which order.
    pub(super) order_id: String,
    /// How many events it has.
    pub(super) version: i64,
    /// `authorized`, `declined`, `captured`, `capture_failed`, `voided` or `stuck`.
    #[schema(example = "captured")]
    pub(super) status: &'static str,
    /// ISO 4217 code.
    pub(super) currency: Option<String>,
    /// How much was authorized.
    pub(super) authorized_minor: i64,
    /// How much was taken.
    pub(super) captured_minor: i64,
    /// How much is, or may be, given back.
    pub(super) refunded_minor: i64,
    /// What is kept: taken and not given back.
    pub(super) kept_minor: i64,
    /// The provider's name for the authorization.
    pub(super) authorization_reference: Option<String>,
    /// The provider's name for the capture.
    pub(super) capture_reference: Option<String>,
    /// What the provider said, where it declined or failed, or what a person has to see to.
    pub(super) detail: Option<String>,
    /// What became of its refunds.
    pub(super) refunds: Vec<PaymentRefundShape>,
    /// What the customer's bank disputes.
    pub(super) disputes: Vec<PaymentDisputeShape>,
    /// Until when the customer has to act before anything is held, as long as it waits for that.
    pub(super) action_required_until: Option<String>,
    /// When what is held lapses by itself, where the provider says so.
    pub(super) expires_at: Option<String>,
}

/// A dispute of the customer's bank.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct PaymentDisputeShape {
    /// The provider's name for it.
    pub(super) dispute_id: String,
    /// `opened`, `won` or `lost`. Show others as they are.
    #[schema(example = "opened")]
    pub(super) status: String,
    /// How much is disputed.
    pub(super) amount_minor: i64,
    /// ISO 4217 code.
    pub(super) currency: String,
    /// What the provider charges for it so far.
    pub(super) fee_minor: i64,
    /// When that was recorded.
    pub(super) at: String,
}

/// What became of a refund.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct PaymentRefundShape {
    /// Which refund.
    pub(super) refund_id: String,
    /// How much.
    pub(super) amount_minor: i64,
    /// `refunded`, `refused`, `unknown` or `reversed`: it was given back, and came back.
    #[schema(example = "refunded")]
    pub(super) outcome: &'static str,
    /// The provider's name for it.
    pub(super) provider_reference: Option<String>,
    /// In whose words it was refused, or what happened.
    pub(super) detail: Option<String>,
    /// When it was recorded.
    pub(super) at: String,
}

impl PaymentShape {
    /// Of a payment.
    pub(super) fn of(payment: &Payment) -> Self {
        let authorization = payment.authorization.as_ref();
        let (authorization_reference, declined) = match authorization.map(|had| had.outcome.clone()) {
            Some(AuthorizationOutcome::Authorized { provider_reference }) => (provider_reference, None),
            Some(AuthorizationOutcome::Declined { detail }) => (None, Some(detail)),
            None => (None, None),
        };
        let (capture_reference, failed, is_captured) = match payment.capture.as_ref().map(|had| had.outcome.clone()) {
            Some(CaptureOutcome::Captured { provider_reference }) => (provider_reference, None, true),
            Some(CaptureOutcome::Failed { detail }) => (None, Some(detail), false),
            None => (None, None, false),
        };
        let amount = authorization.filter(|_| declined.is_none()).map_or(0, |had| had.amount_minor);
        PaymentShape {
            order_id: payment.order_id.to_string(),
            version: payment.version,
            status: payment.status().as_str(),
            action_required_until: payment.awaited_action().map(|action| action.until.to_string()),
            currency: authorization.map(|had| had.currency.clone()),
            authorized_minor: amount,
            captured_minor: if is_captured { amount } else { 0 },
            refunded_minor: payment.refunded_minor(),
            kept_minor: payment.refundable_minor(),
            authorization_reference,
            capture_reference,
            detail: declined.or(failed).or_else(|| payment.stuck.as_ref().map(|stuck| stuck.detail.clone())),
            refunds: payment.refunds.iter().map(payment_refund).collect(),
            disputes: payment.disputes.iter().map(payment_dispute).collect(),
            expires_at: authorization.and_then(|had| had.expires_at).map(|at| at.to_string()),
        }
    }
}

fn payment_dispute(dispute: &domain::charge::Dispute) -> PaymentDisputeShape {
    PaymentDisputeShape {
        dispute_id: dispute.dispute_id.clone(),
        status: dispute.status.clone(),
        amount_minor: dispute.amount_minor,
        currency: dispute.currency.clone(),
        fee_minor: dispute.fee_minor,
        at: dispute.at.to_string(),
    }
}

fn payment_refund(refund: &domain::charge::Refund) -> PaymentRefundShape {
    let (outcome, provider_reference, detail) = match &refund.outcome {
        RefundOutcome::Refunded { provider_reference } => ("refunded", provider_reference.clone(), None),
        RefundOutcome::Refused { detail } => ("refused", None, Some(detail.clone())),
        RefundOutcome::Unknown { detail } => ("unknown", None, Some(detail.clone())),
        RefundOutcome::Reversed { provider_reference, detail, .. } => {
            ("reversed", provider_reference.clone(), Some(detail.clone()))
        }
    };
    PaymentRefundShape {
        refund_id: refund.refund_id.to_string(),
        amount_minor: refund.amount_minor,
        outcome,
        provider_reference,
        detail,
        at: refund.at.to_string(),
    }
}

/// How much there is of a SKU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct StockShape {
    /// Which SKU.
    pub(super) sku: String,
    /// What can still be reserved. Advice: whether an order gets it is inventory's to decide.
    pub(super) available: i64,
    /// All that came in, corrected by adjustments.
    pub(super) received: i64,
    /// Held for orders.
    pub(super) reserved: i64,
    /// Gone to customers.
    pub(super) shipped: i64,
    /// Come back from customers.
    pub(super) returned: i64,
    /// Of what came back, what cannot be sold again.
    pub(super) written_off: i64,
    /// The number of receipts, adjustments and descriptions.
    pub(super) version: i64,
}

impl StockShape {
    /// Of a level. While the read model catches up, a reservation may be there before its receipt.
    pub(super) fn of(sku: &Sku, level: &Level) -> Self {
        StockShape {
            sku: sku.to_string(),
            available: level.available(),
            received: level.received,
            reserved: level.reserved,
            shipped: level.shipped,
            returned: level.returned,
            written_off: level.written_off,
            version: level.version,
        }
    }
}
