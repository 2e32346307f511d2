//! State that is not written to a database: kept in memory, or only counted and digested, unit by unit.

use super::digest::StateDigest;
use super::problem::{Problem, Problems};
use super::shadow::Written;
use super::state::Levels;
use super::unit::Folded;
use crate::snapshot::{Rows, TableRow};

/// What units have brought so far.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    /// The rows, where they are wanted.
    pub(crate) rows: Option<Rows>,
    digest: StateDigest,
    levels: Levels,
    written: Written,
}

impl Collected {
    /// With the rows, or only what they amount to.
    pub(crate) fn new(with_rows: bool) -> Self {
        Collected { rows: with_rows.then(Rows::default), ..Collected::default() }
    }

    /// Add a unit.
    pub(crate) fn take(&mut self, folded: Folded) {
        let Folded { parts, levels, lanes, problems, counts, elapsed: _ } = folded;
        self.digest.add_parts(&parts);
        self.levels.add(levels);
        self.written.counts.add(&counts);
        self.written.problems.append(problems);
        for lane in lanes {
            self.written.vector.extend(lane.topic.as_str(), lane.partition, lane.next_offset);
            self.written.lanes.push(lane);
        }
        if let Some(rows) = &mut self.rows {
            parts.fill(rows);
        }
    }

    /// Sums become levels; everything has come.
    pub(crate) fn finish(self) -> (Written, Option<Rows>) {
        let Collected { mut rows, digest, levels, mut written } = self;
        let (stock, unsound) = levels.rows();
        written.digest = digest;
        written.digest.add_stock(&stock);
        for (sku, reason) in unsound {
            written.problems.add(Problem::of_level(sku.as_str(), &reason));
        }
        if let Some(rows) = &mut rows {
            rows.stock = stock.into_iter().map(|row| (row.key(), row)).collect();
        }
        (written, rows)
    }
}

impl Problems {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.found == 0
    }
}
