//! The services' tables, as a test looks at them.
//!
//! All three schemas are in one database, so that one snapshot shows them all. Only reads, and what a test does to the
//! tables on purpose.

use std::collections::{BTreeMap, HashMap};

use outbox::inbox::Inbox;
use provision::Database;
use provision::migrate::{grant, migrate};
use tokio_postgres::config::Host;
use tokio_postgres::types::ToSql;
use tokio_postgres::{IsolationLevel, Row};

use crate::{Outcome, trouble};
use schemas::ServiceName;

/// An order as its table has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderRow {
    /// How far it is.
    pub stage: String,
    /// What it waits for while it is undone.
    pub awaiting: Option<String>,
    /// Why it is or was undone.
    pub cancel_reason: Option<String>,
    /// The number of its events.
    pub version: i64,
}

impl OrderRow {
    /// Whether the machine is done with it, and not stuck.
    pub fn has_ended(&self) -> bool {
        matches!(self.stage.as_str(), "completed" | "cancelled")
    }
}

/// What the outboxes and inboxes said at one instant.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Next offset per topic (with prefix) and partition that a service reads.
    pub(crate) next_offsets: HashMap<(String, i32), i64>,
    /// Highest sequence per topic (with prefix) and partition that a service writes, and the service.
    pub(crate) heads: HashMap<(String, i32), (ServiceName, i64)>,
    /// Provider calls under way.
    pub(crate) open_calls: i64,
}

/// How a role connects to the database of this URL, in the other notation; its password is its name.
fn words_of(url: &str, role: &str) -> Outcome<String> {
    let config: tokio_postgres::Config = url.parse()?;
    let host = match config.get_hosts() {
        [Host::Tcp(host), ..] => host.clone(),
        [Host::Unix(folder), ..] => folder.display().to_string(),
        [] => return Err(trouble("the database's URL names no host")),
    };
    let (port, name) = (config.get_ports().first().unwrap_or(&5432), config.get_dbname().unwrap_or_default());
    Ok(format!("host={host} port={port} user={role} password={role} dbname={name}"))
}

/// The tables.
pub struct Tables {
    database: Database,
}

impl Tables {
    pub(crate) async fn create(url: &str) -> Outcome<Self> {
        let tables = Tables { database: Database::open(url, None, "public", "tests")? };
        let mut client = tables.database.client().await?;
        for service in ServiceName::ALL {
            migrate(&mut client, service, service.default_schema()).await?;
        }
        drop(client);
        Ok(tables)
    }

    /// Makes a role that owns nothing and may do in the services' schemas what their daemons need, and no more; the words by
    /// which a daemon connects as this role.
    pub(crate) async fn create_role(&self, url: &str, role: &str) -> Outcome<String> {
        let mut client = self.database.client().await?;
        client.batch_execute(&format!("create role {role} login password '{role}'")).await?;
        for service in ServiceName::ALL {
            grant(&mut client, service, service.default_schema(), role).await?;
        }
        words_of(url, role)
    }

    /// Makes a role that may only read, with the statements that docs/postgres.md gives.
    pub(crate) async fn create_reader(&self, url: &str, role: &str) -> Outcome<String> {
        let client = self.database.client().await?;
        let statements = format!(
            "create role {role} login password '{role}'; \
             grant usage on schema orders, inventory, payments to {role}; \
             grant select on all tables in schema orders, inventory, payments to {role}"
        );
        client.batch_execute(&statements).await?;
        words_of(url, role)
    }

    /// Runs a query; tables are named with their schema: `orders`, `inventory`, `payments`.
    pub async fn query(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Outcome<Vec<Row>> {
        Ok(self.database.client().await?.query(sql, parameters).await?)
    }

    /// The one number that a query gives.
    pub async fn number(&self, sql: &str) -> Outcome<i64> {
        Ok(self.database.client().await?.query_one(sql, &[]).await?.try_get(0)?)
    }

    /// Changes something on purpose; how many rows.
    pub async fn execute(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Outcome<u64> {
        Ok(self.database.client().await?.execute(sql, parameters).await?)
    }

    /// Runs statements without parameters, one after another in one session.
    pub async fn script(&self, sql: &str) -> Outcome {
        Ok(self.database.client().await?.batch_execute(sql).await?)
    }

    /// All orders by id.
    pub async fn orders(&self) -> Outcome<BTreeMap<String, OrderRow>> {
        let rows =
            self.query("select order_id, stage, awaiting, cancel_reason, version from orders.orders", &[]).await?;
        let row_of = |row: Row| {
            let (stage, awaiting, cancel_reason, version) = (row.get(1), row.get(2), row.get(3), row.get(4));
            (row.get(0), OrderRow { stage, awaiting, cancel_reason, version })
        };
        Ok(rows.into_iter().map(row_of).collect())
    }

    /// How many orders are at each stage.
    pub async fn stages(&self) -> Outcome<BTreeMap<String, usize>> {
        let mut stages = BTreeMap::new();
        for order in self.orders().await?.into_values() {
            *stages.entry(order.stage).or_default() += 1;
        }
        Ok(stages)
    }

    pub(crate) async fn progress(&self) -> Outcome<Progress> {
        let mut client = self.database.client().await?;
        let snapshot = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
        let snapshot = snapshot.start().await?;
        let mut progress = Progress::default();
        for service in ServiceName::ALL {
            let schema = service.default_schema();
            for (at, state) in Inbox::new(schema)?.load_all(snapshot.client()).await? {
                progress.next_offsets.insert((at.topic, at.partition), state.next_offset.unwrap_or(0));
            }
            let cut = outbox::cut::read(snapshot.client(), schema).await?;
            let heads = cut.lanes.into_iter().filter(|(_, lane)| lane.head > 0);
            progress.heads.extend(heads.map(|(place, lane)| (place, (service, lane.head))));
        }
        progress.open_calls = snapshot.query_one("select count(*) from payments.payment_calls", &[]).await?.get(0);
        snapshot.commit().await?;
        Ok(progress)
    }
}
