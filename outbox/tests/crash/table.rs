//! What the database holds: the outbox's rows per lane, the writers' own table, what the consumer took and folded.
//!
//! Read as anybody may read it. What an epoch voids is worked out here once more, apart from the crate.

use std::collections::{BTreeMap, BTreeSet};

use outbox::Client;
use uuid::Uuid;

use crate::Outcome;

/// A topic partition.
pub(crate) type At = (String, i32);

/// A row of the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) epoch: i64,
    pub(crate) sequence: i64,
    pub(crate) id: Uuid,
    pub(crate) body: String,
}

/// An epoch after the first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Epoch {
    pub(crate) epoch: i64,
    pub(crate) first: i64,
    pub(crate) last_equal: i64,
}

/// The epochs of one lane, ascending.
#[derive(Debug, Clone, Default)]
pub(crate) struct Epochs(Vec<Epoch>);

impl Epochs {
    /// The epoch in which the table has this sequence; none if it is void.
    pub(crate) fn of(&self, sequence: i64) -> Option<i64> {
        let void = self.0.iter().any(|epoch| epoch.last_equal < sequence && sequence < epoch.first);
        let last = self.0.iter().rev().find(|epoch| epoch.first <= sequence);
        (!void).then(|| last.map_or(1, |epoch| epoch.epoch))
    }
}

/// One lane.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lane {
    pub(crate) epochs: Epochs,
    /// Rows up to this sequence may have been truncated.
    pub(crate) pruned: i64,
    /// The rows that count and are there, in their order.
    pub(crate) rows: Vec<Row>,
}

/// The writers' database.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) lanes: BTreeMap<At, Lane>,
    /// Transactions that the writers' own table holds.
    pub(crate) own: BTreeSet<String>,
}

/// What the consumer keeps.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// Per partition, in the order in which it was taken: epoch, its first sequence, sequence, body.
    pub(crate) rows: BTreeMap<At, Vec<(i64, i64, i64, String)>>,
    /// Per key: how many, and a number that depends on all of them in their order.
    pub(crate) folded: BTreeMap<String, (i64, i64)>,
}

impl Table {
    pub(crate) async fn load(client: &Client) -> Outcome<Self> {
        client.batch_execute("begin isolation level repeatable read read only").await?;
        let loaded = Self::load_here(client).await;
        client.batch_execute("commit").await?;
        loaded
    }

    async fn load_here(client: &Client) -> Outcome<Self> {
        let mut table = Self::default();
        let mut at_lane: BTreeMap<i32, At> = BTreeMap::new();
        let lanes =
            "select lane, name, partition, pruned from shop.outbox_lanes join shop.outbox_topics t on t.id = topic_id";
        for row in client.query(lanes, &[]).await? {
            let at: At = (row.get(1), row.get(2));
            at_lane.insert(row.get(0), at.clone());
            table.lanes.insert(at, Lane { pruned: row.get(3), ..Lane::default() });
        }
        let epochs = "select lane, epoch, first, last_equal from shop.outbox_epochs order by lane, epoch";
        for row in client.query(epochs, &[]).await? {
            let epoch = Epoch { epoch: row.get(1), first: row.get(2), last_equal: row.get(3) };
            table.lane(&at_lane, row.get(0))?.epochs.0.push(epoch);
        }
        let rows = "select lane, sequence, id, convert_from(payload, 'UTF8') from shop.outbox_messages order by 1, 2";
        for row in client.query(rows, &[]).await? {
            let lane = table.lane(&at_lane, row.get(0))?;
            let sequence = row.get(1);
            if let Some(epoch) = lane.epochs.of(sequence) {
                lane.rows.push(Row { epoch, sequence, id: row.get(2), body: row.get(3) });
            }
        }
        let own = client.query("select name from app.transactions", &[]).await?;
        table.own = own.iter().map(|row| row.get(0)).collect();
        Ok(table)
    }

    fn lane(&mut self, at_lane: &BTreeMap<i32, At>, lane: i32) -> Outcome<&mut Lane> {
        let lane = at_lane.get(&lane).and_then(|at| self.lanes.get_mut(at));
        Ok(lane.ok_or("the table has a lane that is not registered")?)
    }
}

impl Taken {
    pub(crate) async fn load(client: &Client) -> Outcome<Self> {
        client.batch_execute("begin isolation level repeatable read read only").await?;
        let rows = "select topic, partition, epoch, first, sequence, body from reader.taken order by 1, 2, n";
        let rows = client.query(rows, &[]).await;
        let folded = client.query("select key, count, chain from reader.folded", &[]).await;
        client.batch_execute("commit").await?;
        let mut taken = Self::default();
        for row in rows? {
            let of_partition = taken.rows.entry((row.get(0), row.get(1))).or_default();
            of_partition.push((row.get(2), row.get(3), row.get(4), row.get(5)));
        }
        taken.folded = folded?.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect();
        Ok(taken)
    }
}
