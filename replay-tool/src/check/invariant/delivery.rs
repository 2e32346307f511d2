//! What the outboxes committed is what the topics hold, and what the services have taken is what was there to take.

use schemas::ServiceName;

use crate::check::evidence::Evidence;
use crate::check::findings::{Findings, Invariant};
use crate::check::scan::ReadPartition;

pub(crate) fn check(evidence: &Evidence, findings: &mut Findings) {
    for partition in &evidence.topics.partitions {
        check_lane(evidence, partition, findings);
        check_reader(evidence, partition, findings);
    }
    for service in ServiceName::ALL {
        check_lanes_are_known(evidence, service, findings);
    }
}

/// Rows against records.
fn check_lane(evidence: &Evidence, partition: &ReadPartition, findings: &mut Findings) {
    let Some(writer) = partition.channel.writer() else { return };
    let place = (format!("{}{}", evidence.prefix, partition.channel.name()), partition.number);
    let outbox = &evidence.outboxes[writer];
    let lane = evidence.cuts[writer].outbox.lanes.get(&place);
    let rows = lane.and_then(|lane| outbox.rows.get(&lane.number)).map_or(&[][..], Vec::as_slice);
    let head_now = outbox.heads_now.get(&place).copied().unwrap_or(0);
    partition.read.delivered.compare(rows, head_now, evidence.place, findings);
}

/// The reader's own position is that of the last message that it had to take.
fn check_reader(evidence: &Evidence, partition: &ReadPartition, findings: &mut Findings) {
    let Some(reader) = partition.channel.reader() else { return };
    let topic = format!("{}{}", evidence.prefix, partition.channel.name());
    let mut add = |detail: String| findings.add(Invariant::Delivery, format!("{topic}[{}]", partition.number), detail);
    let read = &partition.read;
    if !read.has_all_taken() {
        let (resume, place, end) = (read.resume, evidence.place, read.end());
        add(format!("{reader} has taken what is below offset {resume}, but the {place} ends at {end}"));
        // Up to where, the records cannot tell then.
        return;
    }
    let Some(writer) = partition.channel.writer() else { return };
    let had = evidence.cuts[reader].inbox.cursor(&topic, partition.number, writer.source());
    if had != read.cursor {
        let told = |cursor: Option<outbox::inbox::Cursor>| match cursor {
            Some(cursor) => format!("{}:{}", cursor.epoch, cursor.sequence),
            None => "nothing".to_owned(),
        };
        add(format!(
            "{reader} has taken {writer}'s messages up to {}, but below its resume offset {} stand those up to {}",
            told(had),
            read.resume,
            told(read.cursor)
        ));
    }
}

/// No lane of an outbox leads to where nobody looks.
fn check_lanes_are_known(evidence: &Evidence, service: ServiceName, findings: &mut Findings) {
    let is_known = |topic: &str, number: i32| {
        evidence.topics.partitions.iter().any(|partition| {
            partition.number == number
                && partition.channel.writer() == Some(service)
                && topic.strip_prefix(evidence.prefix.as_str()).is_some_and(|name| name == partition.channel.name())
        })
    };
    for ((topic, number), lane) in &evidence.cuts[service].outbox.lanes {
        if lane.head > 0 && !is_known(topic, *number) {
            let detail =
                format!("the {service} service's outbox has {} messages for it, which nobody checks", lane.head);
            findings.add(Invariant::Delivery, format!("{topic}[{number}]"), detail);
        }
    }
}
