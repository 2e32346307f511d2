//! What an audit found, lane by lane, and what to do about it.

use serde::Serialize;

use super::Audited;
use super::lane::{Intervals, Outcome};

/// Most ranges of sequences that a finding lists.
const MAX_RUNS: usize = 20;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// Committed and published, and not in the topic.
    Lost,
    /// In the topic, but a consumer that takes only the next message does not come to it.
    Reordered,
    /// In the topic, and never committed.
    Phantom,
    /// In the topic with another key, payload or headers than committed.
    Changed,
    /// Deleted from the topic (retention, or by hand), while the table still holds it.
    Expired,
    /// Missing in the table itself.
    Hole,
}

/// A range of sequences, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Run {
    /// The first.
    pub first: i64,
    /// The last.
    pub last: i64,
}

/// Something wrong with a lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What.
    pub kind: FindingKind,
    /// Full topic name.
    pub topic: String,
    /// Partition number.
    pub partition: i32,
    /// How many messages.
    pub messages: i64,
    /// Which: the first of the ranges.
    pub sequences: Vec<Run>,
    /// What to do.
    pub advice: &'static str,
}

/// A lane, audited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LaneAudit {
    /// Full topic name.
    pub topic: String,
    /// Partition number.
    pub partition: i32,
    /// The range: after this sequence.
    pub after: i64,
    /// The range: up to this sequence, the lane's head.
    pub head: i64,
    /// Messages of the range that are not published yet.
    pub pending: i64,
    /// Records of the range in the topic.
    pub records: u64,
    /// Of these, repetitions; consumers pass over them.
    pub doubled: u64,
    /// Of these, records that came before one that should come first. Harmless where they were repeated in order.
    pub early: u64,
    /// Of these, records that a later epoch has voided.
    pub void: u64,
    /// Offset at which the topic partition begins.
    pub log_start: i64,
    /// Offset after its last record.
    pub log_end: i64,
    /// The last message that a consumer comes to which takes only the next; a repair goes on after it.
    pub in_order_to: i64,
    /// Offset of that record, if it was seen.
    pub in_order_offset: Option<i64>,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// What an audit found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditReport {
    /// Database schema of the outbox.
    pub schema: String,
    /// Who publishes from there.
    pub source: String,
    /// Only messages whose time is not older.
    pub since: Option<jiff::Timestamp>,
    /// Records compared with rows.
    pub records: u64,
    /// Messages that are not published yet.
    pub pending: i64,
    /// Repetitions, which consumers pass over.
    pub doubled: u64,
    /// Every lane.
    pub lanes: Vec<LaneAudit>,
}

impl AuditReport {
    pub(super) fn new(schema: &str, source: String, since: Option<jiff::Timestamp>, lanes: Vec<LaneAudit>) -> Self {
        Self {
            schema: schema.to_owned(),
            source,
            since,
            records: lanes.iter().map(|lane| lane.records).sum(),
            pending: lanes.iter().map(|lane| lane.pending).sum(),
            doubled: lanes.iter().map(|lane| lane.doubled).sum(),
            lanes,
        }
    }

    /// Everything that is wrong.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.lanes.iter().flat_map(|lane| &lane.findings)
    }

    /// How many messages are affected in this way.
    pub fn count(&self, kind: FindingKind) -> i64 {
        self.findings().filter(|finding| finding.kind == kind).map(|finding| finding.messages).sum()
    }
}

impl LaneAudit {
    /// Whether publishing again mends it.
    pub fn can_be_repaired(&self) -> bool {
        self.findings.iter().any(|finding| matches!(finding.kind, FindingKind::Lost | FindingKind::Reordered))
    }
}

impl FindingKind {
    /// The word for it in tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Reordered => "reordered",
            Self::Phantom => "phantom",
            Self::Changed => "changed",
            Self::Expired => "expired",
            Self::Hole => "hole",
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Self::Lost => "publish it again from the table: outbox-relay audit --repair",
            Self::Reordered => {
                "consumers that wait at a gap stop there; publish again in order: outbox-relay audit --repair"
            }
            Self::Phantom => {
                "either somebody else writes with this source's name (see the topic's access list), or the database was \
                 restored or failed over with loss: a relay that takes over then begins a new epoch. What it has passed \
                 already: outbox-relay rebase --after the last good message, which publishes again all that follows"
            }
            Self::Changed => {
                "the table is not the one that was published from (a restore), or somebody changed it or the topic: see \
                 who; then outbox-relay rebase --after the last good message, which publishes again, in a new epoch, what \
                 the table holds after it"
            }
            Self::Expired => {
                "the topic's retention is shorter than the outbox's, or records were deleted: raise retention.ms; a repair \
                 does not bring these back"
            }
            Self::Hole => {
                "rows were deleted, or a transaction wrote past the outbox; the relay holds the lane there. Restore the \
                 rows from a backup, or outbox-relay rebase, which goes on after the last message that was published"
            }
        }
    }
}

/// The audit of a lane whose table lacks `holes`.
pub(super) fn lane(audited: &Audited, holes: Vec<(i64, i64)>) -> LaneAudit {
    let Audited { row, place, bounds, fold, .. } = audited;
    let Outcome { lost, expired, unreachable } = fold.outcome(row.published);
    let there = Intervals::of(&holes);
    let lost: Vec<(i64, i64)> = lost.iter().flat_map(|run| there.missing(run.0, run.1)).collect();
    let reordered: Vec<(i64, i64)> =
        unreachable.filter(|_| lost.is_empty()).map(|first| (first, first)).into_iter().collect();
    let published = row.published.max(fold.highest).max(row.pruned);
    let pending = row.epochs.live(published.max(row.after) + 1, row.head);
    let finding = |kind: FindingKind, runs: &[(i64, i64)]| {
        (!runs.is_empty()).then(|| Finding {
            kind,
            topic: place.topic.to_string(),
            partition: place.partition,
            messages: size(runs),
            sequences: runs.iter().take(MAX_RUNS).map(|(first, last)| Run { first: *first, last: *last }).collect(),
            advice: kind.advice(),
        })
    };
    let findings = [
        finding(FindingKind::Lost, &lost),
        finding(FindingKind::Reordered, &reordered),
        finding(FindingKind::Phantom, fold.phantom.ranges()),
        finding(FindingKind::Changed, fold.changed.ranges()),
        finding(FindingKind::Expired, &expired),
        finding(FindingKind::Hole, &holes),
    ];
    LaneAudit {
        topic: place.topic.to_string(),
        partition: place.partition,
        after: row.after,
        head: row.head,
        pending: size(&pending),
        records: fold.records,
        doubled: fold.repeated,
        early: fold.early,
        void: fold.void,
        log_start: bounds.low,
        log_end: bounds.high,
        in_order_to: fold.chain(),
        in_order_offset: fold.chain_offset,
        findings: findings.into_iter().flatten().collect(),
    }
}

fn size(runs: &[(i64, i64)]) -> i64 {
    runs.iter().map(|(first, last)| last - first + 1).sum()
}
