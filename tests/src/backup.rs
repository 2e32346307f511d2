//! Backups: one service's tables, as a dump has them, and the whole database, as a snapshot of the server has it.
//!
//! Both are of one instant, and putting them back ends every session that knew what was there, as a restore does. No program of
//! Postgres is asked for it: the development servers have none but the server itself.

use provision::Database;
use schemas::ServiceName;

use crate::{LONG, Outcome, Pipeline, Tables, until};

impl Tables {
    /// Copies a service's tables into the schema `<its schema>_backup`.
    pub async fn back_up(&self, service: ServiceName) -> Outcome {
        let schema = service.default_schema();
        self.script(&format!(
            "begin isolation level repeatable read; do $$ declare one record; begin \
               create schema {schema}_backup; \
               for one in select tablename from pg_tables where schemaname = '{schema}' order by 1 loop \
                 execute format('create table {schema}_backup.%I as table {schema}.%I', one.tablename, one.tablename); \
               end loop; end $$; commit"
        ))
        .await
    }

    /// Puts them back. Triggers would take the rows for new ones. Beside daemons that run it may lose to one of their
    /// transactions, and can be called again.
    pub async fn set_back(&self, service: ServiceName) -> Outcome {
        let schema = service.default_schema();
        self.script(&format!(
            "rollback; begin; set local session_replication_role = replica; do $$ declare one record; begin \
               execute (select 'truncate ' || string_agg(format('{schema}.%I', tablename), ', ') \
                 from pg_tables where schemaname = '{schema}'); \
               for one in select table_name, string_agg(quote_ident(column_name), ', ') as columns \
                   from information_schema.columns join pg_tables on schemaname = table_schema and tablename = table_name \
                   where table_schema = '{schema}' and is_generated = 'NEVER' group by 1 loop \
                 execute format('insert into {schema}.%I (%s) select %s from {schema}_backup.%I', \
                   one.table_name, one.columns, one.columns, one.table_name); \
               end loop; end $$; \
             select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() \
               and application_name in ('{service}-worker', 'outbox-relay {schema}', 'outbox-relay-operator {schema}'); commit"
        ))
        .await
    }
}

impl Pipeline {
    /// Keeps the whole database as it is now; nobody is connected meanwhile.
    pub async fn take_snapshot(&self) -> Outcome {
        let name = self.database_name();
        self.alone(&format!("create database {name}_snapshot template {name}")).await?;
        self.on_server(&format!("alter database {name} with allow_connections true")).await
    }

    /// Sets the whole database back to the snapshot, and ends every session.
    pub async fn restore_snapshot(&self) -> Outcome {
        let name = self.database_name();
        self.alone(&format!("drop database {name}")).await?;
        self.on_server(&format!("create database {name} template {name}_snapshot")).await
    }

    /// Runs a statement that nobody else may be connected for, and lets nobody in again.
    async fn alone(&self, statement: &str) -> Outcome {
        let name = self.database_name();
        self.on_server(&format!("alter database {name} with allow_connections false")).await?;
        until("nobody is connected", LONG, async || {
            let others = format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'");
            self.on_server(&others).await?;
            self.on_server(statement).await
        })
        .await
    }

    async fn on_server(&self, statement: &str) -> Outcome {
        let server = Database::open(&self.servers().stack().database_url(), None, "public", "tests")?;
        Ok(server.client().await?.batch_execute(statement).await?)
    }

    /// It has the name of the role that daemons connect as.
    fn database_name(&self) -> &str {
        self.daemons_role()
    }
}
