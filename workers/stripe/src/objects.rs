//! The provider's objects, as much as is read of them. Deliberately not read: `client_secret`, and anything about the card.

use std::collections::BTreeMap;
use std::fmt;

use domain::provider::ActionUrl;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::answers::ErrorNames;

/// A payment: an authorization, and what was taken of it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct PaymentIntent {
    pub(crate) id: String,
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) metadata: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) cancellation_reason: Option<String>,
    #[serde(default)]
    pub(crate) last_payment_error: Option<ErrorBody>,
    #[serde(default)]
    pub(crate) latest_charge: Option<Charge>,
    #[serde(default)]
    next_action: Option<NextAction>,
}

/// What the customer has to do. Other kinds than a redirect (`use_stripe_sdk`) happen in the provider's own form.
#[derive(Clone, Deserialize)]
struct NextAction {
    #[serde(default)]
    redirect_to_url: Option<Redirect>,
}

#[derive(Clone, Deserialize)]
struct Redirect {
    url: String,
}

/// With its address it would stand in logs.
impl fmt::Debug for NextAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NextAction").finish_non_exhaustive()
    }
}

/// A charge: whole where it was asked for (`expand[]`), else its id.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Charge {
    Id(#[expect(dead_code, reason = "only its being a text tells it apart")] String),
    Whole {
        #[serde(default)]
        payment_method_details: Option<MethodDetails>,
    },
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct MethodDetails {
    #[serde(default)]
    card: Option<Card>,
}

#[derive(Debug, Clone, Deserialize)]
struct Card {
    /// Unix seconds.
    #[serde(default)]
    capture_before: Option<i64>,
}

impl PaymentIntent {
    /// Where the customer goes to act; none where the provider's own form sees to it, or the address is none.
    pub(crate) fn action_url(&self) -> Option<ActionUrl> {
        ActionUrl::new(&self.next_action.as_ref()?.redirect_to_url.as_ref()?.url)
    }

    /// When the authorization lapses, in Unix seconds, where the provider says so.
    pub(crate) fn capture_before(&self) -> Option<i64> {
        match self.latest_charge.as_ref()? {
            Charge::Id(_) => None,
            Charge::Whole { payment_method_details } => payment_method_details.as_ref()?.card.as_ref()?.capture_before,
        }
    }
}

/// A refund.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Refund {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) status: Option<String>,
    #[serde(default)]
    pub(crate) metadata: Option<BTreeMap<String, String>>,
    #[serde(default)]
    pub(crate) failure_reason: Option<String>,
}

/// A payment that its customer's bank disputes.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Dispute {
    pub(crate) id: String,
    pub(crate) status: String,
    pub(crate) amount: i64,
    pub(crate) currency: String,
    #[serde(default)]
    pub(crate) balance_transactions: Vec<Movement>,
}

/// A movement of the balance.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Movement {
    #[serde(default)]
    pub(crate) fee: i64,
}

/// A page of a list.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Page<T> {
    pub(crate) data: Vec<T>,
    #[serde(default)]
    pub(crate) has_more: bool,
}

/// What the provider says of an error.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct ErrorBody {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    decline_code: Option<String>,
    #[serde(default)]
    param: Option<String>,
    #[serde(default)]
    message: Option<String>,
}

impl ErrorBody {
    /// Of the body of an answer; empty where it has none.
    pub(crate) fn of(body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Whole {
            error: ErrorBody,
        }
        serde_json::from_slice::<Whole>(body).map(|whole| whole.error).unwrap_or_default()
    }

    pub(crate) fn names(&self) -> ErrorNames<'_> {
        ErrorNames { kind: self.kind.as_deref(), code: self.code.as_deref(), param: self.param.as_deref() }
    }

    /// The provider's words: the code first, since it is what its documentation is searched for.
    pub(crate) fn words(&self) -> String {
        let code = self.decline_code.as_deref().or(self.code.as_deref());
        let parts: Vec<&str> = [code, self.message.as_deref()].into_iter().flatten().collect();
        parts.join(": ")
    }
}

/// An object out of an answer's body.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| format!("the provider's answer cannot be understood: {error}"))
}
