//! What a rebuild has made, for people and for programs.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use grammar::counted;
use serde::Serialize;

use super::plan::Vector;
use super::unit::{LaneEnd, Problems, ReadCounts, Written};
use crate::keeper::Keeper;
use crate::rows::Differences;

/// What a rebuild has made.
#[derive(Debug, Clone, Serialize)]
pub struct RebuildReport {
    /// By service, in the order in which they were rebuilt.
    pub services: Vec<ServiceReport>,
    /// How long it took, in seconds.
    pub elapsed_s: f64,
}

/// A service's part of it.
#[derive(Debug, Clone, Serialize)]
pub struct ServiceReport {
    /// Which service; `view`: the read model.
    pub service: &'static str,
    /// The schema or file that it was written to; none where it was only counted.
    pub written_to: Option<String>,
    /// Identity of the state: the same for the same state, on any machine.
    pub digest: String,
    /// Its tables that have any rows.
    pub tables: Vec<TableReport>,
    /// What was read for it.
    pub counts: ReadCounts,
    /// What could not be folded.
    pub problems: Problems,
    /// How far the topics were folded; gives the same state again when it is given to `--until`.
    pub vector: Vector,
    /// Whether an earlier run was carried on.
    pub is_resumed: bool,
    /// The live tables' digest, where they were compared.
    pub live_digest: Option<String>,
    /// Against the live tables, where that was asked for.
    pub differences: Option<Differences>,
    /// How many records the topics have behind what the read model has taken, where that was compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behind: Option<i64>,
    /// The schema that the replaced tables are in now, where that was asked for.
    pub swapped_out_to: Option<String>,
    /// How long it took, in seconds.
    pub elapsed_s: f64,
    /// How long cores were busy with reading, decoding and folding, in seconds, summed over threads.
    pub fold_s: f64,
    #[serde(skip)]
    pub(crate) lanes: Vec<LaneEnd>,
    /// Where reading was to end; empty where that does not matter.
    #[serde(skip)]
    pub(crate) ends: Vector,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableReport {
    /// Its name.
    pub table: String,
    /// How many rows it has.
    pub rows: u64,
    /// The table's part of the digest.
    pub sum: String,
}

impl ServiceReport {
    pub(crate) fn new(keeper: Keeper, written_to: Option<String>, written: Written) -> Self {
        let table = |(table, sum): (&str, &crate::rows::Sum)| TableReport {
            table: table.to_owned(),
            rows: sum.rows,
            sum: sum.to_hex(),
        };
        ServiceReport {
            service: keeper.as_str(),
            written_to,
            digest: written.digest.to_hex(),
            tables: written.digest.tables().map(table).collect(),
            counts: written.counts,
            problems: written.problems,
            vector: written.vector,
            is_resumed: false,
            live_digest: None,
            differences: None,
            behind: None,
            swapped_out_to: None,
            elapsed_s: 0.0,
            fold_s: written.fold_s,
            lanes: written.lanes,
            ends: Vector::default(),
        }
    }

    pub(crate) fn took(mut self, elapsed: Duration) -> Self {
        self.elapsed_s = elapsed.as_secs_f64();
        self
    }

    /// Whether everything could be folded and nothing differs.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty() && self.differences.as_ref().is_none_or(Differences::is_empty)
    }
}

impl RebuildReport {
    /// Whether that holds for all services.
    pub fn is_clean(&self) -> bool {
        self.services.iter().all(ServiceReport::is_clean)
    }
}

impl Display for RebuildReport {
    /// Several lines, the last one with its end.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.services.iter().try_for_each(|service| write!(f, "{service}"))
    }
}

impl Display for ServiceReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let place = self.written_to.as_ref().map_or_else(String::new, |place| format!(" → {place}"));
        let resumed = if self.is_resumed { ", an earlier run carried on" } else { "" };
        let ReadCounts { read, folded, duplicates, void, strangers } = self.counts;
        writeln!(f, "{}{place}   {folded} events of {read} records ({:.1} s{resumed})", self.service, self.elapsed_s)?;
        if duplicates + void + strangers > 0 {
            writeln!(f, "  passed over      {duplicates} repeated, {void} void, {strangers} strangers'")?;
        }
        for table in &self.tables {
            writeln!(f, "  {:<15} {:>9} rows", table.table, table.rows)?;
        }
        writeln!(f, "  digest           {}", self.digest)?;
        if let Some(behind) = self.behind {
            writeln!(f, "  behind           {}", counted(u64::try_from(behind).unwrap_or(0), "record"))?;
        }
        if let Some(schema) = &self.swapped_out_to {
            writeln!(f, "  swapped in       what was there before is in {schema}")?;
        }
        if !self.problems.is_empty() {
            writeln!(f, "  {}:", counted(self.problems.found, "problem"))?;
            self.problems.listed.iter().take(20).try_for_each(|problem| writeln!(f, "    {problem}"))?;
        }
        match &self.differences {
            Some(differences) if differences.is_empty() => writeln!(f, "  live tables      the same, row for row"),
            Some(differences) => {
                writeln!(f, "  {} to the live tables:\n{differences}", counted(differences.found, "difference"))
            }
            None => Ok(()),
        }
    }
}
