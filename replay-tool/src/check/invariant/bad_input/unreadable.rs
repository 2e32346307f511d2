//! Runs of records that nobody can read, against the dead letters that stand for them: one for each run that was passed over.

use super::letters::LetterIndex;
use crate::check::evidence::Evidence;
use crate::check::findings::{Findings, Invariant};
use crate::log::{Channel, past_spans};

pub(super) fn check(evidence: &Evidence, letters: &LetterIndex<'_>, findings: &mut Findings) {
    for (channel, run) in &evidence.unreadable {
        let Channel::Messages(topic) = channel else { continue };
        let mut partitions = evidence.topics.partitions.iter();
        let partition = partitions.find(|read| read.channel == *channel && read.number == run.partition);
        // Nobody reads the topic, or its reader has not come so far.
        let Some(resume) = partition.map(|partition| partition.read.resume).filter(|resume| run.first < *resume) else {
            continue;
        };
        if !evidence.topics.are_letters_whole(*topic) {
            continue;
        }
        let passed_over = letters.unreadable(*topic, run.partition);
        let next = past_spans(&passed_over, run.first);
        if next < resume && next <= run.last {
            let detail =
                format!("taken without a trace: no dead letter stands for the records from offset {next} on; {run}");
            findings.add(Invariant::BadInput, super::place(*topic, run.partition, run.first), detail);
        }
    }
}
