//! Where a service, or the read model, keeps its tables.

use crate::keeper::Keeper;

/// Where a service, or the read model, keeps its tables.
#[derive(Clone, PartialEq, Eq)]
pub struct ServiceTables {
    /// A libpq URL, `sslmode` and `sslrootcert` included.
    pub database_url: String,
    /// The schema that holds the service's tables and those of its outbox and inbox.
    pub schema: String,
}

impl ServiceTables {
    /// The tables in this database, in the schema that is their keeper's default.
    pub fn of(keeper: impl Into<Keeper>, database_url: &str) -> Self {
        let schema = keeper.into().default_schema().to_owned();
        ServiceTables { database_url: database_url.to_owned(), schema }
    }
}

impl std::fmt::Debug for ServiceTables {
    /// Without the URL, which may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceTables").field("schema", &self.schema).finish_non_exhaustive()
    }
}
