//! A rebuild of everything that is only held against the live tables.

use std::time::Instant;

use schemas::ServiceName;

use super::CheckConfig;
use crate::error::ReplayError;
use crate::interrupt::RaiseOnDrop;
use crate::keeper::Keeper;
use crate::rebuild::{Rebuild, RebuildReport};

/// Fold the topics as `rebuild` does, and hold the result against the live tables of all services, and the read model's where it is
/// named, row for row. The daemons may run on: each is compared at one cut.
///
/// Must be called within a Tokio runtime; topics are read on its blocking threads.
///
/// # Errors
/// It could not be carried out. What differs or cannot be folded is no error: it is in the report.
pub async fn rehearse(config: &CheckConfig) -> Result<RebuildReport, ReplayError> {
    let begun = Instant::now();
    let given_up = RaiseOnDrop::default();
    let rebuild = Rebuild::in_memory_from(config.records.source(&given_up.0)?, config.codec.clone());
    let services = ServiceName::ALL.map(|service| (Keeper::from(service), config.tables[service].clone()));
    let view = config.view.iter().map(|tables| (Keeper::View, tables.clone()));
    let keepers: Vec<_> = services.into_iter().chain(view).collect();
    let services = rebuild.compare(&keepers, config.records.prefix(), config.patience).await?;
    Ok(RebuildReport { services, elapsed_s: begun.elapsed().as_secs_f64() })
}
