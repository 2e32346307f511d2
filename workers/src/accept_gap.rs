//! `accept-gap`: an operator says where a held partition goes on: behind messages that never came, or in another log.
//!
//! It only moves the position that the held record is compared with, and the offset to resume at, forward or back; with the
//! offset the log that is there now is accepted, whichever it is. The daemon finds both within seconds. What was given up
//! is logged, and shows in `verify` for ever.

use clap::Args;
use consumer::Database;
use outbox::inbox::{Cursor, GapAccepted, Inbox, Resumed, SourceCursor, TopicPartition};
use schemas::{ServiceName, TopicName};
use tokio_postgres::Client;

use consumer::Failure;

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
    /// Offset to resume at, before or behind the present one: where the log has lost records, or is another log (a topic
    /// that was made anew: 0). What lies between is passed over, or taken again.
    #[arg(long, allow_negative_numbers = true)]
    offset: Option<i64>,
}

/// Make the named record the next one.
pub(crate) async fn accept(
    database: &Database,
    prefix: &str,
    service: ServiceName,
    gap: &Gap,
) -> Result<String, Failure> {
    let topic = read_by(service, &gap.topic)?;
    let client = database.client().await?;
    let inbox = Inbox::new(database.schema()).map_err(Failure::of_outbox)?;
    let full = format!("{prefix}{topic}");
    let at = TopicPartition { topic: full.clone(), partition: gap.partition };
    let mut done = Vec::new();
    if let Some((epoch, sequence)) = gap.epoch.zip(gap.sequence) {
        done.push(move_position(&inbox, &client, topic, &at, (epoch, sequence)).await?);
    }
    if let Some(offset) = gap.offset {
        done.push(move_offset(&inbox, &client, &at, offset).await?);
    }
    let done = done.join("; ");
    tracing::warn!(%service, topic = full, partition = gap.partition, done, "a gap was accepted");
    Ok(format!("{full}[{}]: {done}", gap.partition))
}

/// The topic of this name, if the service reads it.
fn read_by(service: ServiceName, name: &str) -> Result<TopicName, Failure> {
    let inputs = service.inputs();
    inputs.iter().copied().find(|topic| topic.as_str() == name).ok_or_else(|| {
        let inputs: Vec<_> = inputs.iter().map(|topic| topic.as_str()).collect();
        Failure::Halt(format!("the {service} service does not read a topic {name:?}: it reads {}", inputs.join(", ")))
    })
}

async fn move_position(
    inbox: &Inbox,
    client: &Client,
    topic: TopicName,
    at: &TopicPartition,
    (epoch, sequence): (i64, i64),
) -> Result<String, Failure> {
    let writer = topic.written_by().ok_or_else(|| {
        Failure::Halt(format!("anyone writes {topic}: it has no positions, and so no gaps; give only --offset"))
    })?;
    let to = SourceCursor { source: writer.source().to_owned(), cursor: Cursor { epoch, sequence: sequence - 1 } };
    match inbox.accept_gap(client, at, &to).await.map_err(Failure::of_outbox)? {
        GapAccepted::AlreadyPast => {
            Err(Failure::Halt(format!("the position of {} is at or behind that record already", writer.source())))
        }
        GapAccepted::Moved { from } => {
            let from = from.map_or("none".to_owned(), |from| format!("{}:{}", from.epoch, from.sequence));
            Ok(format!(
                "position of {} moved from {from}; the record {epoch}:{sequence} may come next",
                writer.source()
            ))
        }
    }
}

/// A worker that holds the partition notices within seconds; one that does not, with the next record.
async fn move_offset(inbox: &Inbox, client: &Client, at: &TopicPartition, offset: i64) -> Result<String, Failure> {
    if offset < 0 {
        return Err(Failure::Halt(format!("offset {offset} is none: a log begins at 0 or later")));
    }
    match inbox.resume_at(client, at, offset).await.map_err(Failure::of_outbox)? {
        Resumed::NeverRead => Err(Failure::Halt(format!(
            "partition {} of {} was never read: there is nothing to move",
            at.partition, at.topic
        ))),
        Resumed::Moved { from } => Ok(told(from, offset)),
    }
}

/// What the move means, for the operator and the log.
fn told(from: Option<i64>, offset: i64) -> String {
    let what = match from {
        None => "not at the log's beginning: what lies before it is passed over".to_owned(),
        Some(from) if from < offset => format!("not at {from}: passes over {from} to {}", offset - 1),
        Some(from) if from > offset => {
            format!("not at {from}: takes {offset} to {} again, if the log has them", from - 1)
        }
        Some(_) => "as before".to_owned(),
    };
    format!("resumes at offset {offset} of the log that is there now, {what}")
}

#[cfg(test)]
mod tests {
    use super::told;

    #[test]
    fn it_says_what_is_passed_over_or_taken_again() {
        let at = "resumes at offset 7 of the log that is there now, ";
        assert_eq!(told(Some(4), 7), format!("{at}not at 4: passes over 4 to 6"));
        assert_eq!(told(Some(9), 7), format!("{at}not at 9: takes 7 to 8 again, if the log has them"));
        assert_eq!(told(Some(7), 7), format!("{at}as before"));
        assert_eq!(told(None, 7), format!("{at}not at the log's beginning: what lies before it is passed over"));
    }
}
