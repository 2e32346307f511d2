//! State that is not written anywhere: kept in memory, or only counted and digested, unit by unit.

use super::note::Written;
use super::sink::Sink;
use super::state::Levels;
use super::unit::Folded;
use crate::error::ReplayError;
use crate::snapshot::{Rows, TableRow};

/// What units have brought so far.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    /// The rows, where they are wanted.
    rows: Option<Rows>,
    levels: Levels,
    written: Written,
}

impl Collected {
    /// With the rows, or only what they amount to.
    pub(crate) fn new(with_rows: bool) -> Self {
        Collected { rows: with_rows.then(Rows::default), ..Collected::default() }
    }

    /// Sums become levels; everything has come.
    pub(crate) fn finish(self) -> (Written, Option<Rows>) {
        let Collected { mut rows, levels, mut written } = self;
        let stock = written.add_levels(levels);
        if let Some(rows) = &mut rows {
            rows.stock = stock.into_iter().map(|row| (row.key(), row)).collect();
        }
        (written, rows)
    }
}

impl Sink for Collected {
    type Part = Folded;

    fn part(folded: Folded) -> Result<Folded, ReplayError> {
        Ok(folded)
    }

    fn has(&self, _: usize) -> bool {
        false
    }

    async fn take(&mut self, _: usize, folded: Folded) -> Result<(), ReplayError> {
        let Folded { parts, levels, note, elapsed: _ } = folded;
        self.levels.add(levels);
        self.written.add(note);
        if let Some(rows) = &mut self.rows {
            parts.fill(rows);
        }
        Ok(())
    }
}
