//! State that is written nowhere: what it amounts to, unit by unit.

use std::convert::Infallible;

use super::sink::Sink;
use crate::error::ReplayError;
use crate::fold::{Levels, TakeRows};
use crate::keeper::Keeper;
use crate::rebuild::unit::{Folded, Note, Written};
use crate::rows::{StateDigest, TableRow};

/// What units have brought so far.
#[derive(Debug)]
pub(crate) struct Counted {
    keeper: Keeper,
    levels: Levels,
    written: Written,
}

impl Counted {
    /// Nothing yet.
    pub(crate) fn new(keeper: Keeper) -> Self {
        Counted { keeper, levels: Levels::default(), written: Written::default() }
    }

    /// Sums become levels; everything has come.
    pub(crate) fn finish(self) -> Written {
        let Counted { keeper, levels, mut written } = self;
        written.add_levels(keeper, levels);
        written
    }
}

impl Sink for Counted {
    type Part = (Levels, Note);

    fn part(folded: Folded) -> Result<Self::Part, ReplayError> {
        let Folded { state, partitions, mut note, elapsed: _ } = folded;
        let Ok(()) = state.rows(partitions, &mut note.digest);
        let mut levels = Levels::default();
        levels.add(state.levels());
        Ok((levels, note))
    }

    fn has(&self, _: usize) -> bool {
        false
    }

    async fn take(&mut self, _: usize, (levels, note): Self::Part) -> Result<(), ReplayError> {
        self.levels.join(&levels);
        self.written.add(note);
        Ok(())
    }
}

impl TakeRows for StateDigest {
    type Error = Infallible;

    fn rows<R: TableRow>(&mut self, rows: impl Iterator<Item = R>) -> Result<(), Infallible> {
        self.passing(rows).for_each(drop);
        Ok(())
    }
}
