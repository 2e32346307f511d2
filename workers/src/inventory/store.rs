//! All SQL of the inventory service: what is made from the tables' descriptions (`tables::statements`), and the lock of levels
//! by what orders have reserved.
//!
//! A SKU's row is locked once and written once per batch, however many orders want it: a hot SKU costs no more than a cold one.

use std::collections::{BTreeMap, HashMap};

use domain::stock::{Level, Product, Receipt, Reservation};
use outbox::{Change, Transaction, params};
use schemas::{OrderId, Sku};
use tables::{ProductRow, ReceiptRow, ReservationRow, StockRow, TableRow as _};
use tokio_postgres::Client;

use super::levels::Demand;
use crate::columns::unreadable;
use crate::prepared::{Changes, Form, Insert, Lock, LookUp};
use consumer::{Failure, Working, Writes};

/// The statements of a lane transaction.
#[derive(Debug)]
pub struct Statements {
    lock_reservations: Lock<ReservationRow>,
    lock_levels: LookUp<StockRow>,
    look_up_receipts: LookUp<ReceiptRow>,
    reservations: Changes<ReservationRow>,
    levels: Changes<StockRow>,
    take: Change,
    insert_receipts: Insert<ReceiptRow>,
    lock_products: Lock<ProductRow>,
    products: Changes<ProductRow>,
}

/// Lock the levels of SKUs and of those that orders have reserved. The reservations were locked by the statement before, so
/// this one sees their last lines. The order is that of bytes, as in [`TAKE`], whatever the database's collation.
fn lock_levels_sql() -> String {
    format!(
        "select s.* from (select l.sku from ( \
                select unnest ($1::text[]) as sku union all \
                select unnest (r.skus) from unnest ($2::text[]) as o (id), lateral ( \
                    select skus from reservations where order_id = o.id offset 0) as r) as l \
            group by l.sku order by l.sku collate \"C\") as u, lateral ( \
            select {} from stock where sku = u.sku for update) as s",
        StockRow::column_list(),
    )
}

/// Levels that nobody has read: the pieces go where enough were available. Parameters: SKUs, ascending; pieces more held; more
/// gone; how many must be available. A row that somebody else has changed meanwhile is not met.
pub(crate) const TAKE: &str = "update stock r set reserved = r.reserved + u.reserved, shipped = r.shipped + u.shipped \
    from unnest ($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) as u (sku, reserved, shipped, needed), \
        lateral (select x.ctid from stock x \
            where x.sku = u.sku \
              and x.received + x.returned - x.reserved - x.shipped - x.written_off >= u.needed offset 0) as t \
    where r.ctid = t.ctid returning 1";

impl Statements {
    pub(super) async fn prepare(client: &Client) -> Result<Self, tokio_postgres::Error> {
        Ok(Statements {
            lock_reservations: Lock::prepare(client).await?,
            lock_levels: LookUp::of(client, &lock_levels_sql()).await?,
            look_up_receipts: LookUp::prepare(client).await?,
            reservations: Changes::new(),
            levels: Changes::new(),
            take: Change::new(TAKE),
            insert_receipts: Insert::new(),
            lock_products: Lock::prepare(client).await?,
            products: Changes::new(),
        })
    }

    /// Lock these reservations, ascending, and read them.
    pub(super) async fn lock_reservations(
        &self,
        tx: &Transaction<'_>,
        orders: &[&str],
    ) -> Result<Working<OrderId, Reservation>, Failure> {
        self.lock_reservations
            .aggregates(tx, orders, ReservationRow::into_reservation, |reservation| {
                (&reservation.order_id, reservation.version)
            })
            .await
    }

    /// Lock the levels of these SKUs and of those that these orders have reserved, ascending, and read them.
    pub(super) async fn lock_levels(
        &self,
        tx: &Transaction<'_>,
        skus: &[&str],
        settled: &[&str],
    ) -> Result<HashMap<Sku, Level>, Failure> {
        if skus.is_empty() && settled.is_empty() {
            return Ok(HashMap::new());
        }
        let rows = self.lock_levels.rows(tx, &[&skus, &settled]).await?;
        rows.map(|row| row?.into_level().map_err(unreadable)).collect()
    }

    /// The receipts of these commands, where they were carried out.
    pub(super) async fn load_receipts(
        &self,
        tx: &Transaction<'_>,
        commands: &[(&str, &str)],
    ) -> Result<HashMap<(Sku, String), Receipt>, Failure> {
        if commands.is_empty() {
            return Ok(HashMap::new());
        }
        let (skus, ids): (Vec<&str>, Vec<&str>) = commands.iter().copied().unzip();
        let rows = self.look_up_receipts.rows(tx, &[&skus, &ids]).await?;
        rows.map(|row| {
            let receipt = row?.into_receipt().map_err(unreadable)?;
            Ok(((receipt.sku.clone(), receipt.command_id.as_str().to_owned()), receipt))
        })
        .collect()
    }

    /// Lock the products of these SKUs, ascending, where they were described before, and read them.
    pub(super) async fn lock_products(
        &self,
        tx: &Transaction<'_>,
        skus: &[&str],
    ) -> Result<Working<Sku, Product>, Failure> {
        self.lock_products
            .aggregates(tx, skus, ProductRow::into_product, |product| (&product.sku, product.version))
            .await
    }

    pub(super) fn write_reservations(
        &self,
        tx: &mut Transaction<'_>,
        reservations: Working<OrderId, Reservation>,
    ) -> Writes<OrderId, Reservation> {
        self.reservations.write(tx, reservations, ReservationRow::of)
    }

    /// Take these pieces, ascending, where they are.
    pub(super) fn take(&self, tx: &mut Transaction<'_>, demands: BTreeMap<Sku, Demand>) {
        if demands.is_empty() {
            return;
        }
        let count = demands.len() as u64;
        let column = |value: fn(&Demand) -> i64| -> Vec<i64> { demands.values().map(value).collect() };
        let reserved = column(|demand| demand.reserved);
        let (shipped, needed) = (column(|demand| demand.shipped), column(|demand| demand.needed));
        let skus: Vec<String> = demands.into_keys().map(String::from).collect();
        tx.change(&self.take, params![skus, reserved, shipped, needed], count);
    }

    /// Write the levels that changed, new SKUs and known ones.
    pub(super) fn save_levels(
        &self,
        tx: &mut Transaction<'_>,
        levels: Working<Sku, Level>,
        before: &HashMap<Sku, Level>,
    ) {
        let (mut inserts, mut updates) = (Vec::new(), Vec::new());
        for (sku, level) in levels.into_changed() {
            let row = StockRow::of(&sku, level);
            match before.get(&sku) {
                None => inserts.push(row),
                Some(had) => updates.push((StockRow::of(&sku, *had).guard(), row)),
            }
        }
        self.levels.update(tx, Form::Many, updates);
        self.levels.insert.rows(tx, Form::Many, inserts);
    }

    pub(super) fn insert_receipts(&self, tx: &mut Transaction<'_>, rows: &[Receipt]) {
        self.insert_receipts.rows(tx, Form::Many, rows.iter().map(ReceiptRow::of).collect());
    }

    pub(super) fn write_products(&self, tx: &mut Transaction<'_>, products: Working<Sku, Product>) {
        self.products.write(tx, products, ProductRow::of);
    }
}
