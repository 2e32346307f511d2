//! Flags that say where the services' tables are.

use clap::Args;
use schemas::ServiceName;

use crate::error::ReplayError;
use crate::keeper::Keeper;
use crate::snapshot::ServiceTables;

/// Where the services' tables are.
#[derive(Debug, Args)]
pub(crate) struct TablesArgs {
    /// Where the services' tables are: one URL for all, or SERVICE=URL for one; may be repeated.
    ///
    /// Services are order, inventory, payment, and view for the read model; a service's own URL goes before that of all. Otherwise DATABASE_URL.
    #[arg(long = "database-url", value_name = "[SERVICE=]URL")]
    database_urls: Vec<String>,
    /// The same from the environment, kept apart: beside an archive it is enough to read, and not to write.
    #[arg(long, env = "DATABASE_URL", hide = true, hide_env_values = true, value_name = "URL")]
    database_of_environment: Option<String>,
    /// The schema of a service's tables, where it is not orders, inventory, payments or view; may be repeated.
    #[arg(long = "schema", value_name = "SERVICE=NAME")]
    schemas: Vec<String>,
}

impl TablesArgs {
    /// The services whose tables were named, without the read model.
    pub(crate) fn of_services(&self) -> Result<Vec<(ServiceName, ServiceTables)>, ReplayError> {
        self.given().map(services)
    }

    /// The same of those that a flag names.
    pub(super) fn of_services_by_flags(&self) -> Result<Vec<(ServiceName, ServiceTables)>, ReplayError> {
        self.named_by_flags().map(services)
    }

    /// Whether the read model's were named by themselves, and not by one URL for all.
    pub(super) fn names_view(&self) -> bool {
        let of_view = |given: &String| of_keeper(given).is_some_and(|(keeper, _)| keeper == Keeper::View);
        self.database_urls.iter().chain(&self.schemas).any(of_view)
    }

    /// All whose tables were named.
    pub(crate) fn given(&self) -> Result<Vec<(Keeper, ServiceTables)>, ReplayError> {
        let environment = self.database_of_environment.as_slice();
        self.named_by(if self.database_urls.is_empty() { environment } else { &self.database_urls })
    }

    /// Those whose tables a verb may write to that reads from an archive: those that a flag names.
    pub(super) fn named_by_flags(&self) -> Result<Vec<(Keeper, ServiceTables)>, ReplayError> {
        self.named_by(&self.database_urls)
    }

    fn named_by(&self, urls: &[String]) -> Result<Vec<(Keeper, ServiceTables)>, ReplayError> {
        let mut all = Keeper::ALL.map(|keeper| (keeper, ServiceTables::of(keeper, "")));
        for given in urls {
            let own = of_keeper(given);
            let (service, url) = own.map_or((None, given.as_str()), |(service, url)| (Some(service), url));
            for (of, tables) in &mut all {
                // One service's own URL goes before that of all.
                if service == Some(*of) || (service.is_none() && tables.database_url.is_empty()) {
                    url.clone_into(&mut tables.database_url);
                }
            }
        }
        for given in &self.schemas {
            let (service, schema) = of_keeper(given)
                .ok_or_else(|| ReplayError::arguments(format!("--schema {given}: give SERVICE=NAME")))?;
            all.iter_mut().filter(|(of, _)| *of == service).for_each(|(_, own)| schema.clone_into(&mut own.schema));
        }
        Ok(all.into_iter().filter(|(_, tables)| !tables.database_url.is_empty()).collect())
    }
}

fn services(all: Vec<(Keeper, ServiceTables)>) -> Vec<(ServiceName, ServiceTables)> {
    let of_service = |(keeper, tables): (Keeper, ServiceTables)| match keeper {
        Keeper::Service(service) => Some((service, tables)),
        Keeper::View => None,
    };
    all.into_iter().filter_map(of_service).collect()
}

/// `SERVICE=VALUE`, where the first part is a service, or the read model.
fn of_keeper(given: &str) -> Option<(Keeper, &str)> {
    let (name, value) = given.split_once('=')?;
    Some((Keeper::parse(name)?, value))
}
