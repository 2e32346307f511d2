//! The shop's tables in one database, and the three transactions of an order: reserve, pay, confirm.
//!
//! The tables have the shape of the pipeline's: lines as arrays, stock as sums per SKU, a reservation and a payment per order.
//! Each step does nothing when it was done before, since engines may call it again after a crash. Nobody is declined and
//! there is always enough stock, as in the pipeline's benchmark, so nothing is ever undone.

use std::sync::Arc;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Transaction};
use tokio_postgres::NoTls;

use crate::Result;
use crate::order::{Order, SKUS, sku};

/// Pieces of every SKU: more than any load takes.
const PIECES: i64 = 1_000_000_000_000;

/// A step of an order: one transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The order with its reservation of stock.
    Reserve,
    /// The payment, authorized and captured.
    Pay,
    /// The order is confirmed and its stock shipped.
    Confirm,
}

impl Step {
    /// All of them, in their order.
    pub const ALL: [Step; 3] = [Step::Reserve, Step::Pay, Step::Confirm];

    /// Its name, as engines keep it.
    pub fn name(self) -> &'static str {
        match self {
            Step::Reserve => "reserve",
            Step::Pay => "pay",
            Step::Confirm => "confirm",
        }
    }
}

/// The shop; cheap to clone.
#[derive(Clone)]
pub struct Shop {
    pool: Pool,
}

impl Shop {
    /// Makes the tables in an empty database and fills the stock.
    ///
    /// # Errors
    /// When Postgres refuses.
    pub async fn open(database_url: &str, connections: usize) -> Result<Arc<Self>> {
        let config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(database_url.parse()?, NoTls, config);
        let shop = Shop { pool: Pool::builder(manager).max_size(connections).build()? };
        let client = shop.pool.get().await?;
        client.batch_execute(include_str!("tables.sql")).await?;
        let skus: Vec<String> = (0..SKUS).map(sku).collect();
        client.execute("insert into stock (sku, received) select unnest($1::text[]), $2", &[&skus, &PIECES]).await?;
        for settle in ["vacuum analyze", "checkpoint"] {
            client.batch_execute(settle).await?;
        }
        drop(client);
        Ok(Arc::new(shop))
    }

    /// Takes one step of an order, if it was not taken before.
    ///
    /// # Errors
    /// When Postgres refuses, or there is not enough stock.
    pub async fn take(&self, step: Step, order: &Order) -> Result<()> {
        match step {
            Step::Reserve => self.reserve(order).await,
            Step::Pay => self.pay(order).await,
            Step::Confirm => self.confirm(order).await,
        }
    }

    /// First step: the order with its reservation of stock.
    async fn reserve(&self, order: &Order) -> Result<()> {
        let mut client = self.pool.get().await?;
        let transaction = client.transaction().await?;
        let (skus, quantities) = order.pieces();
        let line_skus: Vec<&str> = order.lines.iter().map(|line| line.sku.as_str()).collect();
        let line_quantities: Vec<i64> = order.lines.iter().map(|line| line.quantity).collect();
        let prices: Vec<i64> = order.lines.iter().map(|line| line.unit_price_minor).collect();
        let insert = transaction
            .prepare_cached(
                "insert into orders (order_id, customer_id, currency, total_minor, skus, quantities, unit_prices_minor, stage, version) \
                 values ($1, $2, $3, $4, $5, $6, $7, 'reserved', 1) on conflict do nothing",
            )
            .await?;
        let (total, id) = (order.total_minor(), &order.id);
        let inserted = transaction
            .execute(&insert, &[id, &order.customer, &order.currency, &total, &line_skus, &line_quantities, &prices])
            .await?;
        if inserted == 0 {
            return Ok(());
        }
        let reservation = transaction
            .prepare_cached(
                "insert into reservations (order_id, skus, quantities, state, version) values ($1, $2, $3, 'reserved', 1)",
            )
            .await?;
        transaction.execute(&reservation, &[id, &skus, &quantities]).await?;
        let reserve = "update stock set reserved = reserved + wanted.quantity \
             from unnest($1::text[], $2::bigint[]) as wanted (sku, quantity) \
             where stock.sku = wanted.sku and received - reserved - shipped >= wanted.quantity";
        move_stock(&transaction, reserve, &skus, &quantities).await?;
        Ok(transaction.commit().await?)
    }

    /// Second step: the payment, authorized and captured.
    async fn pay(&self, order: &Order) -> Result<()> {
        let mut client = self.pool.get().await?;
        let transaction = client.transaction().await?;
        let insert = transaction
            .prepare_cached(
                "insert into payments (order_id, currency, authorized_minor, captured_minor, state, version) \
                 values ($1, $2, $3, $3, 'captured', 2) on conflict do nothing",
            )
            .await?;
        transaction.execute(&insert, &[&order.id, &order.currency, &order.total_minor()]).await?;
        Ok(transaction.commit().await?)
    }

    /// Third step: the order is confirmed and its stock shipped.
    async fn confirm(&self, order: &Order) -> Result<()> {
        let mut client = self.pool.get().await?;
        let transaction = client.transaction().await?;
        let confirm = transaction
            .prepare_cached(
                "update orders set stage = 'confirmed', version = version + 1 where order_id = $1 and stage = 'reserved'",
            )
            .await?;
        if transaction.execute(&confirm, &[&order.id]).await? == 0 {
            return Ok(());
        }
        let commit = transaction
            .prepare_cached("update reservations set state = 'committed', version = version + 1 where order_id = $1")
            .await?;
        transaction.execute(&commit, &[&order.id]).await?;
        let (skus, quantities) = order.pieces();
        let ship = "update stock set reserved = reserved - wanted.quantity, shipped = shipped + wanted.quantity \
             from unnest($1::text[], $2::bigint[]) as wanted (sku, quantity) where stock.sku = wanted.sku";
        move_stock(&transaction, ship, &skus, &quantities).await?;
        Ok(transaction.commit().await?)
    }

    /// Fails unless exactly so many orders are confirmed, each paid once, and the stock is what they took.
    ///
    /// # Errors
    /// When something is missing or too much.
    pub async fn check(&self, orders: u64) -> Result<()> {
        let query = "select count(*), count(*) filter (where stage = 'confirmed'), \
                     (select count(*) from payments join orders using (order_id) where captured_minor = total_minor), \
                     (select sum(reserved)::bigint from stock), (select sum(shipped)::bigint from stock), \
                     (select sum(quantity)::bigint from orders, unnest(quantities) as quantity) from orders";
        let row = self.pool.get().await?.query_one(query, &[]).await?;
        let (placed, confirmed, paid): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
        let (reserved, shipped, ordered): (i64, i64, Option<i64>) = (row.get(3), row.get(4), row.get(5));
        let all = i64::try_from(orders)?;
        if (placed, confirmed, paid, reserved, Some(shipped)) != (all, all, all, 0, ordered.or(Some(0))) {
            return Err(format!(
                "of {orders} orders {placed} are there, {confirmed} confirmed, {paid} paid; \
                 {reserved} pieces still reserved, {shipped} shipped of {ordered:?}"
            )
            .into());
        }
        Ok(())
    }
}

/// Locks the SKUs in ascending order, then changes them all.
async fn move_stock(transaction: &Transaction<'_>, change: &str, skus: &[&str], quantities: &[i64]) -> Result<()> {
    let lock = transaction.prepare_cached("select from stock where sku = any($1) order by sku for update").await?;
    transaction.execute(&lock, &[&skus]).await?;
    let change = transaction.prepare_cached(change).await?;
    let changed = transaction.execute(&change, &[&skus, &quantities]).await?;
    if changed != u64::try_from(skus.len())? {
        return Err(format!("stock of {changed} of {} SKUs could be changed", skus.len()).into());
    }
    Ok(())
}
