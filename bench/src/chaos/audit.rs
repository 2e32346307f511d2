//! The end of a run: everything at rest, then acknowledgements against tables, and the checker over all of it.

use std::collections::HashSet;
use std::time::Duration;

use rdkafka::ClientConfig;
use replay_tool::{CheckConfig, Invariant, Records, Report};

use super::load::{Acknowledged, TAG};
use super::site::Site;
use crate::error::{BenchError, Doing, Result};
use crate::measure::connect;
use crate::pipeline::number_of;

/// How long the pipeline may take to come to rest: longer than an order's own deadline.
const SETTLE: Duration = Duration::from_secs(180);
/// How long nothing may come of what the outboxes hold.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often the check is tried, if it cannot be carried out.
const CHECK_TRIES: u32 = 5;
const BEFORE_NEXT_CHECK: Duration = Duration::from_secs(5);

/// What is wrong at the end, by kind; each entry in words.
#[derive(Debug, Default, Clone, serde::Serialize)]
pub(crate) struct Findings {
    /// Something acknowledged or committed has no trace where it should have one.
    pub(crate) lost: Vec<String>,
    /// Something has had its effect more than once, or has half of it.
    pub(crate) doubled: Vec<String>,
    /// An order has not come to its end, or needs a person.
    pub(crate) stuck: Vec<String>,
}

/// What the tables and topics tell.
pub(crate) struct Audit {
    /// What is wrong.
    pub(crate) findings: Findings,
    /// The checker's own report.
    pub(crate) report: Report,
}

/// Waits for rest and looks at everything.
pub(crate) async fn audit(site: &Site, acknowledged: &Acknowledged) -> Result<Audit> {
    let mut kafka = ClientConfig::new();
    kafka.set("bootstrap.servers", site.brokers());
    let records = Records::Kafka { config: kafka, prefix: String::new(), patience: PATIENCE };
    let mut config = CheckConfig::new(records, site.database_url());
    config.statements = Some(site.statement()).filter(|file| file.exists()).into_iter().collect();
    config.expect_quiescent = true;
    config.settle = SETTLE;
    config.patience = PATIENCE;
    let report = checked(config).await?;
    let mut findings = Findings::default();
    for violation in &report.violations {
        findings.of(violation.invariant).push(violation.to_string());
    }
    let listed = u64::try_from(report.violations.len()).unwrap_or(u64::MAX);
    if report.violations_found > listed {
        findings.lost.push(format!("and {} violations that are not listed", report.violations_found - listed));
    }
    if report.dead_lettered() > 0 {
        findings.lost.push(format!("{} dead letters, of a load that sends no bad input", report.dead_lettered()));
    }
    findings.stuck.extend(report.stuck.iter().map(|order| format!("order {order} is stuck")));
    findings.lost.extend(untaken(site, acknowledged).await?);
    Ok(Audit { findings, report })
}

/// A broker that has just come back may still refuse a question that it answers a moment later.
async fn checked(config: CheckConfig) -> Result<Report> {
    let mut tries = 1;
    loop {
        match replay_tool::check(config.clone()).await {
            Err(error) if tries < CHECK_TRIES => {
                super::announce(&format!("the check could not be carried out, and is tried again: {error}"));
                tokio::time::sleep(BEFORE_NEXT_CHECK).await;
                tries += 1;
            }
            outcome => return outcome.map_err(BenchError::other),
        }
    }
}

impl Findings {
    /// The list to which a violation of this invariant belongs.
    fn of(&mut self, invariant: Invariant) -> &mut Vec<String> {
        match invariant {
            Invariant::Delivery | Invariant::Rebuild | Invariant::BadInput => &mut self.lost,
            Invariant::Stock | Invariant::Money | Invariant::Compensation => &mut self.doubled,
            Invariant::Termination => &mut self.stuck,
        }
    }
}

/// Orders that Kafka has acknowledged and of which there is no row: the topics may not know of them either.
async fn untaken(site: &Site, acknowledged: &Acknowledged) -> Result<Vec<String>> {
    let client = connect(site.database_url()).await?;
    let rows = client.query("select order_id from orders.orders", &[]).await.doing("reading the orders' ids")?;
    let known: HashSet<u64> = rows.iter().filter_map(|row| number_of(TAG, row.get::<_, &str>(0).as_bytes())).collect();
    let lost = acknowledged.orders.iter().filter(|number| !known.contains(number));
    Ok(lost.map(|number| format!("order {TAG}-{number:010} was acknowledged by Kafka and has no row")).collect())
}
