//! The port's implementation: which request an operation is, and what its answer says, by the table.
//!
//! A look-up retrieves by the stored reference, or lists the refunds of a payment: both are exact. Only an authorization, of which no
//! reference is known yet, is searched for by its key, and the provider's search lags behind by a minute, on bad days by an hour. That
//! is harmless, because the same key protects for a day whatever the search does not see yet: where the look-up finds nothing, the
//! charge sends the same key again, and nothing else.

use std::collections::BTreeMap;

use domain::amounts::to_provider;
use domain::provider::{self, Asked, Directed, Operation, PaymentMethod, Provider, ProviderAnswer, ProviderRequest};
use serde::de::DeserializeOwned;

use crate::account::{Account, AccountError};
use crate::answers::{Verdict, verdict};
use crate::breaker::Told;
use crate::gate::Turned;
use crate::objects::{Page, PaymentIntent, Refund, read};
use crate::options::StripeSettings;
use crate::requests::{self, KEY, Post};
use crate::transport::{Answered, Reply, Transport};
use crate::{found, metrics};

/// The most pages of refunds of one payment: an order cannot have more.
const MOST_PAGES: usize = 10;

/// How long an account rests whose key was refused, in milliseconds: nothing can be done with it meanwhile.
const REFUSED_KEY_REST_MS: i64 = 5_000;

/// The provider with a Stripe-compatible API.
#[derive(Debug)]
pub struct StripeProvider {
    transport: Transport,
    accounts: BTreeMap<String, Account>,
    default_account: String,
    token: Option<String>,
    return_url: Option<String>,
}

impl StripeProvider {
    /// With these accounts; nothing is sent yet.
    ///
    /// # Errors
    /// A key cannot be read, or no HTTP client can be made.
    pub fn open(settings: StripeSettings) -> Result<Self, AccountError> {
        let StripeSettings { url, accounts, default_account, token, return_url, limits } = settings;
        let transport = Transport::new(url, limits.answer_limit)?;
        let open = |(name, source): (String, _)| Ok((name.clone(), Account::open(name, source, &limits)?));
        let accounts = accounts.into_iter().map(open).collect::<Result<BTreeMap<_, _>, AccountError>>()?;
        Ok(StripeProvider { transport, accounts, default_account, token, return_url })
    }

    async fn carry_out(&self, request: &ProviderRequest) -> ProviderAnswer {
        let prepared = self.account_of(request).and_then(|account| Ok((account, self.post_of(request)?)));
        let (account, post) = match prepared {
            Ok(prepared) => prepared,
            Err(answer) => return answer,
        };
        let mut pass = match account.gate.enter().await {
            Ok(pass) => pass,
            Err(turned) => return turned.answer(),
        };
        let reply = self.transport.post(&account.key.now(), &post).await;
        let verdict = account.judge(&reply);
        pass.tell(if reply.came().is_trouble() { Told::Uncertain } else { Told::Answered });
        let answer = match (verdict, request.operation) {
            (Verdict::AsTheObjectSays, _) => match account.said(request, &reply) {
                (answer, true) => self.look(account, request, Some(&answer)).await,
                (answer, false) => answer,
            },
            // What cannot be refunded may have been refunded by us: the list, which is exact, has the last word.
            (Verdict::Refused | Verdict::LookedAt, Operation::Refund) => {
                let refused = ProviderAnswer::Refused { detail: account.words(&reply) };
                self.look_or(account, request, refused).await
            }
            (Verdict::LookedAt, _) => {
                let unknown = ProviderAnswer::Unknown { detail: account.words(&reply) };
                self.look_or(account, request, unknown).await
            }
            (Verdict::Refused | Verdict::Unknown | Verdict::RetryLater | Verdict::RetryLaterLoudly, _) => {
                account.answer(verdict, &reply)
            }
        };
        self.without_secrets(account, request, answer)
    }

    async fn find(&self, request: &ProviderRequest) -> ProviderAnswer {
        let account = match self.account_of(request) {
            Ok(account) => account,
            Err(answer) => return answer,
        };
        let mut pass = match account.gate.enter().await {
            Ok(pass) => pass,
            Err(turned) => return turned.answer(),
        };
        let answer = self.look(account, request, None).await;
        let is_uncertain = matches!(answer, ProviderAnswer::Unknown { .. });
        pass.tell(if is_uncertain { Told::Uncertain } else { Told::Answered });
        self.without_secrets(account, request, answer)
    }

    /// What the provider has of this now, or this where it has nothing.
    async fn look_or(&self, account: &Account, request: &ProviderRequest, nothing: ProviderAnswer) -> ProviderAnswer {
        let found = self.look(account, request, None).await;
        if found == ProviderAnswer::NotFound { nothing } else { found }
    }

    /// What the provider has of this now; an old answer may say under which reference.
    async fn look(&self, account: &Account, request: &ProviderRequest, old: Option<&ProviderAnswer>) -> ProviderAnswer {
        let known = old.and_then(reference_of);
        let held = request.authorization.as_deref();
        let looked = match (request.operation, known, held) {
            (Operation::Authorize, Some(reference), _) | (Operation::Authorize, None, Some(reference)) => {
                self.payment(account, request.operation, reference).await
            }
            (Operation::Authorize, None, None) => self.search(account, request).await,
            (Operation::Capture | Operation::Void, _, Some(reference)) => {
                self.payment(account, request.operation, reference).await
            }
            (Operation::Refund, Some(reference), _) => {
                self.get::<Refund>(account, &requests::refund_of(reference)).await.map(|it| found::of_refund(&it))
            }
            (Operation::Refund, None, Some(reference)) => self.refund(account, request, reference).await,
            (Operation::Capture | Operation::Void | Operation::Refund, _, None) => Err(without_reference()),
        };
        looked.unwrap_or_else(|answer| answer)
    }

    async fn payment(&self, account: &Account, operation: Operation, reference: &str) -> Looked {
        let payment: PaymentIntent = self.get(account, &requests::payment(reference)).await?;
        Ok(found::of_payment(operation, &payment))
    }

    /// What the search finds is looked at once more: its states lag behind as well.
    async fn search(&self, account: &Account, request: &ProviderRequest) -> Looked {
        let page: Page<PaymentIntent> = self.get(account, &requests::payments_by_key(&request.key)).await?;
        let is_ours =
            |payment: &PaymentIntent| payment.metadata.get(KEY).is_some_and(|key| key == request.key.as_str());
        match page.data.into_iter().find(is_ours) {
            Some(payment) => self.payment(account, request.operation, &payment.id).await,
            None => Ok(ProviderAnswer::NotFound),
        }
    }

    async fn refund(&self, account: &Account, request: &ProviderRequest, reference: &str) -> Looked {
        let mut after = None;
        for _ in 0..MOST_PAGES {
            let page: Page<Refund> = self.get(account, &requests::refunds(reference, after.as_deref())).await?;
            let key_of = |refund: &Refund| refund.metadata.as_ref().and_then(|metadata| metadata.get(KEY)).cloned();
            if let Some(refund) =
                page.data.iter().find(|refund| key_of(refund).as_deref() == Some(request.key.as_str()))
            {
                return Ok(found::of_refund(refund));
            }
            match page.data.last().filter(|_| page.has_more) {
                Some(last) => after = Some(last.id.clone()),
                None => return Ok(ProviderAnswer::NotFound),
            }
        }
        Err(ProviderAnswer::Unknown { detail: "the payment has more refunds than are looked through".into() })
    }

    /// An object; or, where there is none to be had, what that says.
    pub(crate) async fn get<T: DeserializeOwned>(&self, account: &Account, path: &str) -> Result<T, ProviderAnswer> {
        let reply = self.transport.get(&account.key.now(), path).await;
        let unknown = |detail| ProviderAnswer::Unknown { detail };
        match (account.judge(&reply), &reply) {
            (Verdict::AsTheObjectSays, Reply::Answered(answered)) => read(&answered.body).map_err(unknown),
            // What a look meets says nothing of the effect.
            (Verdict::AsTheObjectSays | Verdict::Refused | Verdict::LookedAt | Verdict::Unknown, _) => {
                Err(unknown(account.words(&reply)))
            }
            (later @ (Verdict::RetryLater | Verdict::RetryLaterLoudly), _) => Err(account.answer(later, &reply)),
        }
    }

    /// The account that the order names. Where there is none, nothing was done; a new order is refused, and for one that was authorized
    /// somebody has to bring the account back.
    pub(crate) fn account_of(&self, request: &ProviderRequest) -> Result<&Account, ProviderAnswer> {
        let named = request.method.as_ref().map_or("", |method| method.provider.as_str());
        let name = if named.is_empty() { self.default_account.as_str() } else { named };
        self.accounts.get(name).ok_or_else(|| {
            let detail = format!("the provider has no account \"{name}\"");
            match request.operation {
                Operation::Authorize => ProviderAnswer::Refused { detail },
                Operation::Capture | Operation::Void | Operation::Refund => {
                    tracing::warn!(order_id = request.order_id.as_str(), "{detail}: configure it again");
                    ProviderAnswer::RetryLater { detail, after_ms: None }
                }
            }
        })
    }

    fn token_of<'a>(&'a self, request: &'a ProviderRequest) -> Option<&'a str> {
        let given = request.method.as_ref().map(|PaymentMethod { token, .. }| token.as_str());
        given.filter(|token| !token.is_empty()).or(self.token.as_deref())
    }

    fn post_of<'a>(&self, request: &'a ProviderRequest) -> Result<Post<'a>, ProviderAnswer> {
        let refused = |detail: String| ProviderAnswer::Refused { detail };
        let amount = to_provider(&request.currency, request.amount_minor).map_err(|error| refused(error.to_string()));
        let held = request.authorization.as_deref();
        match (request.operation, held) {
            (Operation::Authorize, _) => {
                let token = self.token_of(request);
                let token = token.ok_or_else(|| refused("the order brings no token of a means of payment".into()))?;
                Ok(requests::authorize(request, amount?, token, self.return_url.as_deref()))
            }
            (Operation::Capture, Some(reference)) => Ok(requests::capture(request, amount?, reference)),
            (Operation::Void, Some(reference)) => Ok(requests::cancel(request, reference)),
            (Operation::Refund, Some(reference)) => Ok(requests::refund(request, amount?, reference)),
            (Operation::Capture | Operation::Void | Operation::Refund, None) => Err(without_reference()),
        }
    }

    /// What the provider says goes into events: neither the key nor the token goes along.
    fn without_secrets(&self, account: &Account, request: &ProviderRequest, answer: ProviderAnswer) -> ProviderAnswer {
        let scrub = |detail: String| {
            let detail = account.key.scrubbed(&detail);
            self.token_of(request).map_or(detail.clone(), |token| detail.replace(token, "(the token)"))
        };
        match answer {
            ProviderAnswer::Refused { detail } => ProviderAnswer::Refused { detail: scrub(detail) },
            ProviderAnswer::Unknown { detail } => ProviderAnswer::Unknown { detail: scrub(detail) },
            ProviderAnswer::RetryLater { detail, after_ms } => {
                ProviderAnswer::RetryLater { detail: scrub(detail), after_ms }
            }
            ProviderAnswer::Succeeded { .. }
            | ProviderAnswer::ActionRequired { .. }
            | ProviderAnswer::Pending { .. }
            | ProviderAnswer::NotFound => answer,
        }
    }
}

/// What a look has seen, or why it saw nothing.
type Looked = Result<ProviderAnswer, ProviderAnswer>;

impl Provider for StripeProvider {
    fn execute<'a>(&'a self, request: &'a ProviderRequest) -> Asked<'a> {
        Box::pin(self.carry_out(request))
    }

    fn look_up<'a>(&'a self, request: &'a ProviderRequest) -> Asked<'a> {
        Box::pin(self.find(request))
    }

    fn sightings<'a>(&'a self, request: &'a ProviderRequest) -> provider::Looked<'a> {
        Box::pin(self.look_afterwards(request))
    }

    fn directions<'a>(&'a self, request: &'a ProviderRequest) -> Directed<'a> {
        Box::pin(self.direct(request))
    }
}

impl Account {
    /// What the table says of a reply, and what it means for the account.
    fn judge(&self, reply: &Reply) -> Verdict {
        let verdict = verdict(reply.came());
        metrics::request(&self.name, verdict.label());
        if let Reply::Answered(Answered { status, retry_after_ms, .. }) = reply {
            match (status, retry_after_ms) {
                (401 | 403, _) => {
                    self.key.doubt();
                    self.gate.rest(REFUSED_KEY_REST_MS);
                }
                (_, Some(after_ms)) => self.gate.rest(*after_ms),
                (_, None) => {}
            }
        }
        if verdict == Verdict::RetryLaterLoudly {
            tracing::warn!(account = self.name, "{}", self.words(reply));
        }
        verdict
    }

    /// The answer that a verdict without a look is.
    fn answer(&self, verdict: Verdict, reply: &Reply) -> ProviderAnswer {
        let detail = self.words(reply);
        match verdict {
            Verdict::Refused => ProviderAnswer::Refused { detail },
            Verdict::AsTheObjectSays | Verdict::LookedAt | Verdict::Unknown => ProviderAnswer::Unknown { detail },
            Verdict::RetryLater | Verdict::RetryLaterLoudly => {
                let after_ms = match reply {
                    Reply::Answered(answered) => answered.retry_after_ms,
                    Reply::NotSent(_) | Reply::Lost(_) => None,
                };
                ProviderAnswer::RetryLater { detail, after_ms }
            }
        }
    }

    /// What the object of a reply says, and whether that is an old answer that may not be true any more.
    fn said(&self, request: &ProviderRequest, reply: &Reply) -> (ProviderAnswer, bool) {
        let Reply::Answered(answered) = reply else {
            return (ProviderAnswer::Unknown { detail: self.words(reply) }, false);
        };
        let said = match request.operation {
            Operation::Refund => read::<Refund>(&answered.body).map(|refund| found::of_refund(&refund)),
            operation @ (Operation::Authorize | Operation::Capture | Operation::Void) => {
                read::<PaymentIntent>(&answered.body).map(|payment| found::of_payment(operation, &payment))
            }
        };
        let answer = match said {
            // A request that went well and has no effect: nothing that can be relied on.
            Ok(ProviderAnswer::NotFound) => ProviderAnswer::Unknown { detail: "the provider did nothing".into() },
            Ok(answer) => answer,
            Err(detail) => ProviderAnswer::Unknown { detail },
        };
        let is_old = answered.is_replayed && found::may_change(&answer);
        (answer, is_old)
    }

    fn words(&self, reply: &Reply) -> String {
        self.key.scrubbed(&reply.words())
    }
}

impl Turned {
    pub(crate) fn answer(self) -> ProviderAnswer {
        let detail = match self.why {
            metrics::HeldBack::Breaker => "not sent: the provider has given no certain answer for a while",
            metrics::HeldBack::RetryAfter => "not sent: the provider asks to wait",
            metrics::HeldBack::Full => "not sent: as many requests as may be are under way",
        };
        ProviderAnswer::RetryLater { detail: detail.into(), after_ms: self.after_ms }
    }
}

fn reference_of(answer: &ProviderAnswer) -> Option<&str> {
    match answer {
        ProviderAnswer::Succeeded { reference, .. }
        | ProviderAnswer::ActionRequired { reference, .. }
        | ProviderAnswer::Pending { reference } => Some(reference),
        ProviderAnswer::Refused { .. }
        | ProviderAnswer::Unknown { .. }
        | ProviderAnswer::RetryLater { .. }
        | ProviderAnswer::NotFound => None,
    }
}

/// Our own records are incomplete: nothing can be asked for, and nothing was.
fn without_reference() -> ProviderAnswer {
    let detail = "not sent: no reference of the authorization is known".into();
    ProviderAnswer::RetryLater { detail, after_ms: None }
}
