//! Calls to the provider that are under way in this process: concurrent, bounded, joined.
//!
//! The rows decide what has to be done (`store`), this only does it. Whatever is lost here (a crash, an abort after the lanes
//! moved) is done again under the same key by whoever owns the lane then.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use domain::charge::{Answer, Call, CallStep, Policy};
use domain::provider::{IdempotencyKey, Provider, ProviderAnswer};
use schemas::{OrderId, Time};
use tokio::task::{AbortHandle, JoinSet};

use super::{Answered, OpenCall, What};
use crate::metrics;
use consumer::Lanes;

/// After this the answer counts as unknown, whatever the provider's client says.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// The calls under way.
pub(super) struct Calls {
    provider: Arc<dyn Provider>,
    policy: Policy,
    /// The most calls under way at once.
    most: usize,
    tasks: JoinSet<Answered>,
    running: HashMap<OrderId, Running>,
    /// Whose calls were answered since the last look for due ones began.
    answered: HashSet<OrderId>,
}

struct Running {
    lane: i32,
    tries: i32,
    key: IdempotencyKey,
    task: AbortHandle,
}

impl Calls {
    pub(super) fn new(provider: Arc<dyn Provider>, policy: Policy, most: usize) -> Self {
        Calls { provider, policy, most, tasks: JoinSet::new(), running: HashMap::new(), answered: HashSet::new() }
    }

    /// Make this call, unless it is not due yet, the very same try is under way, or there is no room: then `due` finds it.
    pub(super) fn start(&mut self, open: OpenCall, lane: i32, now: Time) {
        let call = &open.call;
        if !call.is_due(now, &self.policy) || self.is_full() {
            return;
        }
        let same = |running: &Running| running.key == call.key() && running.tries == call.tries();
        if self.running.get(&call.order_id).is_some_and(same) {
            return;
        }
        let (provider, step) = (self.provider.clone(), call.step(now, &self.policy));
        let (order_id, key, tries) = (call.order_id.clone(), call.key(), call.tries());
        let task = self.tasks.spawn(async move {
            let request = open.call.request();
            let asked = match step {
                CallStep::Execute => provider.execute(&request),
                CallStep::LookUp => provider.look_up(&request),
            };
            let answer = match tokio::time::timeout(CALL_TIMEOUT, asked).await {
                Ok(answer) => answer,
                Err(_) => ProviderAnswer::Unknown { detail: format!("no answer within {CALL_TIMEOUT:?}") },
            };
            metrics::provider_call(open.call.operation.as_str(), answer_name(&answer));
            Answered { what: What::Answer(Answer::to(&open.call, step, answer)), lane, cause: open.cause }
        });
        self.running.insert(order_id, Running { lane, tries, key, task });
    }

    /// The answer to a call that is to be made now, where the provider has it without being asked.
    pub(super) fn answer_at_once(&self, call: &Call, now: Time) -> Option<Answer> {
        let step = call.step(now, &self.policy);
        if step != CallStep::Execute || !call.is_due(now, &self.policy) {
            return None;
        }
        let answer = self.provider.at_once(&call.request(), now)?;
        metrics::provider_call(call.operation.as_str(), answer_name(&answer));
        Some(Answer::to(call, step, answer))
    }

    /// A look for due calls begins: it sees what is committed now.
    pub(super) fn look_begins(&mut self) {
        self.answered.clear();
    }

    /// Make a call that the look has found, unless it was answered since: what the look saw of it is history then.
    pub(super) fn start_found(&mut self, open: OpenCall, lane: i32, now: Time) {
        if !self.answered.contains(&open.call.order_id) {
            self.start(open, lane, now);
        }
    }

    /// The next answer; waits for ever while no call is under way.
    pub(super) async fn next(&mut self) -> Answered {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(answered)) => {
                    if let What::Answer(answer) = &answered.what {
                        self.has_answered(answer);
                    }
                    return answered;
                }
                Some(Err(error)) if error.is_cancelled() => {}
                Some(Err(error)) => {
                    tracing::error!(%error, "a call to the provider ended without an answer; it will be made again");
                    self.running.retain(|_, running| !running.task.is_finished());
                }
                None => std::future::pending().await,
            }
        }
    }

    fn has_answered(&mut self, answer: &Answer) {
        let is_this = |running: &Running| running.key == answer.key && running.tries == answer.tries;
        if self.running.get(&answer.order_id).is_some_and(is_this) {
            self.running.remove(&answer.order_id);
        }
        self.answered.insert(answer.order_id.clone());
    }

    /// Give up the calls of lanes that are not ours any more.
    pub(super) fn keep(&mut self, lanes: &Lanes) {
        self.running.retain(|_, running| {
            let is_kept = lanes.contains(&running.lane);
            if !is_kept {
                running.task.abort();
            }
            is_kept
        });
    }

    pub(super) fn is_full(&self) -> bool {
        self.running.len() >= self.most
    }

    pub(super) fn observe(&self) {
        metrics::provider_open(self.running.len());
    }
}

fn answer_name(answer: &ProviderAnswer) -> &'static str {
    match answer {
        ProviderAnswer::Succeeded { .. } => "succeeded",
        ProviderAnswer::ActionRequired { .. } => "action_required",
        ProviderAnswer::Pending { .. } => "pending",
        ProviderAnswer::Refused { .. } => "refused",
        ProviderAnswer::Unknown { .. } => "unknown",
        ProviderAnswer::RetryLater { .. } => "retry_later",
        ProviderAnswer::NotFound => "not_found",
    }
}
