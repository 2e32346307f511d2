//! What is written down of a unit besides its rows, and what all units together amount to.
//!
//! A note is stored with the unit's rows in one transaction: a run that was killed goes on from the notes, and its report
//! is that of an undisturbed one.

use schemas::TopicName;
use serde::{Deserialize, Serialize};

use super::problem::{Problem, Problems};
use crate::fold::Levels;
use crate::keeper::Keeper;
use crate::rebuild::plan::Vector;
use crate::rows::{StateDigest, StockRow};

/// What was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadCounts {
    /// Records, each slice's reading counted.
    pub read: u64,
    /// Messages applied to an aggregate.
    pub folded: u64,
    /// Repetitions of messages.
    pub duplicates: u64,
    /// Messages of an epoch that a restored database has ended.
    pub void: u64,
    /// Records without a position of the topic's only writer.
    pub strangers: u64,
}

/// How far a partition was folded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LaneEnd {
    #[serde(with = "topic_name")]
    pub(crate) topic: TopicName,
    pub(crate) partition: i32,
    /// The offset after the last record that was taken.
    pub(crate) next_offset: i64,
    /// Epoch and sequence of the highest message that counts.
    pub(crate) highest: Option<(i64, i64)>,
    /// The highest sequence beyond the head that was folded to; none where there is none.
    pub(crate) beyond: Option<i64>,
}

/// A unit, without its rows.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) digest: StateDigest,
    pub(crate) counts: ReadCounts,
    pub(crate) problems: Problems,
    /// Of the partitions that the unit is the first to read.
    pub(crate) lanes: Vec<LaneEnd>,
}

/// All units together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Written {
    pub(crate) digest: StateDigest,
    pub(crate) counts: ReadCounts,
    pub(crate) problems: Problems,
    pub(crate) vector: Vector,
    /// How far each partition was folded.
    pub(crate) lanes: Vec<LaneEnd>,
    /// How long folding took, in seconds, summed over threads.
    pub(crate) fold_s: f64,
}

impl Written {
    /// Add a unit.
    pub(crate) fn add(&mut self, note: Note) {
        let Note { digest, counts, problems, lanes } = note;
        digest.tables().for_each(|(table, sum)| self.digest.add_sum(table, sum));
        self.counts.add(&counts);
        self.problems.append(problems);
        for lane in lanes {
            self.vector.extend(lane.topic.as_str(), lane.partition, lane.next_offset);
            self.lanes.push(lane);
        }
    }

    /// Levels are sums over all units: their rows, now that every unit has come.
    pub(crate) fn add_levels(&mut self, keeper: Keeper, levels: Levels) -> Vec<StockRow> {
        let (rows, unsound) = match keeper {
            Keeper::Service(_) => levels.rows(),
            // It reads topics beside one another: a reservation may have come before its receipt.
            Keeper::View => (levels.all().collect(), Vec::new()),
        };
        self.digest.add_stock(&rows);
        for (sku, reason) in unsound {
            self.problems.add(Problem::of_level(sku.as_str(), &reason));
        }
        rows
    }
}

impl ReadCounts {
    fn add(&mut self, other: &ReadCounts) {
        let ReadCounts { read, folded, duplicates, void, strangers } = other;
        self.read += read;
        self.folded += folded;
        self.duplicates += duplicates;
        self.void += void;
        self.strangers += strangers;
    }
}

mod topic_name {
    //! A topic by its name.

    use schemas::TopicName;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
    pub(super) fn serialize<S: Serializer>(topic: &TopicName, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(topic.as_str())
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<TopicName, D::Error> {
        let name = String::deserialize(from)?;
        TopicName::parse(&name).ok_or_else(|| D::Error::custom(format!("no topic {name}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_kept_as_text() {
        let mut note = Note { counts: ReadCounts { read: u64::MAX, ..ReadCounts::default() }, ..Note::default() };
        let row =
            StockRow { sku: "a".into(), version: 1, received: 2, reserved: 0, shipped: 0, returned: 0, written_off: 0 };
        note.digest.add_stock(&[row]);
        let lane = LaneEnd {
            topic: TopicName::StockEvents,
            partition: 2,
            next_offset: 9,
            highest: Some((1, 8)),
            beyond: None,
        };
        note.lanes.push(lane);
        let text = serde_json::to_string(&note).unwrap();
        let (mut before, mut after) = (Written::default(), Written::default());
        after.add(serde_json::from_str(&text).unwrap());
        before.add(note);
        assert_eq!(before.digest.to_hex(), after.digest.to_hex());
        assert_eq!((before.counts, &before.lanes, &before.vector), (after.counts, &after.lanes, &after.vector));
    }
}
