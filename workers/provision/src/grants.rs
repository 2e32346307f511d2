//! The rights that a daemon's role needs on its service's schema: the least with which it runs.
//!
//! Whoever migrates owns the tables; `migrate --grants ROLE` gives a role that owns nothing what `schema` lists and what the
//! outbox needs. Every table that a migration makes is in the lists, with what its store does to it, or says why not.

use outbox::grants::{Right, Work};
use schemas::ServiceName;

use crate::schema;

/// A table that a daemon does not touch, as it does not touch the views for people: it is not used since version 2.
#[cfg(test)]
const UNUSED: &str = "timer_watermarks";

/// Everything: the service's own tables, its outbox as writer and as relay, and its inbox.
pub(crate) fn rights(service: ServiceName) -> Vec<Right> {
    let outbox = [Work::Write, Work::Relay, Work::Consume].map(Work::rights);
    [schema::of(service).rights].into_iter().chain(outbox).flatten().copied().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use dev_stack::{Stack, StackConfig};

    use super::*;
    use crate::Database;
    use crate::migrate;

    /// A right for a table that is not there would be passed over in silence, and a table without a right forgotten.
    #[tokio::test(flavor = "multi_thread")]
    async fn every_table_that_migrations_make_is_thought_of() {
        let stack = tokio::task::spawn_blocking(|| Stack::start_postgres(StackConfig::in_project())).await.unwrap();
        let stack = stack.unwrap();
        for service in ServiceName::ALL {
            let database = Database::open(&stack.database_url(), None, service.as_str(), "grants").unwrap();
            let mut client = database.client().await.unwrap();
            migrate::migrate(&mut client, service, service.as_str()).await.unwrap();
            let made: BTreeSet<String> =
                migrate::tables(&client, service.as_str()).await.unwrap().into_iter().collect();
            let named: BTreeSet<String> = rights(service).iter().map(|(table, _)| (*table).to_owned()).collect();
            let known: Vec<&str> = schema::views(service).iter().copied().chain([UNUSED]).collect();
            let forgotten: Vec<&String> = made.iter().filter(|table| !named.contains(*table)).collect();
            assert!(forgotten.iter().all(|table| known.contains(&table.as_str())), "{service}: {forgotten:?}");
            assert_eq!(named.difference(&made).collect::<Vec<_>>(), Vec::<&String>::new(), "{service}");
        }
    }
}
