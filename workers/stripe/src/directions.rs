//! Where the customer of a payment goes to act: the payment is retrieved, by its reference, each time somebody asks.
//!
//! The address is kept nowhere. Deliberately absent: the provider's own form (`use_stripe_sdk`), which needs no address of ours.

use domain::provider::{Directions, ProviderAnswer, ProviderRequest};

use crate::breaker::Told;
use crate::objects::PaymentIntent;
use crate::provider::StripeProvider;
use crate::requests;

impl StripeProvider {
    /// What the provider says now.
    pub(crate) async fn direct(&self, request: &ProviderRequest) -> Directions {
        let Some(reference) = request.authorization.as_deref() else {
            return Directions::NoActionNeeded;
        };
        let account = match self.account_of(request) {
            Ok(account) => account,
            Err(answer) => return without_payment(answer),
        };
        let mut pass = match account.gate.enter().await {
            Ok(pass) => pass,
            Err(turned) => return without_payment(turned.answer()),
        };
        let found: Result<PaymentIntent, _> = self.get(account, &requests::payment(reference)).await;
        let is_uncertain = matches!(found, Err(ProviderAnswer::Unknown { .. }));
        pass.tell(if is_uncertain { Told::Uncertain } else { Told::Answered });
        found.map_or_else(without_payment, |payment| of_payment(&payment))
    }
}

fn of_payment(payment: &PaymentIntent) -> Directions {
    if payment.status != "requires_action" {
        return Directions::NoActionNeeded;
    }
    payment.action_url().map_or_else(
        || Directions::Refused {
            detail: "the provider gives no address: the customer acts in the provider's own form".into(),
        },
        Directions::Url,
    )
}

/// There is no payment to be had, and why.
fn without_payment(answer: ProviderAnswer) -> Directions {
    match answer {
        ProviderAnswer::Refused { detail } => Directions::Refused { detail },
        ProviderAnswer::Unknown { detail } => Directions::Unavailable { detail, after_ms: None },
        ProviderAnswer::RetryLater { detail, after_ms } => Directions::Unavailable { detail, after_ms },
        ProviderAnswer::Succeeded { .. }
        | ProviderAnswer::ActionRequired { .. }
        | ProviderAnswer::Pending { .. }
        | ProviderAnswer::NotFound => {
            Directions::Unavailable { detail: "the provider has no word on it".into(), after_ms: None }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payment(status: &str, next_action: &str) -> PaymentIntent {
        serde_json::from_str(&format!(r#"{{"id":"pi_1","status":"{status}","next_action":{next_action}}}"#)).unwrap()
    }

    #[test]
    fn a_customer_goes_to_the_address_of_what_waits_and_nowhere_else() {
        let redirect = r#"{"type":"redirect_to_url","redirect_to_url":{"url":"https://bank.example/planted"}}"#;
        let Directions::Url(url) = of_payment(&payment("requires_action", redirect)) else { panic!("no address") };
        assert_eq!(url.expose(), "https://bank.example/planted");
        for ended in ["requires_capture", "succeeded", "canceled", "processing", "requires_payment_method"] {
            assert_eq!(of_payment(&payment(ended, redirect)), Directions::NoActionNeeded, "{ended}");
        }
        let script = r#"{"redirect_to_url":{"url":"javascript:planted"}}"#;
        for other in [r#"{"type":"use_stripe_sdk","use_stripe_sdk":{}}"#, script, "null"] {
            let said = of_payment(&payment("requires_action", other));
            assert!(matches!(said, Directions::Refused { .. }), "{other}: {said:?}");
        }
    }

    #[test]
    fn a_payment_does_not_show_its_address() {
        let redirect = r#"{"redirect_to_url":{"url":"https://bank.example/planted"}}"#;
        let shown = format!("{:?}", payment("requires_action", redirect));
        assert!(!shown.contains("planted"), "{shown}");
    }
}
