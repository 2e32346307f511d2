//! Rebuilding for programs that use this library: benchmarks, tests, other tools.

use std::time::Instant;

use schemas::{Codec, ServiceName};

use super::plan::{UNIT_RECORDS, Until};
use super::report::RebuildReport;
use super::run::{PARALLEL, Rebuild, Target};
use crate::error::ReplayError;
use crate::interrupt::RaiseOnDrop;
use crate::keeper::Keeper;
use crate::snapshot::ServiceTables;
use crate::source::{Records, Source};

/// What to rebuild, from what, and where to. Made by [`RebuildConfig::new`]; the fields may then be changed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RebuildConfig {
    /// Where records are read from.
    pub records: Records,
    /// Where rebuilt state goes.
    pub target: Target,
    /// Which services' state, or the read model. Default: all services.
    pub services: Vec<Keeper>,
    /// Where the services' tables are, for a schema beside them. Default: nowhere.
    pub tables: Vec<(Keeper, ServiceTables)>,
    /// The most records whose state is held at once. Default 500,000.
    pub unit_records: u64,
    /// How many parts are held at once, folded or being written. Default 3.
    pub parallel: usize,
    /// Whether the first record that cannot be folded is an error. Default: no, it is told.
    pub is_strict: bool,
}

impl RebuildConfig {
    /// All services, with the defaults.
    pub fn new(records: Records, target: Target) -> Self {
        let services = ServiceName::ALL.map(Keeper::from).to_vec();
        RebuildConfig {
            records,
            target,
            services,
            tables: Vec::new(),
            unit_records: UNIT_RECORDS,
            parallel: PARALLEL,
            is_strict: false,
        }
    }
}

/// Rebuild.
///
/// Must be called within a Tokio runtime; records are read on its blocking threads.
///
/// # Errors
/// It could not be carried out. What cannot be folded is no error: it is in the report.
pub async fn rebuild(config: RebuildConfig) -> Result<RebuildReport, ReplayError> {
    let begun = Instant::now();
    let given_up = RaiseOnDrop::default();
    let source = config.records.source(&given_up.0)?;
    let rebuild = Rebuild {
        target: config.target,
        unit_records: config.unit_records,
        parallel: config.parallel,
        is_strict: config.is_strict,
        ..Rebuild::in_memory_from(source, Codec::embedded())
    };
    let nowhere = ServiceTables { database_url: String::new(), schema: String::new() };
    let tables = |keeper: Keeper| {
        let given = config.tables.iter().find(|(of, _)| *of == keeper);
        (keeper, given.map_or(&nowhere, |(_, tables)| tables).clone())
    };
    let services: Vec<_> = config.services.iter().map(|keeper| tables(*keeper)).collect();
    let services = rebuild.run(&services).await?;
    Ok(RebuildReport { services, elapsed_s: begun.elapsed().as_secs_f64() })
}

impl Rebuild {
    /// Counting everything, with the defaults.
    pub(crate) fn in_memory_from(source: Source, codec: Codec) -> Rebuild {
        Rebuild {
            source,
            codec,
            target: Target::Memory,
            until: Until::End,
            unit_records: UNIT_RECORDS,
            parallel: PARALLEL,
            is_strict: false,
            is_restart: false,
        }
    }
}
