//! What came after the calls of a payment had ended: disputes, and refunds that came back.
//!
//! Listed each time, all of it; what is new in it is the charge's to say. An inquiry (`warning_…`) has moved no money and is none.

use domain::amounts::of_provider;
use domain::provider::{ProviderAnswer, ProviderRequest, Sighting};

use crate::account::Account;
use crate::objects::{Dispute, Page, Refund};
use crate::provider::StripeProvider;
use crate::requests;

impl StripeProvider {
    /// All that the provider says of this payment beside its calls.
    pub(crate) async fn look_afterwards(&self, request: &ProviderRequest) -> Result<Vec<Sighting>, String> {
        let account = self.account_of(request).map_err(in_words)?;
        let Some(reference) = request.authorization.as_deref() else { return Ok(Vec::new()) };
        let _pass = account.gate.enter().await.map_err(|turned| in_words(turned.answer()))?;
        let mut sightings = self.disputes(account, reference).await?;
        let refunds: Page<Refund> = self.get(account, &requests::refunds(reference, None)).await.map_err(in_words)?;
        sightings.extend(refunds.data.iter().filter_map(came_back));
        Ok(sightings)
    }

    async fn disputes(&self, account: &Account, reference: &str) -> Result<Vec<Sighting>, String> {
        let page: Page<Dispute> = self.get(account, &requests::disputes(reference)).await.map_err(in_words)?;
        let moved_money = page.data.iter().filter(|dispute| !dispute.status.starts_with("warning_"));
        moved_money.map(sighting).collect()
    }
}

fn sighting(dispute: &Dispute) -> Result<Sighting, String> {
    let currency = dispute.currency.to_ascii_uppercase();
    let ours = |amount| of_provider(&currency, amount).map_err(|error| error.to_string());
    let status = match dispute.status.as_str() {
        ended @ ("won" | "lost") => ended,
        _ => "opened",
    };
    let fee: i64 = dispute.balance_transactions.iter().map(|movement| movement.fee).sum();
    Ok(Sighting::Disputed {
        dispute_id: dispute.id.clone(),
        status: status.to_owned(),
        amount_minor: ours(dispute.amount)?,
        fee_minor: ours(fee)?,
        currency: currency.clone(),
    })
}

fn came_back(refund: &Refund) -> Option<Sighting> {
    let status = refund.status.as_deref().filter(|status| ["failed", "canceled"].contains(status))?;
    let reason = refund.failure_reason.as_deref().unwrap_or("no reason given");
    Some(Sighting::RefundFailed { reference: refund.id.clone(), detail: format!("the refund is {status}: {reason}") })
}

fn in_words(answer: ProviderAnswer) -> String {
    match answer {
        ProviderAnswer::Refused { detail }
        | ProviderAnswer::Unknown { detail }
        | ProviderAnswer::RetryLater { detail, .. } => detail,
        ProviderAnswer::Succeeded { .. }
        | ProviderAnswer::ActionRequired { .. }
        | ProviderAnswer::Pending { .. }
        | ProviderAnswer::NotFound => "the provider has no word on it".into(),
    }
}
