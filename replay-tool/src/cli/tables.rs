//! Flags that say where the services' tables are.

use clap::Args;
use schemas::ServiceName;

use crate::error::ReplayError;
use crate::snapshot::ServiceTables;

/// Where the services' tables are.
#[derive(Debug, Args)]
pub(crate) struct TablesArgs {
    /// Where the services' tables are: one URL for all, or SERVICE=URL for one; may be repeated.
    ///
    /// Services are order, inventory and payment; a service's own URL goes before that of all. Otherwise DATABASE_URL.
    #[arg(long = "database-url", value_name = "[SERVICE=]URL")]
    database_urls: Vec<String>,
    /// The same from the environment, kept apart: beside an archive it is enough to read, and not to write.
    #[arg(long, env = "DATABASE_URL", hide = true, hide_env_values = true, value_name = "URL")]
    database_of_environment: Option<String>,
    /// The schema of a service's tables, where it is not orders, inventory or payments; may be repeated.
    #[arg(long = "schema", value_name = "SERVICE=NAME")]
    schemas: Vec<String>,
}

impl TablesArgs {
    /// The services whose tables were named.
    pub(crate) fn given(&self) -> Result<Vec<(ServiceName, ServiceTables)>, ReplayError> {
        let environment = self.database_of_environment.as_slice();
        self.named_by(if self.database_urls.is_empty() { environment } else { &self.database_urls })
    }

    /// The services whose tables a verb may write to that reads from an archive: those that a flag names.
    pub(super) fn named_by_flags(&self) -> Result<Vec<(ServiceName, ServiceTables)>, ReplayError> {
        self.named_by(&self.database_urls)
    }

    fn named_by(&self, urls: &[String]) -> Result<Vec<(ServiceName, ServiceTables)>, ReplayError> {
        let mut all = ServiceName::ALL.map(|service| (service, ServiceTables::of(service, "")));
        for given in urls {
            let own = of_service(given);
            let (service, url) = own.map_or((None, given.as_str()), |(service, url)| (Some(service), url));
            for (of, tables) in &mut all {
                // One service's own URL goes before that of all.
                if service == Some(*of) || (service.is_none() && tables.database_url.is_empty()) {
                    url.clone_into(&mut tables.database_url);
                }
            }
        }
        for given in &self.schemas {
            let (service, schema) = of_service(given)
                .ok_or_else(|| ReplayError::arguments(format!("--schema {given}: give SERVICE=NAME")))?;
            all.iter_mut().filter(|(of, _)| *of == service).for_each(|(_, own)| schema.clone_into(&mut own.schema));
        }
        Ok(all.into_iter().filter(|(_, tables)| !tables.database_url.is_empty()).collect())
    }
}

/// `SERVICE=VALUE`, where the first part is a service.
fn of_service(given: &str) -> Option<(ServiceName, &str)> {
    let (name, value) = given.split_once('=')?;
    let service = ServiceName::parse(name)?;
    Some((service, value))
}
