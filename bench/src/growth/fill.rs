//! Fills the services' tables with copies of orders that went all the way.
//!
//! The rows are those that the services wrote, with another order's id wherever an id stood, so that they are what the services
//! would have written, whatever tables and columns there are by now. A copy lies in the partition of its pattern, as the orders'
//! rows say which it is. What orders took from the stock is added to what left it. Not there: events in the topics.

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt as _, StreamExt as _, pin_mut};
use schemas::partitioner;
use tokio_postgres::Client;

use crate::error::{BenchError, Doing, Result};
use crate::pipeline::{number_of, order_id};

/// In the ids of the patterns.
pub(super) const TAG: &str = "pattern";
/// Orders that are copied.
pub(super) const PATTERNS: u64 = 1_000;

/// Every table that has rows of orders, with its columns, the order's id first; none that is computed.
const TABLES: &str = "\
    select format('%I.%I', n.nspname, c.relname), \
           string_agg(format('%I', a.attname), ', ' order by a.attname <> 'order_id', a.attnum) \
    from pg_class c join pg_namespace n on n.oid = c.relnamespace \
         join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' \
    where c.relkind = 'r' and n.nspname in ('orders', 'inventory', 'payments') \
    group by n.nspname, c.relname having bool_or(a.attname = 'order_id') order by 1";
/// What the patterns took, once more for each of their copies.
const SHIP: &str = "\
    update inventory.stock s set shipped = s.shipped + $1 * taken.pieces \
    from (select l.sku, sum(l.pieces)::bigint as pieces \
          from inventory.reservations r, lateral unnest(r.skus, r.quantities) as l (sku, pieces) \
          where r.order_id like 'pattern-%' group by l.sku) as taken \
    where s.sku = taken.sku";

/// The rows of the patterns.
pub(super) struct Pattern {
    tables: Vec<Table>,
    /// The id of each pattern, and its partition.
    ids: Vec<(String, i32)>,
    partitions: i32,
}

struct Table {
    /// `name (columns)`, as COPY wants it.
    into: String,
    /// COPY's lines, by the number of the pattern.
    lines: Vec<Vec<String>>,
}

impl Pattern {
    /// Reads what became of the patterns, which have all ended.
    pub(super) async fn of(client: &Client, partitions: u32) -> Result<Self> {
        let partitions = i32::try_from(partitions).map_err(BenchError::other)?;
        let mut ids = Vec::new();
        for number in 0..PATTERNS {
            let id = order_id(TAG, number)?.to_string();
            let partition = partitioner::partition_of(id.as_bytes(), partitions);
            ids.push((id, partition));
        }
        let mut tables = Vec::new();
        for row in client.query(TABLES, &[]).await.doing("looking up the tables")? {
            tables.push(Table::read(client, row.get(0), row.get(1)).await?);
        }
        Ok(Pattern { tables, ids, partitions })
    }

    /// Copies until there are so many orders, or a few hundred fewer.
    pub(super) async fn fill_to(&self, client: &Client, orders: u64) -> Result<()> {
        let count = "select count(*), count(*) filter (where order_id like 'filled-%') from orders.orders";
        let row = client.query_one(count, &[]).await.doing("counting orders")?;
        let [all, filled] = [row.get::<_, i64>(0), row.get(1)].map(|count| u64::try_from(count).unwrap_or_default());
        let copies = orders.saturating_sub(all) / PATTERNS;
        for copy in 0..copies {
            let first = filled + copy * PATTERNS;
            let ids: Vec<String> = self.ids.iter().zip(first..).map(|(of, number)| self.id(of, number)).collect();
            for table in &self.tables {
                table.copy(client, &self.ids, &ids).await?;
            }
        }
        let copies = i64::try_from(copies).map_err(BenchError::other)?;
        client.execute(SHIP, &[&copies]).await.doing("taking what was ordered from the stock")?;
        client.batch_execute("vacuum analyze").await.doing("settling the tables")?;
        client.batch_execute("checkpoint").await.doing("settling the database")
    }

    /// An id for the copy with this number, in the partition of its pattern.
    fn id(&self, of: &(String, i32), number: u64) -> String {
        let salted = |salt: u64| format!("filled-{number:010}-{salt}");
        let fits = |id: &String| partitioner::partition_of(id.as_bytes(), self.partitions) == of.1;
        // One of so many is in every partition, but by a chance that nobody meets.
        (0..10_000).map(salted).find(fits).unwrap_or_else(|| salted(0))
    }
}

impl Table {
    async fn read(client: &Client, name: String, columns: String) -> Result<Self> {
        let sql = format!("copy (select {columns} from {name} where order_id like 'pattern-%') to stdout");
        let stream = client.copy_out(&sql).await.doing("reading the patterns' rows")?;
        pin_mut!(stream);
        let mut text = Vec::new();
        while let Some(chunk) = stream.next().await {
            text.extend_from_slice(&chunk.doing("reading the patterns' rows")?);
        }
        let text = String::from_utf8(text).map_err(BenchError::other)?;
        let mut lines = vec![Vec::new(); usize::try_from(PATTERNS).map_err(BenchError::other)?];
        for line in text.lines() {
            let id = line.split('\t').next().unwrap_or_default();
            let number = number_of(TAG, id.as_bytes()).and_then(|number| usize::try_from(number).ok());
            let known = number.and_then(|number| lines.get_mut(number));
            known.ok_or_else(|| BenchError::other(format!("{name} has a row of {id}")))?.push(line.to_owned());
        }
        Ok(Table { into: format!("{name} ({columns})"), lines })
    }

    /// The rows of every pattern once more, under these ids.
    async fn copy(&self, client: &Client, patterns: &[(String, i32)], ids: &[String]) -> Result<()> {
        let sink = client.copy_in::<_, Bytes>(&format!("copy {} from stdin", self.into)).await;
        let sink = sink.doing("copying the patterns' rows")?;
        pin_mut!(sink);
        let mut chunk = BytesMut::new();
        for ((lines, (pattern, _)), id) in self.lines.iter().zip(patterns).zip(ids) {
            for line in lines {
                chunk.extend_from_slice(line.replace(pattern.as_str(), id).as_bytes());
                chunk.extend_from_slice(b"\n");
            }
            if chunk.len() > 1 << 16 {
                sink.send(chunk.split().freeze()).await.doing("copying the patterns' rows")?;
            }
        }
        sink.send(chunk.freeze()).await.doing("copying the patterns' rows")?;
        sink.finish().await.doing("copying the patterns' rows").map(|_| ())
    }
}
