//! What an object of the provider says of an operation: the answer, and whether it can still change.

use domain::provider::{Operation, ProviderAnswer};
use schemas::Time;

use crate::objects::{PaymentIntent, Refund};

/// What a payment says of an authorization, a capture or a void.
pub(crate) fn of_payment(operation: Operation, payment: &PaymentIntent) -> ProviderAnswer {
    match operation {
        Operation::Authorize => authorized(payment),
        Operation::Capture => captured(payment),
        Operation::Void => voided(payment),
        Operation::Refund => unknown("a payment says nothing of a refund".into()),
    }
}

fn authorized(payment: &PaymentIntent) -> ProviderAnswer {
    match payment.status.as_str() {
        "requires_capture" | "succeeded" => succeeded(payment),
        "requires_action" => ProviderAnswer::ActionRequired { reference: payment.id.clone(), until: None },
        "processing" => ProviderAnswer::Pending { reference: payment.id.clone() },
        // It was confirmed when it was made: without an error of the payment it is somebody else's doing.
        "requires_payment_method" => match &payment.last_payment_error {
            Some(error) => ProviderAnswer::Refused { detail: error.words() },
            None => unknown("the payment waits for a means of payment".into()),
        },
        "canceled" => ProviderAnswer::Refused { detail: cancelled(payment) },
        status => unknown(format!("the payment is {status}")),
    }
}

fn captured(payment: &PaymentIntent) -> ProviderAnswer {
    match payment.status.as_str() {
        "succeeded" => succeeded(payment),
        "processing" => ProviderAnswer::Pending { reference: payment.id.clone() },
        "canceled" => ProviderAnswer::Refused { detail: cancelled(payment) },
        "requires_capture" | "requires_action" | "requires_payment_method" | "requires_confirmation" => {
            ProviderAnswer::NotFound
        }
        status => unknown(format!("the payment is {status}")),
    }
}

fn voided(payment: &PaymentIntent) -> ProviderAnswer {
    match payment.status.as_str() {
        "canceled" => succeeded(payment),
        "succeeded" => ProviderAnswer::Refused { detail: "the payment was captured".into() },
        "requires_capture" | "requires_action" | "requires_payment_method" | "requires_confirmation" | "processing" => {
            ProviderAnswer::NotFound
        }
        status => unknown(format!("the payment is {status}")),
    }
}

/// What a refund says of itself.
pub(crate) fn of_refund(refund: &Refund) -> ProviderAnswer {
    let reference = refund.id.clone();
    match refund.status.as_deref() {
        // Some means of payment have refunds without a state: what is accepted is done.
        Some("succeeded") | None => ProviderAnswer::Succeeded { reference, expires_at: None },
        Some("pending" | "requires_action") => ProviderAnswer::Pending { reference },
        Some(status @ ("failed" | "canceled")) => {
            let reason = refund.failure_reason.as_deref().unwrap_or("no reason given");
            ProviderAnswer::Refused { detail: format!("the refund is {status}: {reason}") }
        }
        Some(status) => unknown(format!("the refund is {status}")),
    }
}

/// Whether an answer given again may be behind what is so now.
pub(crate) fn may_change(answer: &ProviderAnswer) -> bool {
    match answer {
        ProviderAnswer::ActionRequired { .. } | ProviderAnswer::Pending { .. } => true,
        ProviderAnswer::Succeeded { .. }
        | ProviderAnswer::Refused { .. }
        | ProviderAnswer::Unknown { .. }
        | ProviderAnswer::RetryLater { .. }
        | ProviderAnswer::NotFound => false,
    }
}

fn succeeded(payment: &PaymentIntent) -> ProviderAnswer {
    let seconds = payment.capture_before().filter(|_| payment.status == "requires_capture");
    let expires_at = seconds.map(|seconds| Time::from_micros(seconds.saturating_mul(1_000_000)));
    ProviderAnswer::Succeeded { reference: payment.id.clone(), expires_at }
}

fn cancelled(payment: &PaymentIntent) -> String {
    let reason = payment.cancellation_reason.as_deref().unwrap_or("no reason given");
    format!("the payment was cancelled: {reason}")
}

fn unknown(detail: String) -> ProviderAnswer {
    ProviderAnswer::Unknown { detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payment(status: &str) -> PaymentIntent {
        let text = format!(
            r#"{{"id":"pi_1","status":"{status}","latest_charge":{{"id":"ch_1","payment_method_details":
                {{"card":{{"capture_before":1700000000}}}}}},"last_payment_error":{{"code":"card_declined"}}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn name(answer: &ProviderAnswer) -> &'static str {
        match answer {
            ProviderAnswer::Succeeded { .. } => "succeeded",
            ProviderAnswer::ActionRequired { .. } => "action",
            ProviderAnswer::Pending { .. } => "pending",
            ProviderAnswer::Refused { .. } => "refused",
            ProviderAnswer::Unknown { .. } => "unknown",
            ProviderAnswer::RetryLater { .. } => "later",
            ProviderAnswer::NotFound => "not found",
        }
    }

    #[test]
    fn a_payment_s_state_says_something_else_to_each_operation() {
        for (status, authorize, capture, void) in [
            ("requires_capture", "succeeded", "not found", "not found"),
            ("succeeded", "succeeded", "succeeded", "refused"),
            ("canceled", "refused", "refused", "succeeded"),
            ("requires_action", "action", "not found", "not found"),
            ("requires_payment_method", "refused", "not found", "not found"),
            ("processing", "pending", "pending", "not found"),
            ("something_new", "unknown", "unknown", "unknown"),
        ] {
            let says = [Operation::Authorize, Operation::Capture, Operation::Void]
                .map(|operation| name(&of_payment(operation, &payment(status))));
            assert_eq!(says, [authorize, capture, void], "{status}");
        }
    }

    #[test]
    fn an_authorization_says_when_it_lapses_whether_or_not_its_charge_came_whole() {
        let expires = |answer| {
            let ProviderAnswer::Succeeded { expires_at, .. } = answer else { panic!("{answer:?}") };
            expires_at
        };
        let at = Time::from_micros(1_700_000_000_000_000);
        assert_eq!(expires(of_payment(Operation::Authorize, &payment("requires_capture"))), Some(at));
        let bare = r#"{"id":"pi_1","status":"requires_capture","latest_charge":"ch_1"}"#;
        let bare: PaymentIntent = serde_json::from_str(bare).unwrap();
        assert_eq!(expires(of_payment(Operation::Authorize, &bare)), None);
    }

    #[test]
    fn a_refund_can_be_accepted_and_fail_later() {
        let refund = |status: &str| Refund {
            id: "re_1".into(),
            status: Some(status.into()),
            metadata: None,
            failure_reason: Some("lost_or_stolen_card".into()),
        };
        let says = ["succeeded", "pending", "requires_action", "failed", "canceled", "new"]
            .map(|status| name(&of_refund(&refund(status))));
        assert_eq!(says, ["succeeded", "pending", "pending", "refused", "refused", "unknown"]);
    }
}
