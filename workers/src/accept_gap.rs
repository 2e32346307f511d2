//! `accept-gap`: an operator gives up messages that never came, so that a held partition goes on.
//!
//! It only moves the position that the held record is compared with; the daemon finds it within seconds. What was given up is
//! logged, and shows in `verify` for ever.

use clap::Args;
use schemas::{ServiceName, TopicName};

use crate::runtime::{Database, Failure};

/// Which gap to accept.
#[derive(Debug, Clone, Args)]
pub(crate) struct Gap {
    /// The topic, without prefix, for instance inventory.events.v1.
    #[arg(long)]
    topic: String,
    /// The partition that is held.
    #[arg(long)]
    partition: i32,
    /// Epoch of the record that may come next.
    #[arg(long)]
    epoch: i64,
    /// Sequence of the record that may come next.
    #[arg(long)]
    sequence: i64,
}

/// Move the position so that the named record is the next one.
pub(crate) async fn accept(
    database: &Database,
    prefix: &str,
    service: ServiceName,
    gap: &Gap,
) -> Result<String, Failure> {
    let topic = TopicName::parse(&gap.topic)
        .ok_or_else(|| Failure::Halt(format!("{:?} is no topic of the pipeline", gap.topic)))?;
    let writer = topic
        .written_by()
        .ok_or_else(|| Failure::Halt(format!("anyone writes {topic}: it has no positions, and so no gaps")))?;
    let client = database.client().await?;
    let full = format!("{prefix}{topic}");
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
            &[&full, &gap.partition, &writer.source(), &gap.epoch, &(gap.sequence - 1)],
        )
        .await?;
    let Some(row) = moved else {
        return Err(Failure::Halt(format!("the position of {} is at or behind that record already", writer.source())));
    };
    let old: (Option<i64>, Option<i64>) = (row.get(0), row.get(1));
    let from = old.0.zip(old.1).map_or("none".to_owned(), |(epoch, sequence)| format!("{epoch}:{sequence}"));
    tracing::warn!(%service, topic = full, partition = gap.partition, from, "a gap was accepted");
    Ok(format!(
        "{full}[{}]: position of {} moved from {from}; the record {}:{} may come next",
        gap.partition,
        writer.source(),
        gap.epoch,
        gap.sequence
    ))
}
