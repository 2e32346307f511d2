//! A try of a request that has an effect: what the plan lets go wrong, what is kept under its key, and what is done.
//!
//! It goes on when its caller has gone away, as a server's work does.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::amounts::of_provider;
use domain::provider::{IdempotencyKey, Operation, ProviderAnswer, ProviderRequest};
use domain::simulator::Fault;
use domain::statement::{StatementLine, StatementOutcome};
use schemas::{CustomerId, OrderId};
use serde_json::{Value, json};

use crate::bank::{Done, Returned, Wanted};
use crate::idempotency::{Begun, Kept};
use crate::ledger::outcome_of;
use crate::problem::Problem;
use crate::server::{Inner, Server};

/// What was asked.
#[derive(Debug, Clone)]
pub(crate) struct Try {
    pub(crate) account: String,
    pub(crate) key: String,
    pub(crate) operation: Operation,
    /// The payment of the path, or of the form.
    pub(crate) payment: Option<String>,
    pub(crate) form: BTreeMap<String, String>,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Given {
    /// This.
    Answer { kept: Kept, is_again: bool, retry_after_s: Option<u32> },
    /// The beginning of an answer, and the end of the connection.
    Lost,
}

impl Given {
    fn problem(problem: &Problem) -> Self {
        Given::Answer { kept: kept_of(Err(problem.clone())), is_again: false, retry_after_s: None }
    }
}

impl Try {
    /// Carry it out, in the time that it takes.
    pub(crate) async fn carry_out(self, server: Server) -> Given {
        let behaviour = server.behaviour();
        let begun = server.with(|inner| {
            let number = inner.keys.count(&self.account, &self.key);
            self.request(inner, number).map(|request| (number, request))
        });
        let (number, request) = match begun {
            Ok(begun) => begun,
            Err(problem) => return server.counted("refused", Given::problem(&problem)),
        };
        let (try_number, faulty_tries) = (number.to_string(), behaviour.simulator.faulty_tries);
        if number < faulty_tries && behaviour.falls(behaviour.too_many_per_million, &["429", &self.key, &try_number]) {
            let problem = Problem::new(429, "rate_limit", "Too many requests hit the API too quickly.");
            let retry_after_s = Some(behaviour.retry_after_s);
            let kept = kept_of(Err(problem));
            return server.counted("429", Given::Answer { kept, is_again: false, retry_after_s });
        }
        let plan = server.plan(&request);
        let takes = Duration::from_millis(plan.latency_ms);
        match plan.fault {
            Some(Fault::Conflict) => {
                tokio::time::sleep(takes).await;
                server.counted("409", Given::problem(&in_use()))
            }
            Some(Fault::ServerError) => {
                tokio::time::sleep(takes).await;
                server.counted("503", Given::problem(&of_the_server(503)))
            }
            Some(Fault::TimeoutBeforeEffect) => {
                tokio::time::sleep(takes).await;
                server.counted("lost", Given::Lost)
            }
            Some(Fault::TimeoutAfterEffect) => {
                let is_refused = plan.effect == Some(StatementOutcome::Refused);
                let begun = self.begin(&server);
                self.finish(&server, begun, &request, is_refused);
                tokio::time::sleep(takes).await;
                server.counted("lost", Given::Lost)
            }
            None => {
                let is_refused = matches!(plan.answer, ProviderAnswer::Refused { .. });
                let begun = self.begin(&server);
                tokio::time::sleep(takes).await;
                self.finish(&server, begun, &request, is_refused)
            }
        }
    }

    fn begin(&self, server: &Server) -> Begun {
        server.with(|inner| inner.keys.begin(&self.account, &self.key, &self.fingerprint()))
    }

    fn finish(&self, server: &Server, begun: Begun, request: &ProviderRequest, is_refused: bool) -> Given {
        match begun {
            Begun::InUse => server.counted("409", Given::problem(&in_use())),
            Begun::Differs => {
                let message = "Keys for idempotent requests can only be used with the same parameters.";
                let problem = Problem { kind: "idempotency_error", code: None, ..Problem::new(400, "", message) };
                server.counted("differs", Given::problem(&problem))
            }
            Begun::Again(kept) => server.counted("again", Given::Answer { kept, is_again: true, retry_after_s: None }),
            Begun::Fresh => {
                let kept = self.take_effect(server, request, is_refused);
                server.counted("done", Given::Answer { kept, is_again: false, retry_after_s: None })
            }
        }
    }

    /// Do it, write it down, and keep the answer.
    fn take_effect(&self, server: &Server, request: &ProviderRequest, is_refused: bool) -> Kept {
        let behaviour = server.behaviour();
        let now_ms = server.now_ms();
        server.with(|inner| {
            inner.bank.settle(now_ms);
            let kept = kept_of(self.operate(server, inner, is_refused, now_ms));
            // A request with wrong parameters was never begun: nothing is kept of it.
            if kept.status == 404 || kept.body.pointer("/error/code") == Some(&json!("resource_missing")) {
                inner.keys.forget(&self.account, &self.key);
                return kept;
            }
            let line = StatementLine::of(request, outcome_of(kept.status));
            let text = |name: &str| kept.body.get(name).and_then(Value::as_str);
            // Nothing is held before the customer has acted.
            let written = match (text("status"), text("id")) {
                (Some("requires_action"), Some(id)) => {
                    inner.ledger.await_customer(id, line);
                    Ok(())
                }
                (Some(_) | None, _) => inner.ledger.write(line),
            };
            if let Err(error) = written {
                tracing::error!(%error, "what was done could not be written down");
            }
            let is_hidden = behaviour.falls(behaviour.stored_error_per_million, &["500", &self.key]);
            let kept = if is_hidden { kept_of(Err(of_the_server(500))) } else { kept };
            inner.keys.keep(&self.account, &self.key, &self.fingerprint(), kept.clone());
            kept
        })
    }

    fn operate(&self, server: &Server, inner: &mut Inner, is_refused: bool, now_ms: i64) -> Done {
        let behaviour = server.behaviour();
        let number = |name: &'static str| self.form.get(name).and_then(|text| text.parse::<i64>().ok());
        let id = |kind: &str| format!("{kind}_{:016x}", behaviour.draw(&[kind, &self.account, &self.key]));
        let payment = || self.payment.clone().ok_or_else(|| Problem::parameter("payment_intent"));
        let text = |name: &'static str| self.form.get(name).cloned().ok_or_else(|| Problem::parameter(name));
        match self.operation {
            Operation::Authorize => {
                let id = id("pi");
                let wanted = Wanted {
                    action_url: format!("http://{}/test/act/{id}", server.address()),
                    id,
                    account: self.account.clone(),
                    amount: number("amount")
                        .filter(|amount| *amount > 0)
                        .ok_or_else(|| Problem::parameter("amount"))?,
                    currency: text("currency")?,
                    token: text("payment_method")?,
                    metadata: self.metadata(),
                    is_refused,
                    lapses_ms: now_ms.saturating_add(match inner.bank.holds_of(&self.metadata()) {
                        0 => behaviour.lapses_after_ms,
                        _ => behaviour.lapses_again_after_ms,
                    }),
                };
                inner.bank.authorize(wanted, now_ms)
            }
            Operation::Capture => {
                inner.bank.capture(&self.account, &payment()?, number("amount_to_capture"), is_refused, now_ms)
            }
            Operation::Void => inner.bank.cancel(&self.account, &payment()?, None, now_ms),
            Operation::Refund => {
                let wanted = Returned {
                    id: id("re"),
                    payment: payment()?,
                    amount: number("amount"),
                    metadata: self.metadata(),
                    is_refused,
                    settles_ms: now_ms.saturating_add(behaviour.refund_settles_after_ms),
                };
                inner.bank.refund(&self.account, wanted, now_ms)
            }
        }
    }

    /// The same as the port sees it, for the simulator's plan and the ledger.
    fn request(&self, inner: &Inner, number: i32) -> Result<ProviderRequest, Problem> {
        let payment = self.payment.as_deref().map(|id| inner.bank.payment(&self.account, id)).transpose()?;
        let form = |name: &str| self.form.get(name).cloned();
        let currency = payment.map_or_else(|| form("currency").unwrap_or_default(), |payment| payment.currency.clone());
        let currency = currency.to_ascii_uppercase();
        let asked = form("amount").or_else(|| form("amount_to_capture")).and_then(|text| text.parse().ok());
        let amount = asked.or(payment.map(|payment| payment.amount)).unwrap_or(0);
        let amount_minor = of_provider(&currency, amount).unwrap_or(amount);
        let order_id =
            payment.map_or_else(|| form("metadata[order_id]").unwrap_or_default(), |payment| payment.order_id());
        let (nobody, unnamed) = (|| CustomerId::new("-"), || OrderId::new("-"));
        Ok(ProviderRequest {
            key: named_key(&self.key)?,
            order_id: OrderId::new(order_id).or_else(|_| unnamed()).map_err(|_| Problem::parameter("metadata"))?,
            operation: self.operation,
            customer_id: nobody().map_err(|_| Problem::parameter("customer"))?,
            currency,
            amount_minor,
            authorization: self.payment.clone(),
            method: None,
            sent_before: number,
        })
    }

    fn metadata(&self) -> BTreeMap<String, String> {
        let name = |name: &str| Some(name.strip_prefix("metadata[")?.strip_suffix(']')?.to_owned());
        self.form.iter().filter_map(|(field, value)| Some((name(field)?, value.clone()))).collect()
    }

    fn fingerprint(&self) -> String {
        format!("{} {:?} {:?}", self.operation.as_str(), self.payment, self.form)
    }
}

fn kept_of(done: Done) -> Kept {
    match done {
        Ok(body) => Kept { status: 200, body },
        Err(problem) => Kept { status: problem.status, body: problem.body() },
    }
}

fn named_key(key: &str) -> Result<IdempotencyKey, Problem> {
    serde_json::from_value(Value::String(key.to_owned())).map_err(|_| Problem::parameter("idempotency_key"))
}

fn in_use() -> Problem {
    let message = "There is currently another in-progress request using this Idempotent Key.";
    Problem { kind: "idempotency_error", ..Problem::new(409, "idempotency_key_in_use", message) }
}

fn of_the_server(status: u16) -> Problem {
    Problem { kind: "api_error", code: None, ..Problem::new(status, "", "An unknown error occurred.") }
}
