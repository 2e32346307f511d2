//! All SQL of the inventory service: what is made from the tables' descriptions (`tables::statements`), and the lock of levels
//! by what orders have reserved.
//!
//! A SKU's row is locked once and written once per batch, however many orders want it: a hot SKU costs no more than a cold one.

use std::collections::HashMap;

use domain::stock::{Level, Receipt, Reservation};
use outbox::Transaction;
use schemas::{OrderId, Sku};
use tables::{ReceiptRow, ReservationRow, StockRow, TableRow as _};
use tokio_postgres::Client;

use crate::columns::unreadable;
use crate::prepared::{Insert, Lock, LookUp, Update};
use consumer::{Failure, Working};

/// The statements of a lane transaction.
#[derive(Debug)]
pub struct Statements {
    lock_reservations: Lock<ReservationRow>,
    lock_levels: LookUp<StockRow>,
    look_up_receipts: LookUp<ReceiptRow>,
    insert_reservations: Insert<ReservationRow>,
    update_reservations: Update<ReservationRow>,
    insert_levels: Insert<StockRow>,
    update_levels: Update<StockRow>,
    insert_receipts: Insert<ReceiptRow>,
}

/// Lock the levels of SKUs and of those that orders have reserved. The reservations were locked by the statement before, so
/// this one sees their last lines.
fn lock_levels_sql() -> String {
    format!(
        "select s.* from (select distinct l.sku from ( \
                select unnest ($1::text[]) as sku union all \
                select unnest (r.skus) from unnest ($2::text[]) as o (id), lateral ( \
                    select skus from reservations where order_id = o.id offset 0) as r) as l \
            order by l.sku) as u, lateral ( \
            select {} from stock where sku = u.sku for update) as s",
        StockRow::column_list(),
    )
}

impl Statements {
    pub(super) async fn prepare(client: &Client) -> Result<Self, tokio_postgres::Error> {
        Ok(Statements {
            lock_reservations: Lock::prepare(client).await?,
            lock_levels: LookUp::of(client, &lock_levels_sql()).await?,
            look_up_receipts: LookUp::prepare(client).await?,
            insert_reservations: Insert::prepare(client).await?,
            update_reservations: Update::prepare(client).await?,
            insert_levels: Insert::prepare(client).await?,
            update_levels: Update::prepare(client).await?,
            insert_receipts: Insert::prepare(client).await?,
        })
    }

    /// Lock these reservations, ascending, and read them.
    pub(super) async fn lock_reservations(
        &self,
        tx: &Transaction<'_>,
        orders: &[&str],
    ) -> Result<Working<OrderId, Reservation>, Failure> {
        let mut reservations = Working::with_capacity(orders.len());
        if orders.is_empty() {
            return Ok(reservations);
        }
        for row in self.lock_reservations.rows(tx, &[&orders]).await? {
            let reservation = row?.into_reservation().map_err(unreadable)?;
            reservations.loaded(reservation.order_id.clone(), reservation.version, reservation);
        }
        Ok(reservations)
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

    pub(super) fn insert_reservations(&self, tx: &mut Transaction<'_>, rows: &[Reservation]) {
        self.insert_reservations.defer(tx, rows.iter().map(ReservationRow::of).collect());
    }

    /// Each with the version that it was loaded with.
    pub(super) fn update_reservations(&self, tx: &mut Transaction<'_>, rows: &[(i64, Reservation)]) {
        let rows = rows.iter().map(|(loaded, reservation)| ([*loaded], ReservationRow::of(reservation)));
        self.update_reservations.defer(tx, rows.collect());
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
        self.insert_levels.defer(tx, inserts);
        self.update_levels.defer(tx, updates);
    }

    pub(super) fn insert_receipts(&self, tx: &mut Transaction<'_>, rows: &[Receipt]) {
        self.insert_receipts.defer(tx, rows.iter().map(ReceiptRow::of).collect());
    }
}
