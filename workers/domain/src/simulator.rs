//! A payment provider that is simulated: what it does is a function of a seed and the request, never of chance or memory.
//!
//! Whether an order's card is good depends on (seed, order, operation); whether a try goes wrong on (seed, key, try). So a
//! restarted process, or another instance, meets the same provider, and "was it done?" is answered by going through the
//! tries again: done is what a try before this one did. Its statement is evidence of its own of what it did.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::provider::{Operation, ProviderAnswer, ProviderRequest};
use crate::statement::StatementOutcome;

/// How the simulated provider behaves. Shares are parts of a million; all faults are off unless asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimulatorConfig {
    /// Two providers with the same seed do the same.
    pub seed: u64,
    /// Of authorizations, how many are refused for good.
    pub decline_per_million: u32,
    /// An authorization above this amount is refused for good, in minor units of whatever currency.
    pub decline_above_minor: Option<i64>,
    /// Of captures, how many are refused for good.
    pub capture_failure_per_million: u32,
    /// Of voids, how many are refused for good.
    pub void_failure_per_million: u32,
    /// Of refunds, how many are refused for good.
    pub refund_failure_per_million: u32,
    /// Of tries, how many are lost before anything is done.
    pub timeout_before_effect_per_million: u32,
    /// Of tries, how many are done without an answer.
    pub timeout_after_effect_per_million: u32,
    /// Of tries, how many fail with a server error before anything is done.
    pub server_error_per_million: u32,
    /// Of tries, how many are turned away because the key is being worked on.
    pub conflict_per_million: u32,
    /// How many tries of a key can go wrong; the next one goes well.
    pub faulty_tries: i32,
    /// The shortest time to answer, in milliseconds.
    pub latency_min_ms: u64,
    /// The longest time to answer, in milliseconds.
    pub latency_max_ms: u64,
    /// How long a lost answer is waited for, in milliseconds.
    pub timeout_ms: u64,
    /// Where to write what was done, one JSON object per line.
    pub statement: Option<PathBuf>,
    /// For how long an authorization holds, in milliseconds; it says nothing of that unless it is set.
    pub hold_ms: Option<i64>,
    /// What it says after its calls have ended, one JSON object per line: an order and a [`Sighting`](crate::provider::Sighting).
    pub afterwards: Option<PathBuf>,
}

impl Default for SimulatorConfig {
    fn default() -> Self {
        SimulatorConfig {
            seed: 1,
            decline_per_million: 0,
            decline_above_minor: None,
            capture_failure_per_million: 0,
            void_failure_per_million: 0,
            refund_failure_per_million: 0,
            timeout_before_effect_per_million: 0,
            timeout_after_effect_per_million: 0,
            server_error_per_million: 0,
            conflict_per_million: 0,
            faulty_tries: 3,
            latency_min_ms: 0,
            latency_max_ms: 0,
            timeout_ms: 1_000,
            statement: None,
            hold_ms: None,
            afterwards: None,
        }
    }
}

/// What the provider will do about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// How long it takes, in milliseconds.
    pub latency_ms: u64,
    /// What it does, where it does anything that no earlier try of the key did.
    pub effect: Option<StatementOutcome>,
    /// How it goes wrong, if it does.
    pub fault: Option<Fault>,
    /// What it answers, after the effect.
    pub answer: ProviderAnswer,
}

/// The simulated provider.
#[derive(Debug)]
pub struct Simulator {
    config: SimulatorConfig,
}

/// How a try goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is lost before anything is done.
    TimeoutBeforeEffect,
    /// It is done, and its answer is lost.
    TimeoutAfterEffect,
    /// It fails with a server error before anything is done.
    ServerError,
    /// It is turned away because the key is being worked on.
    Conflict,
}

impl Simulator {
    /// A provider that behaves so.
    pub fn new(config: SimulatorConfig) -> Self {
        Simulator { config }
    }

    /// What it will do about a request to execute: the same for the same request, always.
    pub fn plan(&self, request: &ProviderRequest) -> Plan {
        let number = request.sent_before.saturating_add(1);
        let verdict = self.verdict(request);
        let done_before = (1..number).any(|earlier| self.takes_effect(request, earlier));
        let is_done_now = self.takes_effect(request, number) && !done_before;
        let unknown = |detail: &str| ProviderAnswer::Unknown { detail: detail.into() };
        let fault = self.fault(request, number);
        let (latency_ms, answer) = match fault {
            None => (self.latency_ms(request, number), self.answer(request, verdict)),
            Some(Fault::TimeoutBeforeEffect | Fault::TimeoutAfterEffect) => {
                (self.config.timeout_ms, unknown("no answer in time"))
            }
            Some(Fault::ServerError) => (self.latency_ms(request, number), unknown("the provider answered 503")),
            Some(Fault::Conflict) => {
                let detail = "the provider answered 409: the key is being worked on".into();
                (self.latency_ms(request, number), ProviderAnswer::RetryLater { detail, after_ms: None })
            }
        };
        Plan { latency_ms, effect: is_done_now.then_some(verdict), fault, answer }
    }

    /// What it will answer to a look-up.
    pub fn plan_look_up(&self, request: &ProviderRequest) -> Plan {
        let is_done = (1..=request.sent_before).any(|earlier| self.takes_effect(request, earlier));
        let answer = if is_done { self.answer(request, self.verdict(request)) } else { ProviderAnswer::NotFound };
        Plan { latency_ms: self.latency_ms(request, 0), effect: None, fault: None, answer }
    }

    /// Whether the try does what was asked, if no earlier one did.
    fn takes_effect(&self, request: &ProviderRequest, number: i32) -> bool {
        match self.fault(request, number) {
            None | Some(Fault::TimeoutAfterEffect) => true,
            Some(Fault::TimeoutBeforeEffect | Fault::ServerError | Fault::Conflict) => false,
        }
    }

    fn verdict(&self, request: &ProviderRequest) -> StatementOutcome {
        let draw = match request.operation {
            // An order has as many refunds as keys, and a void that was refused may go well at the next attempt.
            Operation::Refund | Operation::Void => self.draw(&[b"verdict", request.key.as_str().as_bytes()]),
            Operation::Authorize | Operation::Capture => {
                self.draw(&[b"verdict", request.order_id.as_str().as_bytes(), operation_bytes(request)])
            }
        };
        let is_refused = match request.operation {
            Operation::Authorize => {
                let is_above = self.config.decline_above_minor.is_some_and(|limit| request.amount_minor > limit);
                is_above || in_share(draw, self.config.decline_per_million)
            }
            Operation::Capture => in_share(draw, self.config.capture_failure_per_million),
            Operation::Void => in_share(draw, self.config.void_failure_per_million),
            Operation::Refund => in_share(draw, self.config.refund_failure_per_million),
        };
        if is_refused { StatementOutcome::Refused } else { StatementOutcome::Succeeded }
    }

    fn answer(&self, request: &ProviderRequest, verdict: StatementOutcome) -> ProviderAnswer {
        match verdict {
            StatementOutcome::Succeeded => {
                let name = self.draw(&[b"reference", request.key.as_str().as_bytes()]);
                ProviderAnswer::Succeeded { reference: format!("sim-{name:016x}"), expires_at: None }
            }
            StatementOutcome::Refused => {
                ProviderAnswer::Refused { detail: format!("{} refused by the issuer", request.operation.as_str()) }
            }
        }
    }

    fn fault(&self, request: &ProviderRequest, number: i32) -> Option<Fault> {
        if number > self.config.faulty_tries {
            return None;
        }
        let shares = [
            (Fault::TimeoutBeforeEffect, self.config.timeout_before_effect_per_million),
            (Fault::TimeoutAfterEffect, self.config.timeout_after_effect_per_million),
            (Fault::ServerError, self.config.server_error_per_million),
            (Fault::Conflict, self.config.conflict_per_million),
        ];
        let draw = self.draw(&[b"fault", request.key.as_str().as_bytes(), &number.to_be_bytes()]) % MILLION;
        let mut below = 0_u64;
        shares.into_iter().find_map(|(fault, share)| {
            below += u64::from(share);
            (draw < below).then_some(fault)
        })
    }

    fn latency_ms(&self, request: &ProviderRequest, number: i32) -> u64 {
        let span = self.config.latency_max_ms.saturating_sub(self.config.latency_min_ms).saturating_add(1);
        let draw = self.draw(&[b"latency", request.key.as_str().as_bytes(), &number.to_be_bytes()]);
        self.config.latency_min_ms.saturating_add(draw % span)
    }

    /// 64 bits that depend on the seed and on these parts, and on nothing else.
    fn draw(&self, parts: &[&[u8]]) -> u64 {
        let mut hash = Sha256::new();
        hash.update(self.config.seed.to_be_bytes());
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let digest: [u8; 32] = hash.finalize().into();
        digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

const MILLION: u64 = 1_000_000;

fn in_share(draw: u64, per_million: u32) -> bool {
    draw % MILLION < u64::from(per_million)
}

fn operation_bytes(request: &ProviderRequest) -> &'static [u8] {
    request.operation.as_str().as_bytes()
}
