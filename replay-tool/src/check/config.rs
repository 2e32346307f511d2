//! What a check is given: where the records and the services' databases are, and what may be expected of them.

use std::path::PathBuf;
use std::time::Duration;

use schemas::{Codec, PerService};

use crate::snapshot::ServiceTables;
use crate::source::Records;

/// What to check, and against which expectations. Made by [`CheckConfig::new`]; the fields may then be changed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CheckConfig {
    /// Where records are read from.
    pub records: Records,
    /// The services' tables. Default schemas: `orders`, `inventory`, `payments`.
    pub tables: PerService<ServiceTables>,
    /// The read model's tables, where there are any. Default: none.
    pub view: Option<ServiceTables>,
    /// All statements that the payment simulator wrote, as evidence that does not come from the pipeline; none: money is
    /// checked by topics and tables alone.
    pub statements: Vec<PathBuf>,
    /// Nothing may be under way any more: every order is finished, no call to the provider is open, and no record waits
    /// for a consumer. For the end of a demo or a test.
    pub expect_quiescent: bool,
    /// Whether a stuck order is a violation. Stuck orders are listed either way.
    pub stuck_is_violation: bool,
    /// How long nothing may come while committed messages are missing from the records, before they count as missing.
    /// Default 30 s.
    pub patience: Duration,
    /// With `expect_quiescent`: how long to wait for the pipeline to come to rest. Default 10 s.
    pub settle: Duration,
    /// Decodes messages. Default: the schemas that are compiled in.
    pub codec: Codec,
}

impl CheckConfig {
    /// All services in one database, with the default schemas.
    pub fn new(records: Records, database_url: &str) -> Self {
        CheckConfig {
            records,
            tables: PerService::of(|service| ServiceTables::of(service, database_url)),
            view: None,
            statements: Vec::new(),
            expect_quiescent: false,
            stuck_is_violation: false,
            patience: Duration::from_secs(30),
            settle: Duration::from_secs(10),
            codec: Codec::embedded(),
        }
    }
}
