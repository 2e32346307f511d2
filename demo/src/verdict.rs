//! What the checker says about the topics and tables of a finished run. The only place that calls it.

use std::time::Duration;

use grammar::grouped;
use rdkafka::ClientConfig;
use replay_tool::{CheckConfig, Records, Report};
use schemas::ServiceName;

use crate::error::DemoError;
use crate::scene::Scene;

/// How long the brokers may be silent.
const BROKER_PATIENCE: Duration = Duration::from_secs(30);

/// The checker's findings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Each one thing that must never be; empty is good.
    pub(crate) violations: Vec<String>,
    /// Messages in the dead letter topics.
    pub(crate) dead_lettered: u64,
    /// What was looked at, in words.
    pub(crate) checked: String,
}

/// Asks the checker. By then nothing should be under way any more: what still is, is a violation.
pub(crate) async fn check(scene: &Scene) -> Result<Verdict, DemoError> {
    let mut kafka = ClientConfig::new();
    kafka.set("bootstrap.servers", &scene.brokers);
    let records = Records::Kafka { config: kafka, prefix: scene.topic_prefix.clone(), patience: BROKER_PATIENCE };
    let mut config = CheckConfig::new(records, &scene.database_url);
    for service in ServiceName::ALL {
        scene.schema(service).clone_into(&mut config.tables[service].schema);
    }
    config.statements = vec![scene.statement.clone()];
    config.expect_quiescent = true;
    config.stuck_is_violation = true;
    let report = replay_tool::check(config).await;
    report.map(Verdict::from).map_err(|error| DemoError::Words(format!("the check could not be carried out: {error}")))
}

impl From<Report> for Verdict {
    fn from(report: Report) -> Self {
        let mut violations: Vec<String> = report.violations.iter().map(ToString::to_string).collect();
        let listed = u64::try_from(violations.len()).unwrap_or(u64::MAX);
        if report.violations_found > listed {
            violations.push(format!("and {} more", report.violations_found - listed));
        }
        let (messages, orders) = (grouped(report.messages.read), grouped(report.orders.total()));
        let checked = format!(
            "{messages} messages and the tables of {orders} orders against stock, money, termination, compensation, \
             delivery, rebuild and bad input, in {}.{} s",
            report.elapsed.as_secs(),
            report.elapsed.subsec_millis() / 100
        );
        Self { violations, dead_lettered: report.dead_lettered(), checked }
    }
}
