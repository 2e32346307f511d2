//! Looks at what the provider says of a payment now, because somebody thinks that there is news: a webhook did.
//!
//! A webhook is believed in nothing but that it is worth a look. It leaves a row (`payment_looks`) and a notification, which every
//! instance hears; whoever owns the order's lane asks the provider, and hands what is news to the lane, as answers and sightings
//! that are decided like any other. What nobody heard is found by its row, by the clock. The row goes with the first look that
//! found no news, so a crash costs nothing; and where a row is lost, so is no state: a call that is under way is looked up in its
//! own time.
//!
//! Deliberately absent: anything of what a webhook says but the order's id.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use consumer::{Cause, Database, Failure, Lanes};
use domain::charge::{self, Answer, AuthorizationOutcome, CallStep, Input, Payment, Policy, Seen};
use domain::decision::Outcome;
use domain::provider::{IdempotencyKey, Operation, Provider, ProviderAnswer, ProviderRequest};
use outbox::Listening;
use schemas::{OrderId, Time, partitioner};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{Answered, OpenCall, What, store};
use crate::metrics;

/// The most looks under way at once; what does not fit is found by its row.
const MAX_RUNNING: usize = 64;

/// The most hints that wait to be heard; what does not fit is found by its row.
const MAX_HINTS: usize = 256;

/// After this there is no answer, whatever the provider's client says.
const LOOK_TIMEOUT: Duration = Duration::from_secs(30);

/// After news the provider is looked at once more, to see that they have arrived.
const CONFIRM_AFTER_MS: i64 = 2_000;

/// After a look that failed.
const FAILED_AFTER_MS: i64 = 30_000;

/// So many looks a row is worth.
const MAX_LOOKS: i32 = 20;

/// What looks need from outside: a way to the database that no lane transaction waits for, and the orders of whose payments somebody
/// says that there may be news.
pub(crate) struct Lookout {
    database: Database,
    hints: mpsc::Receiver<OrderId>,
    _listening: Listening,
}

impl Lookout {
    /// One that hears what any process says that uses this database.
    pub(crate) fn open(database: Database) -> Self {
        let (give, hints) = mpsc::channel(MAX_HINTS);
        let hear = move |order_id: &str| {
            // An empty one only says that it listens now. Where there is no room, the row is found by the clock.
            let _ = OrderId::new(order_id).map(|order_id| give.try_send(order_id));
        };
        let (config, tls) = database.connector();
        let channel = store::looks_channel(database.schema());
        let _listening = Listening::start(outbox::Database::new(config, tls), &channel, hear);
        Lookout { database, hints, _listening }
    }
}

/// The looks under way.
pub(super) struct Looks {
    provider: Arc<dyn Provider>,
    policy: Policy,
    partitions: i32,
    lookout: Lookout,
    lanes: Lanes,
    tasks: JoinSet<Looked>,
    running: HashSet<OrderId>,
    news: VecDeque<Answered>,
}

/// What a look has found.
struct Looked {
    order_id: OrderId,
    news: Result<Vec<Answered>, String>,
}

impl Looks {
    pub(super) fn new(provider: Arc<dyn Provider>, policy: Policy, partitions: i32, lookout: Lookout) -> Self {
        let (tasks, running, news) = (JoinSet::new(), HashSet::new(), VecDeque::new());
        Looks { provider, policy, partitions, lookout, lanes: Lanes::new(), tasks, running, news }
    }

    /// These lanes are this instance's now.
    pub(super) fn keep(&mut self, lanes: &Lanes) {
        self.lanes.clone_from(lanes);
    }

    /// Look at this order's payment, if it is ours and there is room.
    pub(super) fn start(&mut self, order_id: OrderId) {
        let lane = partitioner::partition_of(order_id.as_str().as_bytes(), self.partitions);
        let is_ours = self.lanes.contains(&lane) && self.running.len() < MAX_RUNNING;
        if !is_ours || !self.running.insert(order_id.clone()) {
            return;
        }
        let (database, provider, policy) = (self.lookout.database.clone(), self.provider.clone(), self.policy);
        self.tasks.spawn(async move {
            let looking = look(&database, provider.as_ref(), &policy, &order_id, lane);
            let news = tokio::time::timeout(LOOK_TIMEOUT, looking).await;
            let news = news.unwrap_or_else(|_| Err(format!("no answer within {LOOK_TIMEOUT:?}")));
            Looked { order_id, news }
        });
    }

    /// The next news; waits for ever while there is none.
    pub(super) async fn next(&mut self) -> Answered {
        loop {
            if let Some(answered) = self.news.pop_front() {
                return answered;
            }
            tokio::select! {
                Some(looked) = self.tasks.join_next() => match looked {
                    Ok(Looked { order_id, news }) => {
                        self.running.remove(&order_id);
                        self.take(&order_id, news);
                    }
                    Err(error) => {
                        tracing::error!(%error, "a look at the provider ended without a word; it is done again");
                        self.running.clear();
                    }
                },
                Some(order_id) = self.lookout.hints.recv() => self.start(order_id),
                else => std::future::pending::<()>().await,
            }
        }
    }

    fn take(&mut self, order_id: &OrderId, news: Result<Vec<Answered>, String>) {
        match news {
            Ok(news) => {
                metrics::look(if news.is_empty() { "nothing" } else { "news" });
                self.news.extend(news);
            }
            Err(reason) => {
                metrics::look("failed");
                tracing::warn!(%order_id, reason, "the provider could not be looked at; it is done again");
            }
        }
    }
}

/// Ask what the provider says, keep what is news, and see to the row.
async fn look(
    database: &Database,
    provider: &dyn Provider,
    policy: &Policy,
    order_id: &OrderId,
    lane: i32,
) -> Result<Vec<Answered>, String> {
    let said = |failure: Failure| failure.to_string();
    let row = store::look_row(database, order_id).await.map_err(said)?;
    let (payment, open) = store::load_one(database, order_id).await.map_err(said)?;
    let found = ask(provider, policy, payment.as_ref(), open.as_ref(), lane).await;
    if let Some((due_at, looks)) = row {
        let again_ms = match &found {
            _ if looks >= MAX_LOOKS => None,
            Ok(news) if news.is_empty() => None,
            Ok(_) => Some(CONFIRM_AFTER_MS),
            Err(_) => Some(FAILED_AFTER_MS),
        };
        let again = again_ms.map(|ms| Time::from(crate::clock::now()).plus_ms(ms));
        store::looked(database, order_id, due_at, again).await.map_err(said)?;
    }
    found
}

/// What is news: a definitive answer to the call that is under way, and whatever the payment does not know yet.
async fn ask(
    provider: &dyn Provider,
    policy: &Policy,
    payment: Option<&Payment>,
    open: Option<&OpenCall>,
    lane: i32,
) -> Result<Vec<Answered>, String> {
    let mut news = Vec::new();
    if let Some(OpenCall { call, cause }) = open {
        let answer = provider.look_up(&call.request()).await;
        match &answer {
            ProviderAnswer::Succeeded { .. } | ProviderAnswer::Refused { .. } => {
                let what = What::Answer(Answer::to(call, CallStep::LookUp, answer));
                news.push(Answered { what, lane, cause: cause.clone() });
            }
            // The call goes on in its own time.
            ProviderAnswer::ActionRequired { .. }
            | ProviderAnswer::Pending { .. }
            | ProviderAnswer::Unknown { .. }
            | ProviderAnswer::RetryLater { .. }
            | ProviderAnswer::NotFound => {}
        }
    }
    let Some((payment, request)) = payment.and_then(|payment| Some((payment, request(payment)?))) else {
        return Ok(news);
    };
    let now = Time::from(crate::clock::now());
    for sighting in provider.sightings(&request).await? {
        let seen = Seen { order_id: payment.order_id.clone(), sighting };
        let call = open.map(|open| &open.call);
        if charge::decide(Some(payment), call, Input::Seen(&seen), now, policy).decision.outcome == Outcome::Applied {
            news.push(Answered { what: What::Seen(seen), lane, cause: Cause::default() });
        }
    }
    Ok(news)
}

/// What tells the provider which payment is meant; none where nothing was ever held there.
fn request(payment: &Payment) -> Option<ProviderRequest> {
    let held = payment.authorization.as_ref()?;
    let AuthorizationOutcome::Authorized { provider_reference: Some(reference) } = &held.outcome else { return None };
    Some(ProviderRequest {
        key: IdempotencyKey::new(&payment.order_id, Operation::Authorize, held.attempt),
        order_id: payment.order_id.clone(),
        operation: Operation::Authorize,
        customer_id: held.customer_id.clone(),
        currency: held.currency.clone(),
        amount_minor: held.amount_minor,
        authorization: Some(reference.clone()),
        method: held.method.clone(),
        sent_before: 1,
    })
}
