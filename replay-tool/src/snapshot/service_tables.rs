//! Where a service keeps its tables.

use schemas::ServiceName;

/// Where a service keeps its tables.
#[derive(Clone, PartialEq, Eq)]
pub struct ServiceTables {
    /// A libpq URL, `sslmode` and `sslrootcert` included.
    pub database_url: String,
    /// The schema that holds the service's tables and those of its outbox and inbox.
    pub schema: String,
}

impl ServiceTables {
    /// A service's tables in this database, in the schema that is the service's default.
    pub fn of(service: ServiceName, database_url: &str) -> Self {
        ServiceTables { database_url: database_url.to_owned(), schema: service.default_schema().to_owned() }
    }
}

impl std::fmt::Debug for ServiceTables {
    /// Without the URL, which may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceTables").field("schema", &self.schema).finish_non_exhaustive()
    }
}
