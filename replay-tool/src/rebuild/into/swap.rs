//! Rebuilt tables put in the place of the live ones, in one transaction; what was there is kept in a schema of its own.
//!
//! Only tables of state change places. Outbox, inbox and runtime tables are no state: they stay where they are, so
//! sequences go on and positions are known. Where the database is behind its own topics (it was restored, or made anew),
//! the lanes' floors are raised to the topics' ends, so that the relay takes what is published for published, and begins
//! no epoch that would void it. Payment's open calls are then forgotten and its commands read again: those with an outcome
//! are answered from it, those without one open their call again, with the same key.
//!
//! Refused while anybody of the service is connected, while committed messages are not published, and when the topics
//! have gone on since they were folded.

use std::collections::HashMap;

use outbox::Epochs;
use schemas::ServiceName;
use tokio_postgres::Transaction;

use super::tail::{Last, Tail};
use crate::error::ReplayError;
use crate::log::Channel;
use crate::rebuild::unit::LaneEnd;
use crate::rows::table_names;
use crate::snapshot::{Connection, LaneCut, OutboxCut, ServiceTables, company, read_cut};

/// Views of tables of state.
fn views(service: ServiceName) -> &'static [&'static str] {
    match service {
        ServiceName::Order => &["order_lines"],
        ServiceName::Inventory | ServiceName::Payment => &[],
    }
}

/// What a swap is to do.
#[derive(Debug)]
pub(crate) struct Swap<'s> {
    pub(crate) service: ServiceName,
    pub(crate) live: &'s ServiceTables,
    /// The schema that was filled.
    pub(crate) rebuilt: &'s str,
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
        let mut connection = Connection::open(self.service, &self.live.database_url, &self.live.schema).await?;
        let checked = workers::migrate::check(&connection.client, self.service, &self.live.schema).await;
        checked.map_err(|failure| self.refused(failure.to_string()))?;
        let swapped = self.in_transaction(&mut connection).await;
        connection.close().await;
        swapped
    }

    async fn in_transaction(&self, connection: &mut Connection) -> Result<String, ReplayError> {
        let failed = connection.failed("swapping");
        let live = connection.quoted().to_owned();
        let tx = connection.client.transaction().await.map_err(&failed)?;
        if let Some(company) = company(&tx, self.service, &self.live.schema).await? {
            return Err(self.refused(company));
        }
        let (tables, views) = (table_names(self.service), views(self.service));
        let locked: Vec<String> = tables.iter().map(|table| format!("{live}.{table}")).collect();
        let lock = format!("lock table {} in access exclusive mode", locked.join(", "));
        tx.batch_execute(&lock).await.map_err(&failed)?;
        // Who came between the look and the lock waits for it, and finds the new tables.
        let cut = read_cut(self.service, tx.client()).await?;
        self.refuse_unpublished(&cut)?;
        self.refuse_behind()?;
        let is_behind = self.raise_floors(&tx, &cut).await?;
        self.mend_runtime(&tx, is_behind).await.map_err(&failed)?;
        let before = format!("{}_before_{}", self.live.schema, jiff::Timestamp::now().strftime("%Y%m%dt%H%M%Sz"));
        let (kept, rebuilt) = (quoted(&before), quoted(self.rebuilt));
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
                    "{}[{}] was folded up to sequence {}, and goes on to {}; rebuild again",
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
    async fn raise_floors(&self, tx: &Transaction<'_>, cut: &OutboxCut) -> Result<bool, ReplayError> {
        let failed = ReplayError::database(self.service, "raising the outbox' floors");
        let mut is_behind = false;
        let mut registered: HashMap<&str, i16> = HashMap::new();
        for tail in self.tails {
            let Some(last) = tail.last else { continue };
            let known = cut.lanes.get(&(tail.topic.clone(), tail.partition));
            if known.is_some_and(|lane| lane.head >= last.sequence) {
                continue;
            }
            is_behind = true;
            if known.is_none() && !registered.contains_key(tail.topic.as_str()) {
                let partitions = self.tails.iter().filter(|other| other.topic == tail.topic).count();
                let partitions = i32::try_from(partitions).unwrap_or(i32::MAX);
                let sql = "select outbox_register($1, $2)";
                let row = tx.query_one(sql, &[&tail.topic, &partitions]).await.map_err(&failed)?;
                registered.insert(&tail.topic, row.get(0));
            }
            raise(tx, tail, last, known.map(|lane| &lane.epochs)).await.map_err(&failed)?;
        }
        Ok(is_behind)
    }

    /// Runtime tables that would contradict the state.
    async fn mend_runtime(&self, tx: &Transaction<'_>, is_behind: bool) -> Result<(), tokio_postgres::Error> {
        if self.service == ServiceName::Order {
            // Deadlines are looked at again from the beginning; those that were met are passed over.
            tx.batch_execute("delete from timer_watermarks").await?;
        }
        let calls_are_void = self.service == ServiceName::Payment && (is_behind || self.reads_again);
        if calls_are_void {
            tx.batch_execute("delete from payment_calls").await?;
        }
        if calls_are_void || self.reads_again {
            let sql = "update inbox_offsets \
                       set next_offset = null, witness_offset = null, witness_digest = null, topic_id = null; \
                       delete from inbox_positions";
            tx.batch_execute(sql).await?;
        }
        Ok(())
    }

    fn refused(&self, reason: String) -> ReplayError {
        ReplayError::Tables { service: self.service, reason: format!("not swapped: {reason}") }
    }
}

/// What is published counts as published, and as pruned: the outbox has no rows of it.
async fn raise(
    tx: &Transaction<'_>,
    tail: &Tail,
    last: Last,
    known: Option<&Epochs>,
) -> Result<(), tokio_postgres::Error> {
    let sql = "update outbox_lanes l set floor = greatest(l.floor, $3), pruned = greatest(l.pruned, $3) \
               from outbox_topics t where t.id = l.topic_id and t.name = $1 and l.partition = $2 returning l.lane";
    let row = tx.query_one(sql, &[&tail.topic, &tail.partition, &last.sequence]).await?;
    let lane: i32 = row.get(0);
    for epoch in tail.epochs.iter() {
        let is_known = known.is_some_and(|known| known.iter().any(|one| one.epoch == epoch.epoch));
        if !is_known {
            let sql = "insert into outbox_epochs (lane, epoch, first, last_equal) values ($1, $2, $3, $4)";
            tx.execute(sql, &[&lane, &epoch.epoch, &epoch.first, &epoch.last_equal]).await?;
        }
    }
    let sql = "insert into outbox_positions (lane, epoch, sequence, kafka_offset) values ($1, $2, $3, $4) \
               on conflict (lane) do update \
               set epoch = excluded.epoch, sequence = excluded.sequence, kafka_offset = excluded.kafka_offset";
    tx.execute(sql, &[&lane, &last.epoch, &last.sequence, &last.offset]).await?;
    Ok(())
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

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
