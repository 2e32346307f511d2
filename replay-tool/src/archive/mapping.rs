//! Where each archived record lies now, as a table for people and programs: CSV, one line for a run of records that follow each
//! other in both places.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use crate::error::ReplayError;

const HEADLINE: &str = "topic,partition,offset,records,new_partition,new_offset";

/// Records that follow each other in both places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    from: (i32, i64),
    /// None where they were left out.
    to: Option<(i32, i64)>,
    records: i64,
}

/// The table, while it is written.
#[derive(Debug)]
pub(super) struct Mapping {
    path: PathBuf,
    /// None where nothing is to be written.
    file: Option<BufWriter<File>>,
    topic: String,
    open: Vec<Option<Run>>,
}

impl Run {
    /// Whether this record goes on where the run ends.
    fn goes_on(&self, from: (i32, i64), to: Option<(i32, i64)>) -> bool {
        let behind = |(partition, offset): (i32, i64)| (partition, offset + self.records);
        behind(self.from) == from && self.to.map(behind) == to
    }
}

impl Mapping {
    pub(super) fn create(path: &Path) -> Result<Self, ReplayError> {
        let mut mapping = Mapping { file: None, ..Mapping::nowhere(path) };
        let file = File::create(path).map_err(ReplayError::output(path.display().to_string()))?;
        mapping.file = Some(BufWriter::new(file));
        mapping.put(HEADLINE)?;
        Ok(mapping)
    }

    /// One that is not written.
    pub(super) fn nowhere(path: &Path) -> Self {
        Mapping { path: path.to_owned(), file: None, topic: String::new(), open: Vec::new() }
    }

    /// What comes now is of this topic, which had so many partitions.
    pub(super) fn begin(&mut self, topic: &str, partitions: usize) -> Result<(), ReplayError> {
        self.end_runs()?;
        topic.clone_into(&mut self.topic);
        self.open = vec![None; partitions];
        Ok(())
    }

    /// A record's old place, and its new one.
    pub(super) fn add(&mut self, from: (i32, i64), to: Option<(i32, i64)>) -> Result<(), ReplayError> {
        let Some(open) = usize::try_from(from.0).ok().and_then(|index| self.open.get_mut(index)) else { return Ok(()) };
        if let Some(run) = open.as_mut().filter(|run| run.goes_on(from, to)) {
            run.records += 1;
            return Ok(());
        }
        let ended = open.replace(Run { from, to, records: 1 });
        ended.map_or(Ok(()), |run| self.put_run(run))
    }

    pub(super) fn finish(mut self) -> Result<(), ReplayError> {
        self.end_runs()?;
        let Some(mut file) = self.file.take() else { return Ok(()) };
        file.flush().map_err(ReplayError::output(self.path.display().to_string()))
    }

    fn end_runs(&mut self) -> Result<(), ReplayError> {
        let runs: Vec<Run> = self.open.iter_mut().filter_map(Option::take).collect();
        runs.into_iter().try_for_each(|run| self.put_run(run))
    }

    fn put_run(&mut self, Run { from: (partition, offset), to, records }: Run) -> Result<(), ReplayError> {
        let to = to.map_or_else(|| ",".to_owned(), |(partition, offset)| format!("{partition},{offset}"));
        let line = format!("{},{partition},{offset},{records},{to}", self.topic);
        self.put(&line)
    }

    fn put(&mut self, line: &str) -> Result<(), ReplayError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        writeln!(file, "{line}").map_err(ReplayError::output(self.path.display().to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_of_records_that_follow_each_other_in_both_places() {
        let run = Run { from: (0, 5), to: Some((2, 8)), records: 2 };
        assert!(run.goes_on((0, 7), Some((2, 10))));
        assert!(!run.goes_on((0, 7), Some((2, 11))), "another's record came between");
        assert!(!run.goes_on((0, 7), None));
        assert!(Run { to: None, ..run }.goes_on((0, 7), None));
    }
}
