//! What an audit reads from the tables: lanes with their ranges, and places where the table itself lacks rows.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_postgres::Client;

use super::AuditConfig;
use crate::cut::read_epochs;
use crate::epochs::Epochs;
use crate::error::OutboxError;
use crate::lanes::Lane;

/// Most places without rows that are looked at.
const MAX_HOLES: i64 = 10_000;

/// A lane and what of it is to be audited.
#[derive(Debug, Clone)]
pub(super) struct LaneRow {
    pub(super) number: Lane,
    pub(super) topic: Arc<str>,
    pub(super) partitions: i32,
    pub(super) partition: i32,
    pub(super) epochs: Epochs,
    pub(super) pruned: i64,
    pub(super) head: i64,
    /// Saved as published up to here.
    pub(super) published: i64,
    /// Offset of that message.
    pub(super) published_offset: Option<i64>,
    /// The range begins after this sequence.
    pub(super) after: i64,
    /// Time of the range's first row.
    pub(super) first_time_ms: Option<i64>,
}

/// Who publishes from this outbox, and its content type.
pub(super) async fn read_identity(
    client: &Client,
    schema: &str,
    quoted: &str,
) -> Result<(String, String), OutboxError> {
    let text = format!("select source, content_type from {quoted}.outbox_identity");
    let row = client.query_opt(&text, &[]).await.map_err(OutboxError::database("reading the outbox's name"))?;
    row.map(|row| (row.get(0), row.get(1))).ok_or_else(|| OutboxError::Schema {
        schema: schema.to_owned(),
        reason: "no program has opened this outbox yet, so there is nothing to compare".to_owned(),
    })
}

/// The lanes chosen, each with its range.
pub(super) async fn read_lanes(
    client: &Client,
    quoted: &str,
    config: &AuditConfig,
) -> Result<Vec<LaneRow>, OutboxError> {
    let failed = || OutboxError::database("reading lanes");
    let epochs = read_epochs(client, quoted).await?;
    let lanes = format!(
        "select l.lane, t.name, t.partitions, l.partition, l.pruned, p.sequence, ({quoted}.outbox_heads(array[l.lane]))[1], \
           p.kafka_offset \
         from {quoted}.outbox_lanes l join {quoted}.outbox_topics t on t.id = l.topic_id \
         left join {quoted}.outbox_positions p on p.lane = l.lane order by t.name, l.partition"
    );
    let firsts = format!(
        "select l.lane, f.sequence, (extract(epoch from f.time) * 1000)::int8 from {quoted}.outbox_lanes l \
         cross join lateral (select m.sequence, m.time from {quoted}.outbox_messages m \
           where m.lane = l.lane and m.sequence > l.pruned and ($1::timestamptz is null or m.time >= $1) \
           order by m.lane, m.sequence limit 1) f"
    );
    let mut first = HashMap::new();
    for row in client.query(&firsts, &[&config.since]).await.map_err(failed())? {
        first.insert(row.get::<_, Lane>(0), (row.get::<_, i64>(1), row.get::<_, i64>(2)));
    }
    let rows = client.query(&lanes, &[]).await.map_err(failed())?;
    let rows = rows.iter().filter_map(|row| {
        let (number, partition): (Lane, i32) = (row.get(0), row.get(3));
        let topic: &str = row.get(1);
        if !config.selection.holds(topic, partition) {
            return None;
        }
        let (pruned, head): (i64, Option<i64>) = (row.get(4), row.get(6));
        let head = head.unwrap_or(0);
        let in_range = first.get(&number);
        // Without a row in the range there is nothing to compare, whatever the topic holds.
        let after = in_range.map_or(head.max(pruned), |(sequence, _)| (sequence - 1).max(pruned));
        Some(LaneRow {
            number,
            topic: Arc::from(topic),
            partitions: row.get(2),
            partition,
            epochs: epochs.get(&number).cloned().unwrap_or_default(),
            pruned,
            head,
            published: row.get::<_, Option<i64>>(5).unwrap_or(0),
            published_offset: row.get(7),
            after,
            first_time_ms: in_range.map(|(_, time)| *time),
        })
    });
    Ok(rows.collect())
}

/// Sequences that the table itself lacks, although they were handed out and not voided or truncated: rows were deleted,
/// or written past this crate.
pub(super) async fn read_holes(
    client: &Client,
    quoted: &str,
    config: &AuditConfig,
) -> Result<HashMap<Lane, Vec<(i64, i64)>>, OutboxError> {
    if config.since.is_some() {
        return Ok(HashMap::new());
    }
    let text = format!(
        "select g.lane, g.before + 1, g.sequence - 1 from ( \
           select m.lane, m.sequence, \
             lag(m.sequence, 1, l.pruned) over (partition by m.lane order by m.sequence) as before \
           from {quoted}.outbox_messages m join {quoted}.outbox_lanes l on l.lane = m.lane and m.sequence > l.pruned) g \
         where g.sequence > g.before + 1 order by 1, 2 limit {MAX_HOLES}"
    );
    let epochs = read_epochs(client, quoted).await?;
    let none = Epochs::default();
    let mut holes: HashMap<Lane, Vec<(i64, i64)>> = HashMap::new();
    for row in client.query(&text, &[]).await.map_err(OutboxError::database("looking for missing rows"))? {
        let lane: Lane = row.get(0);
        let live = epochs.get(&lane).unwrap_or(&none).live(row.get(1), row.get(2));
        if !live.is_empty() {
            holes.entry(lane).or_default().extend(live);
        }
    }
    Ok(holes)
}
