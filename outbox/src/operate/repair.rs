//! Publishes again what a topic lost.
//!
//! A late message alone would help nobody: consumers judge by sequence, so whoever waits at the gap takes it and then
//! waits for the one after it, and whoever is past it drops it. So a repair publishes **everything from the first missing
//! message on** again, in order, by the relay's own rule: it continues after the last message of the unbroken chain. All
//! it does itself is to set the stored position back to that message, under the leadership, so that no relay overwrites
//! it; a relay then takes over, reads on from there, finds the chain broken, and publishes the rest. If anything crashes
//! in between, the next take-over does the same. What the table no longer holds cannot be repaired.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use serde::Serialize;
use tokio::sync::oneshot;
use tokio_postgres::Client;

use super::audit::{AuditReport, FindingKind, LaneAudit};
use super::{Lead, OperateError, lead};
use crate::cut;
use crate::database::Database;
use crate::epochs::Epochs;
use crate::error::OutboxError;
use crate::relay::acked::Acked;
use crate::relay::setback::{Setback, set_back};
use crate::relay::{Relay, RelayConfig};
use crate::sql;
use crate::store::Outbox;

/// How to repair. Made by [`RepairConfig::new`]; the fields may then be changed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RepairConfig {
    /// Any librdkafka properties: brokers, TLS, SASL.
    pub kafka: ClientConfig,
    /// What to do about a relay that leads. Default: refuse.
    pub lead: Lead,
    /// Only tell what would be done.
    pub dry_run: bool,
    /// How long nothing may be published before the repair is given up. Default 60 s.
    pub patience: Duration,
}

impl RepairConfig {
    /// A repair that gives way to a relay that leads.
    pub fn new(kafka: ClientConfig) -> Self {
        Self { kafka, lead: Lead::OnlyIfFree, dry_run: false, patience: Duration::from_secs(60) }
    }
}

/// A lane that is published again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RepairedLane {
    /// Full topic name.
    pub topic: String,
    /// Partition number.
    pub partition: i32,
    /// Published again: after this sequence.
    pub after: i64,
    /// Published again: up to this sequence.
    pub to: i64,
    /// How many messages that are.
    pub messages: i64,
    /// Why nothing can be done, in words.
    pub refused: Option<String>,
}

/// What a repair did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RepairReport {
    /// Nothing was done.
    pub dry_run: bool,
    /// Every lane with messages that are lost or out of order.
    pub lanes: Vec<RepairedLane>,
}

/// How often positions are looked at while a relay publishes.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A retention that does not end: a hundred years.
const NEVER: Duration = Duration::from_secs(3_155_760_000);

/// Repairs what an audit found. Ends once everything is published again.
///
/// # Errors
/// When another relay leads and may not be ended, or when nothing gets on.
pub async fn repair(
    database: &Database,
    audit: &AuditReport,
    config: RepairConfig,
) -> Result<RepairReport, OperateError> {
    if audit.since.is_some() {
        return Err(OperateError::PartOnly);
    }
    let broken: Vec<&LaneAudit> = audit.lanes.iter().filter(|lane| lane.can_be_repaired()).collect();
    let quoted = sql::quoted_schema(&audit.schema)?;
    let looking = super::connect(database, &audit.schema).await?;
    let mut lanes = Vec::with_capacity(broken.len());
    for lane in &broken {
        lanes.push(plan(&looking, &quoted, lane).await?.0);
    }
    // Nobody is bothered for nothing.
    if config.dry_run || lanes.iter().all(|lane| lane.refused.is_some()) {
        return Ok(RepairReport { dry_run: config.dry_run, lanes });
    }
    let session = lead::take(database, &audit.schema, config.lead).await?;
    lanes.clear();
    let mut targets = Vec::with_capacity(broken.len());
    for lane in broken {
        let (mut repaired, setback) = plan(&looking, &quoted, lane).await?;
        if repaired.refused.is_none() {
            if set_back(&session, &audit.schema, &[setback]).await? {
                targets.push((setback.lane, repaired.to));
            } else {
                repaired.refused = Some("rows were truncated this very moment; audit again".to_owned());
            }
        }
        lanes.push(repaired);
    }
    // From here on any relay may go on; if none is running, the one below does it.
    drop(session);
    publish(database, audit, &config, &looking, &targets).await?;
    Ok(RepairReport { dry_run: false, lanes })
}

/// What is to be published again on a lane, by what the table holds now, and where its position is to be set back to: the
/// last message in order; without one in the topic, to none.
async fn plan(client: &Client, quoted: &str, lane: &LaneAudit) -> Result<(RepairedLane, Setback), OperateError> {
    let text = format!(
        "select l.lane, l.pruned, ({quoted}.outbox_heads(array[l.lane]))[1] from {quoted}.outbox_lanes l \
         join {quoted}.outbox_topics t on t.id = l.topic_id where t.name = $1 and l.partition = $2"
    );
    let row = client
        .query_opt(&text, &[&lane.topic, &lane.partition])
        .await
        .map_err(OutboxError::database("reading a lane"))?
        .ok_or_else(|| OperateError::NoSuchLane(format!("{} partition {}", lane.topic, lane.partition)))?;
    let (number, pruned, head): (i32, i64, i64) = (row.get(0), row.get(1), row.get(2));
    let epochs = cut::read_epochs(client, quoted).await?.remove(&number).unwrap_or_else(Epochs::default);
    let live = epochs.live(lane.in_order_to + 1, head);
    let end = lane.in_order_offset.map_or(0, |offset| offset + 1);
    let holds = Acked { sequence: lane.in_order_to, offset: lane.in_order_offset, end };
    let setback = Setback { lane: number, epoch: epochs.of(lane.in_order_to).0, holds, pruned };
    let refused = refusal(lane, pruned);
    let repaired = RepairedLane {
        topic: lane.topic.clone(),
        partition: lane.partition,
        after: lane.in_order_to,
        to: head,
        messages: live.iter().map(|(first, last)| last - first + 1).sum(),
        refused,
    };
    Ok((repaired, setback))
}

/// Why a lane cannot be repaired. Whoever takes over reads on from the position that is set back: where a record is not
/// the row's, it would begin a new epoch, and everything after it would come under new sequences; where a row is missing,
/// it would stop.
fn refusal(lane: &LaneAudit, pruned: i64) -> Option<String> {
    use FindingKind::{Changed, Expired, Hole, Lost, Phantom, Reordered};
    if pruned > lane.in_order_to {
        let reason = "were truncated since; what is lost before cannot be published again";
        return Some(format!("rows up to sequence {pruned} {reason}"));
    }
    lane.findings.iter().find_map(|finding| match finding.kind {
        Phantom | Changed => Some(format!(
            "it also has {} records, over which a relay would begin a new epoch: see rebase",
            finding.kind.word()
        )),
        Hole => Some("the table itself lacks rows, at which a relay would stop: see rebase".to_owned()),
        Lost | Reordered | Expired => None,
    })
}

/// Runs a relay until every lane is saved as published up to its target, whoever leads.
async fn publish(
    database: &Database,
    audit: &AuditReport,
    config: &RepairConfig,
    looking: &deadpool_postgres::ClientWrapper,
    targets: &[(i32, i64)],
) -> Result<(), OperateError> {
    if targets.is_empty() {
        return Ok(());
    }
    let outbox = Outbox::open_recorded(looking, &audit.schema).await?;
    let mut relay = RelayConfig::new(database.clone(), config.kafka.clone());
    // How long rows stay is up to the relays that run for long: this one truncates nothing.
    relay.retention = NEVER;
    let relay = Relay::new(&outbox, relay);
    let status = relay.status();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = relay.run(async {
        // The sender is dropped to stop it.
        let _ = stopped.await;
    });
    let mut running = std::pin::pin!(running);
    let done = tokio::select! {
        ended = &mut running => return ended.map_err(OperateError::from),
        done = wait_for(looking, &audit.schema, targets, config.patience, || status.report().last_error) => done,
    };
    drop(stop);
    running.await?;
    done
}

/// Waits until the stored positions reach the targets; gives up when they stand still for too long.
async fn wait_for(
    client: &Client,
    schema: &str,
    targets: &[(i32, i64)],
    patience: Duration,
    last_error: impl Fn() -> Option<String>,
) -> Result<(), OperateError> {
    let quoted = sql::quoted_schema(schema)?;
    let text = format!(
        "select count(*) filter (where p.sequence is null or p.sequence < g.target), \
           coalesce(sum(p.sequence), 0)::int8, coalesce(sum(p.kafka_offset), 0)::int8 \
         from unnest($1::int4[], $2::int8[]) as g (lane, target) \
         left join {quoted}.outbox_positions p on p.lane = g.lane"
    );
    let (numbers, heads): (Vec<i32>, Vec<i64>) = targets.iter().copied().unzip();
    let mut moved: ((i64, i64), Instant) = ((0, 0), Instant::now());
    loop {
        let row = client.query_one(&text, &[&numbers, &heads]).await;
        let row = row.map_err(OutboxError::database("looking how far a repair is"))?;
        let left: i64 = row.get(0);
        if left == 0 {
            return Ok(());
        }
        let at = (row.get(1), row.get(2));
        if moved.0 != at {
            moved = (at, Instant::now());
        }
        if moved.1.elapsed() > patience {
            return Err(OperateError::NoProgress {
                seconds: patience.as_secs(),
                lanes: usize::try_from(left).unwrap_or(usize::MAX),
                reason: last_error().unwrap_or_else(|| "see the log of the relay that leads".to_owned()),
            });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
