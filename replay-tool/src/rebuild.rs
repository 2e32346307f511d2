//! State rebuilt from the topics, or from an archive of them: the daemons' own `evolve` over every message, written beside
//! the live tables, into a file, or only counted.
//!
//! Nothing here decides, calls a provider or publishes: `evolve` cannot. `plan` cuts the work into units that fit into
//! memory, `unit` folds one of them, `into` brings them to where they go: a schema, a file, or a few sums; and a schema in
//! the place of live tables. `inspect` holds what comes out against live tables, or tells what was at a moment.

mod inspect;
mod into;
mod library;
mod plan;
mod report;
mod run;
mod standing;
mod unit;

pub(crate) use inspect::Moment;
pub use library::{RebuildConfig, rebuild};
pub use plan::Vector;
pub(crate) use plan::{UNIT_RECORDS, Until};
pub use report::{RebuildReport, ServiceReport, TableReport};
pub use run::Target;
pub(crate) use run::{PARALLEL, Rebuild};
pub use unit::{Problem, Problems, ReadCounts};
