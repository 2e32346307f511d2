//! `accept-gap`: an operator gives up messages that never came, so that a held partition goes on.
//!
//! It only moves the position that the held record is compared with, and, where the log no longer begins before it, the
//! offset to resume at; the daemon finds both within seconds. What was given up is logged, and shows in `verify` for ever.

use clap::Args;
use schemas::{ServiceName, TopicName};
use tokio_postgres::Client;

use crate::inventory::InventoryService;
use crate::order::OrderService;
use crate::payment::PaymentService;
use crate::runtime::{Database, Failure, Service};

/// Which gap to accept: `--epoch` with `--sequence`, or `--offset`, or both.
#[derive(Debug, Clone, Args)]
pub(crate) struct Gap {
    /// The topic, without prefix, for instance inventory.events.v1.
    #[arg(long)]
    topic: String,
    /// The partition that is held.
    #[arg(long)]
    partition: i32,
    /// Epoch of the record that may come next.
    #[arg(long, requires = "sequence", required_unless_present = "offset")]
    epoch: Option<i64>,
    /// Sequence of the record that may come next.
    #[arg(long, requires = "epoch")]
    sequence: Option<i64>,
    /// Offset to resume at: where the log no longer holds the records before it.
    #[arg(long)]
    offset: Option<i64>,
}

/// Make the named record the next one.
pub(crate) async fn accept(
    database: &Database,
    prefix: &str,
    service: ServiceName,
    gap: &Gap,
) -> Result<String, Failure> {
    let topic = TopicName::parse(&gap.topic)
        .ok_or_else(|| Failure::Halt(format!("{:?} is no topic of the pipeline", gap.topic)))?;
    let inputs = match service {
        ServiceName::Order => OrderService::INPUTS,
        ServiceName::Inventory => InventoryService::INPUTS,
        ServiceName::Payment => PaymentService::INPUTS,
    };
    if !inputs.contains(&topic) {
        return Err(Failure::Halt(format!("the {service} service does not read {topic}")));
    }
    let client = database.client().await?;
    let full = format!("{prefix}{topic}");
    let mut done = Vec::new();
    if let Some((epoch, sequence)) = gap.epoch.zip(gap.sequence) {
        done.push(move_position(&client, topic, &full, gap.partition, (epoch, sequence)).await?);
    }
    if let Some(offset) = gap.offset {
        done.push(move_offset(&client, &full, gap.partition, offset).await?);
    }
    let done = done.join("; ");
    tracing::warn!(%service, topic = full, partition = gap.partition, done, "a gap was accepted");
    Ok(format!("{full}[{}]: {done}", gap.partition))
}

async fn move_position(
    client: &Client,
    topic: TopicName,
    full: &str,
    partition: i32,
    (epoch, sequence): (i64, i64),
) -> Result<String, Failure> {
    let writer = topic.written_by().ok_or_else(|| {
        Failure::Halt(format!("anyone writes {topic}: it has no positions, and so no gaps; give only --offset"))
    })?;
    let moved = client
        .query_opt(
            "with old as (select epoch, sequence from inbox_positions \
                          where topic = $1 and partition = $2 and source = $3) \
             insert into inbox_positions as p (topic, partition, source, epoch, sequence) \
             values ($1, $2, $3, $4, $5) \
             on conflict (topic, partition, source) do update \
                 set epoch = excluded.epoch, sequence = excluded.sequence \
                 where (p.epoch, p.sequence) < (excluded.epoch, excluded.sequence) \
             returning (select epoch from old), (select sequence from old)",
            &[&full, &partition, &writer.source(), &epoch, &(sequence - 1)],
        )
        .await?;
    let Some(row) = moved else {
        return Err(Failure::Halt(format!("the position of {} is at or behind that record already", writer.source())));
    };
    let old: (Option<i64>, Option<i64>) = (row.get(0), row.get(1));
    let from = old.0.zip(old.1).map_or("none".to_owned(), |(epoch, sequence)| format!("{epoch}:{sequence}"));
    Ok(format!("position of {} moved from {from}; the record {epoch}:{sequence} may come next", writer.source()))
}

/// A worker that runs notices that the row has moved, and resumes there.
async fn move_offset(client: &Client, full: &str, partition: i32, offset: i64) -> Result<String, Failure> {
    let moved = client
        .query_opt(
            "with old as (select next_offset from inbox_offsets where topic = $1 and partition = $2) \
             update inbox_offsets set next_offset = $3 \
             where topic = $1 and partition = $2 and coalesce (next_offset, 0) < $3 \
             returning (select next_offset from old)",
            &[&full, &partition, &offset],
        )
        .await?;
    let Some(row) = moved else {
        return Err(Failure::Halt(format!(
            "offset {offset} was reached already, or partition {partition} of {full} was never read"
        )));
    };
    let from: Option<i64> = row.get(0);
    let from = from.map_or("the log's beginning".to_owned(), |from| from.to_string());
    Ok(format!("resumes at offset {offset}, not at {from}"))
}
