//! What happens to payments.

use schemas::PaymentEvent;
use serde_json::{Value, json};

use super::{message, micros};

pub(super) fn payment_events() -> [Vec<PaymentEvent>; 8] {
    let authorized = json!({"customer_id": "c-7", "currency": "EUR", "amount_minor": 799, "provider_reference": "auth-1",
        "payment_provider": "eu", "payment_token": "tok_1", "expires_at": micros(900), "attempt": 1});
    let again = json!({"customer_id": "c-7", "currency": "EUR", "amount_minor": 799, "provider_reference": "auth-2",
        "payment_provider": "us", "payment_token": "tok_2", "expires_at": micros(1800), "attempt": 2});
    let declined = json!({"customer_id": "c-7", "currency": "EUR", "amount_minor": 799, "detail": "no funds"});
    let refused = json!({"refund_id": "refund-2", "amount_minor": 9, "outcome": "refused", "detail": "card closed"});
    let stuck = json!({"operation": "Capture", "detail": "no answer", "refused_attempts": 1});
    let stuck_at_first = json!({"operation": "Authorize", "detail": "no answer", "refused_attempts": 0});
    let disputed =
        json!({"dispute_id": "dp-1", "status": "lost", "amount_minor": 300, "currency": "EUR", "fee_minor": 15});
    let action = json!({"customer_id": "c-7", "currency": "EUR", "amount_minor": 799, "provider_reference": "auth-1",
        "payment_provider": "eu", "until": micros(50)});
    let authorized = || ("PaymentAuthorized", authorized.clone());
    [
        payment(
            "paid",
            vec![
                authorized(),
                ("PaymentCaptured", json!({"provider_reference": "capture-1"})),
                (
                    "PaymentRefunded",
                    json!({"refund_id": "back-1", "amount_minor": 150, "provider_reference": "refund-1"}),
                ),
                ("PaymentRefundFailed", refused),
                ("PaymentRefunded", json!({"refund_id": "refund-3", "amount_minor": 5, "provider_reference": "r-3"})),
                ("PaymentRefundReversed", json!({"refund_id": "refund-3", "amount_minor": 5, "detail": "no account"})),
                ("PaymentDisputed", disputed),
            ],
        ),
        payment(
            "voided",
            vec![
                authorized(),
                ("PaymentCaptureFailed", json!({"detail": "card expired"})),
                ("PaymentVoided", json!({})),
            ],
        ),
        payment("declined", vec![("PaymentDeclined", declined.clone())]),
        payment("confirmed", vec![("PaymentActionRequired", action.clone()), authorized()]),
        payment("not confirmed", vec![("PaymentActionRequired", action)]),
        payment("stuck", vec![authorized(), ("PaymentStuck", stuck)]),
        payment(
            "lapsed",
            vec![
                ("PaymentStuck", stuck_at_first.clone()),
                authorized(),
                ("PaymentAuthorized", again),
                ("PaymentVoided", json!({"reason_code": "expired"})),
            ],
        ),
        payment("declined late", vec![("PaymentStuck", stuck_at_first), ("PaymentDeclined", declined)]),
    ]
}

fn payment(order: &str, events: Vec<(&str, Value)>) -> Vec<PaymentEvent> {
    let id = json!({"order_id": order});
    let event = |(version, (name, body))| PaymentEvent::try_from(message(&id, version, name, body)).unwrap();
    (1..).zip(events).map(event).collect()
}
