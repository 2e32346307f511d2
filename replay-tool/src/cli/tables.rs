//! Flags that say where the services' tables are.

use clap::Args;
use schemas::ServiceName;

use crate::CheckConfig;
use crate::ServiceTables;
use crate::error::ReplayError;

/// Where the services' tables are.
#[derive(Debug, Args)]
pub(crate) struct TablesArgs {
    /// Where the services' tables are: one URL for all services, or SERVICE=URL for one of order, inventory, payment; may
    /// be repeated.
    #[arg(long = "database-url", env = "DATABASE_URL", value_name = "[SERVICE=]URL", hide_env_values = true)]
    database_urls: Vec<String>,
    /// The schema of a service's tables, where it is not orders, inventory or payments; may be repeated.
    #[arg(long = "schema", value_name = "SERVICE=NAME")]
    schemas: Vec<String>,
}

impl TablesArgs {
    /// The services whose tables were named.
    pub(crate) fn given(&self) -> Result<Vec<(ServiceName, ServiceTables)>, ReplayError> {
        let mut config = CheckConfig::new(rdkafka::ClientConfig::new(), "");
        for given in &self.database_urls {
            match of_service(given) {
                Some((service, url)) => url.clone_into(&mut config.tables_mut(service).database_url),
                None => ServiceName::ALL.into_iter().for_each(|service| {
                    let url = &mut config.tables_mut(service).database_url;
                    if url.is_empty() {
                        url.clone_from(given);
                    }
                }),
            }
        }
        for given in &self.schemas {
            let (service, schema) = of_service(given)
                .ok_or_else(|| ReplayError::arguments(format!("--schema {given}: give SERVICE=NAME")))?;
            schema.clone_into(&mut config.tables_mut(service).schema);
        }
        let tables = ServiceName::ALL.into_iter().map(|service| (service, config.tables(service).clone()));
        Ok(tables.filter(|(_, tables)| !tables.database_url.is_empty()).collect())
    }
}

/// `SERVICE=VALUE`, where the first part is a service.
fn of_service(given: &str) -> Option<(ServiceName, &str)> {
    let (name, value) = given.split_once('=')?;
    let service = ServiceName::ALL.into_iter().find(|service| service.as_str() == name)?;
    Some((service, value))
}
