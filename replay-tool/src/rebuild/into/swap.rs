//! Rebuilt tables put in the place of the live ones, in one transaction; what was there is kept in a schema of its own.
//!
//! Only tables of state change places. Outbox, inbox and runtime tables are no state: they stay where they are, so
//! sequences go on and positions are known. Where the database is behind its own topics (it was restored, or made anew),
//! the lanes' floors are raised to the topics' ends, so that the relay takes what is published for published, and begins
//! no epoch that would void it. Payment's open calls are then forgotten and its commands read again: those with an outcome
//! are answered from it, those without one open their call again, with the same key.
//!
//! The read model publishes nothing. Its tables change places where they were folded to exactly its positions, and it goes on there.
//!
//! Refused while anybody of the service is connected, while committed messages are not published, and when the topics
//! have gone on since they were folded.

use std::collections::HashMap;

use outbox::cut;
use outbox::inbox::Inbox;
use outbox::operate::adopt;
use postgres_protocol::escape::escape_identifier;
use schemas::ServiceName;
use tokio_postgres::Transaction;

use super::tail::Tail;
use crate::error::ReplayError;
use crate::keeper::Keeper;
use crate::log::Channel;
use crate::rebuild::unit::LaneEnd;
use crate::rows::table_names;
use crate::snapshot::{Connection, LaneCut, OutboxCut, ServiceTables, check_schema, company, read_inbox};

/// What a swap is to do.
#[derive(Debug)]
pub(crate) struct Swap<'s> {
    pub(crate) keeper: Keeper,
    pub(crate) live: &'s ServiceTables,
    /// The schema that was filled.
    pub(crate) rebuilt: &'s str,
    /// Where it was folded to, by the topics' full names and partitions.
    pub(crate) positions: &'s [(String, i32, i64)],
    /// How far it was folded.
    pub(crate) lanes: &'s [LaneEnd],
    /// Where the topics end now.
    pub(crate) tails: &'s [Tail],
    /// Read all commands again, whatever the inbox says: runtime tables were lost.
    pub(crate) reads_again: bool,
}

impl Swap<'_> {
    /// Do it; the name of the schema with what was there before.
    pub(crate) async fn run(&self) -> Result<String, ReplayError> {
        let mut connection = Connection::open(self.keeper, &self.live.database_url, &self.live.schema).await?;
        check_schema(&connection.client, self.keeper, &self.live.schema).await?;
        let swapped = self.in_transaction(&mut connection).await;
        connection.close().await;
        swapped
    }

    async fn in_transaction(&self, connection: &mut Connection) -> Result<String, ReplayError> {
        let failed = connection.failed("swapping");
        let live = connection.quoted().to_owned();
        let tx = connection.client.transaction().await.map_err(&failed)?;
        if let Some(company) = company(&tx, self.keeper, &self.live.schema).await? {
            return Err(self.refused(company));
        }
        let tables = table_names(self.keeper);
        let locked: Vec<String> = tables.iter().map(|table| format!("{live}.{table}")).collect();
        let lock = format!("lock table {} in access exclusive mode", locked.join(", "));
        tx.batch_execute(&lock).await.map_err(&failed)?;
        // Who came between the look and the lock waits for it, and finds the new tables.
        let views = match self.keeper {
            Keeper::Service(service) => {
                self.take_over(&tx, service).await?;
                provision::schema::views(service)
            }
            Keeper::View => {
                self.refuse_moved(&tx).await?;
                &[]
            }
        };
        let before = format!("{}_before_{}", self.live.schema, jiff::Timestamp::now().strftime("%Y%m%dt%H%M%Sz"));
        let (kept, rebuilt) = (escape_identifier(&before), escape_identifier(self.rebuilt));
        let privileges = privileges_sql(&self.live.schema, self.rebuilt, &tables);
        let mut sql = format!("create schema {kept}; {privileges};");
        for (kind, name) in views.iter().map(|view| ("view", view)).chain(tables.iter().map(|table| ("table", table))) {
            sql.push_str(&format!(
                "alter {kind} {live}.{name} set schema {kept}; alter {kind} {rebuilt}.{name} set schema {live};"
            ));
        }
        sql.push_str(&format!("drop schema {rebuilt} cascade"));
        tx.batch_execute(&sql).await.map_err(&failed)?;
        tx.commit().await.map_err(&failed)?;
        Ok(before)
    }

    /// What a service has said is all in its state, and its runtime tables go with that.
    async fn take_over(&self, tx: &Transaction<'_>, service: ServiceName) -> Result<(), ReplayError> {
        let cut = cut::read(tx.client(), &self.live.schema).await.map_err(ReplayError::outbox(service))?;
        self.refuse_unpublished(&cut)?;
        self.refuse_behind()?;
        let is_behind = self.raise_floors(tx).await?;
        self.mend_runtime(tx, service, is_behind).await
    }

    /// The read model goes on from its positions, so they have to be those that were folded to.
    async fn refuse_moved(&self, tx: &Transaction<'_>) -> Result<(), ReplayError> {
        let inbox = read_inbox(self.keeper, tx.client(), &self.live.schema).await?;
        let moved = self.positions.iter().find(|(topic, partition, at)| inbox.resume(topic, *partition) != *at);
        match moved {
            None => Ok(()),
            Some((topic, partition, at)) => Err(self.refused(format!(
                "{topic}[{partition}] was folded to offset {at}, and the read model stands at {}; rebuild again",
                inbox.resume(topic, *partition)
            ))),
        }
    }

    fn refuse_unpublished(&self, cut: &OutboxCut) -> Result<(), ReplayError> {
        let tails: HashMap<(&str, i32), i64> = self
            .tails
            .iter()
            .filter_map(|tail| Some(((tail.topic.as_str(), tail.partition), tail.last?.sequence)))
            .collect();
        for ((topic, partition), LaneCut { head, .. }) in &cut.lanes {
            let published = tails.get(&(topic.as_str(), *partition)).copied().unwrap_or(0);
            if *head > published {
                return Err(self.refused(format!(
                    "the outbox holds {topic}[{partition}] up to sequence {head}, but only {published} is published; \
                     let a worker or outbox-relay publish the rest first"
                )));
            }
        }
        Ok(())
    }

    fn refuse_behind(&self) -> Result<(), ReplayError> {
        for lane in self.lanes {
            let channel = Channel::Messages(lane.topic);
            let is_it = |tail: &&Tail| tail.channel == channel && tail.partition == lane.partition;
            let end = self.tails.iter().find(is_it).and_then(|tail| tail.last).map(|last| last.sequence);
            let folded = lane.highest.map(|(_, sequence)| sequence);
            if end != folded {
                let told =
                    |sequence: Option<i64>| sequence.map_or("nothing".to_owned(), |sequence| sequence.to_string());
                return Err(self.refused(format!(
                    "{}[{}] was folded up to sequence {}, and continues to {}; rebuild again",
                    lane.topic,
                    lane.partition,
                    told(folded),
                    told(end)
                )));
            }
        }
        Ok(())
    }

    /// Whether the topics were ahead of the outbox anywhere.
    async fn raise_floors(&self, tx: &Transaction<'_>) -> Result<bool, ReplayError> {
        let tails: Vec<adopt::Tail> = self.tails.iter().map(Tail::to_adopt).collect();
        let raised = adopt::raise(tx, &self.live.schema, &tails).await;
        raised.map(|lanes| lanes > 0).map_err(ReplayError::outbox(self.keeper))
    }

    /// Runtime tables that would contradict the state.
    async fn mend_runtime(
        &self,
        tx: &Transaction<'_>,
        service: ServiceName,
        is_behind: bool,
    ) -> Result<(), ReplayError> {
        let failed = ReplayError::database(service, "mending the runtime tables");
        if service == ServiceName::Order {
            // Deadlines are looked at again from the beginning; those that were met are passed over.
            tx.batch_execute("delete from timer_watermarks").await.map_err(&failed)?;
        }
        let calls_are_void = service == ServiceName::Payment && (is_behind || self.reads_again);
        if calls_are_void {
            tx.batch_execute("delete from payment_calls").await.map_err(&failed)?;
        }
        if calls_are_void || self.reads_again {
            let inbox = Inbox::new(&self.live.schema).map_err(ReplayError::outbox(service))?;
            inbox.rewind(tx).await.map_err(ReplayError::outbox(service))?;
        }
        Ok(())
    }

    fn refused(&self, reason: String) -> ReplayError {
        ReplayError::tables(self.keeper, format!("not swapped: {reason}"))
    }
}

/// Owners and grants of the live tables, given to the rebuilt ones.
fn privileges_sql(live: &str, rebuilt: &str, tables: &[&str]) -> String {
    let names: Vec<String> = tables.iter().map(|table| format!("'{table}'")).collect();
    let literal = |text: &str| format!("'{}'", text.replace('\'', "''"));
    format!(
        "do $do$ declare one record; begin \
         for one in select c.relname, pg_get_userbyid(c.relowner) as owner, a.privilege_type, a.is_grantable, \
                coalesce(nullif(quote_ident(pg_get_userbyid(nullif(a.grantee, 0))), ''), 'public') as grantee \
             from pg_class c join pg_namespace n on n.oid = c.relnamespace \
             left join lateral aclexplode(c.relacl) a on true \
             where n.nspname = {} and c.relname in ({}) loop \
           execute format('alter table %I.%I owner to %I', {rebuilt}, one.relname, one.owner); \
           if one.privilege_type is not null then \
             execute format('grant %s on %I.%I to %s%s', one.privilege_type, {rebuilt}, one.relname, one.grantee, \
                case when one.is_grantable then ' with grant option' else '' end); \
           end if; \
         end loop; end $do$",
        literal(live),
        names.join(", "),
        rebuilt = literal(rebuilt)
    )
}
