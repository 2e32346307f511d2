//! The simulated provider at work: it takes the time that its plan says, and writes down what it does.
//!
//! What it does is planned in `domain::simulator`, as a function of a seed and the request. Absent: any memory of its own.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::provider::{Asked, Looked, Operation, Provider, ProviderAnswer, ProviderRequest, Sighting};
use domain::simulator::{Plan, Simulator, SimulatorConfig};
use domain::statement::StatementLine;
use schemas::{OrderId, Time};

/// A provider that answers by the simulator's plan.
#[derive(Debug)]
pub(crate) struct SimulatedProvider {
    simulator: Simulator,
    hold_ms: Option<i64>,
    afterwards: Option<PathBuf>,
    statement: Option<Statement>,
}

impl SimulatedProvider {
    /// A provider that behaves so.
    ///
    /// # Errors
    /// The statement cannot be opened for appending.
    pub(crate) fn open(config: SimulatorConfig) -> Result<Self, StatementFileError> {
        let statement = config.statement.as_deref().map(Statement::open).transpose()?;
        let (hold_ms, afterwards) = (config.hold_ms, config.afterwards.clone());
        Ok(SimulatedProvider { simulator: Simulator::new(config), hold_ms, afterwards, statement })
    }

    async fn carry_out(&self, request: &ProviderRequest, plan: Plan) -> ProviderAnswer {
        // An effect comes before a lost answer is waited for, and after the time that an answer takes.
        let is_lost = matches!(plan.answer, ProviderAnswer::Unknown { .. });
        if !is_lost {
            pause(plan.latency_ms).await;
        }
        if let (Some(outcome), Some(statement)) = (plan.effect, &self.statement)
            && let Err(error) = statement.append(&StatementLine::of(request, outcome))
        {
            // Without evidence nothing is done.
            return ProviderAnswer::RetryLater { detail: error.to_string(), after_ms: None };
        }
        if is_lost {
            pause(plan.latency_ms).await;
        }
        self.held(request, plan.answer, Time::from(crate::clock::now()))
    }

    /// The answer with the time until which it holds.
    fn held(&self, request: &ProviderRequest, mut answer: ProviderAnswer, now: Time) -> ProviderAnswer {
        if let ProviderAnswer::Succeeded { expires_at, .. } = &mut answer
            && request.operation == Operation::Authorize
        {
            *expires_at = self.hold_ms.map(|ms| now.plus_ms(ms));
        }
        answer
    }
}

impl Provider for SimulatedProvider {
    fn execute<'a>(&'a self, request: &'a ProviderRequest) -> Asked<'a> {
        Box::pin(self.carry_out(request, self.simulator.plan(request)))
    }

    /// Where it takes no time, goes well, and writes nothing down.
    fn at_once(&self, request: &ProviderRequest, now: Time) -> Option<ProviderAnswer> {
        if self.statement.is_some() {
            return None;
        }
        let Plan { latency_ms, fault, answer, .. } = self.simulator.plan(request);
        (latency_ms == 0 && fault.is_none()).then(|| self.held(request, answer, now))
    }

    fn look_up<'a>(&'a self, request: &'a ProviderRequest) -> Asked<'a> {
        Box::pin(self.carry_out(request, self.simulator.plan_look_up(request)))
    }

    /// What its file says of the order.
    fn sightings<'a>(&'a self, request: &'a ProviderRequest) -> Looked<'a> {
        let read = |path: &PathBuf| {
            // Before it has said anything there may be no file.
            if !path.exists() {
                return Ok(Vec::new());
            }
            let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
            let lines = text.lines().map(serde_json::from_str::<Afterwards>);
            let lines: Result<Vec<_>, _> = lines.collect();
            let lines = lines.map_err(|error| format!("{}: {error}", path.display()))?;
            Ok(lines.into_iter().filter(|line| line.order_id == request.order_id).map(|line| line.sighting).collect())
        };
        Box::pin(std::future::ready(self.afterwards.as_ref().map_or(Ok(Vec::new()), read)))
    }
}

/// A line of what the simulated provider says afterwards.
#[derive(Debug, serde::Deserialize)]
struct Afterwards {
    order_id: OrderId,
    #[serde(flatten)]
    sighting: Sighting,
}

async fn pause(ms: u64) {
    if ms > 0 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}

/// The file cannot be opened or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} the provider's statement {path}", path = .path.display())]
pub(crate) struct StatementFileError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// A statement that is being written. Several processes may append to one file: a line is one write.
#[derive(Debug)]
struct Statement {
    path: PathBuf,
    file: File,
}

impl Statement {
    /// Open for appending; created where missing.
    fn open(path: &Path) -> Result<Self, StatementFileError> {
        let opened = OpenOptions::new().create(true).append(true).open(path);
        let file = opened.map_err(|source| StatementFileError { action: "open", path: path.to_owned(), source })?;
        Ok(Statement { path: path.to_owned(), file })
    }

    fn append(&self, line: &StatementLine) -> Result<(), StatementFileError> {
        let failed = |source| StatementFileError { action: "write", path: self.path.clone(), source };
        let mut text = serde_json::to_vec(line).map_err(|error| failed(error.into()))?;
        text.push(b'\n');
        (&self.file).write_all(&text).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use domain::provider::IdempotencyKey;
    use domain::statement::{self, StatementOutcome};
    use schemas::CustomerId;

    use super::*;

    fn request(order: &str, sent_before: i32) -> ProviderRequest {
        let order_id = OrderId::new(order).unwrap();
        ProviderRequest {
            key: IdempotencyKey::new(&order_id, Operation::Authorize, 1),
            order_id,
            operation: Operation::Authorize,
            customer_id: CustomerId::new("c-1").unwrap(),
            currency: "EUR".into(),
            amount_minor: 850,
            authorization: None,
            method: None,
            sent_before,
        }
    }

    #[tokio::test]
    async fn the_statement_has_a_line_per_effect() {
        let path = std::env::temp_dir().join(format!("simulator-{}.jsonl", std::process::id()));
        let config = SimulatorConfig {
            seed: 9,
            timeout_before_effect_per_million: 250_000,
            timeout_after_effect_per_million: 250_000,
            server_error_per_million: 100_000,
            conflict_per_million: 100_000,
            decline_per_million: 100_000,
            timeout_ms: 0,
            statement: Some(path.clone()),
            ..SimulatorConfig::default()
        };
        let mut answers = 0;
        for number in 0..40 {
            // A provider of its own for each order, as after a restart.
            let provider = SimulatedProvider::open(config.clone()).unwrap();
            for sent_before in 0..=3 {
                let request = request(&format!("o-{number}"), sent_before);
                provider.look_up(&request).await;
                let answer = provider.execute(&request).await;
                answers +=
                    i32::from(matches!(answer, ProviderAnswer::Succeeded { .. } | ProviderAnswer::Refused { .. }));
            }
        }
        let lines = statement::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
        std::fs::remove_file(&path).unwrap();
        let orders: BTreeSet<&str> = lines.iter().map(|line| line.order_id.as_str()).collect();
        assert_eq!((lines.len(), orders.len()), (40, 40));
        assert!(lines.iter().any(|line| line.outcome == StatementOutcome::Refused));
        assert!(lines.iter().all(|line| line.operation == "authorize" && line.amount_minor == 850));
        assert!(answers >= 40);
    }
}
