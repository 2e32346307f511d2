//! All statements that write the read model: those made from the services' descriptions (`workers::prepared`), and its own one.

use std::collections::BTreeMap;

use consumer::{Failure, Working};
use domain::charge::Payment;
use domain::saga::Order;
use domain::stock::{Level, Product, Reservation};
use outbox::{Change, Transaction, params};
use schemas::{OrderId, Sku};
use tables::{ContentsRow, HeardRow, OrderRow, OrderSkuRow, PaymentRow, ProductRow, ReservationRow, StockRow};
use tokio_postgres::Client;
use workers::prepared::{Changes, Form, Insert, Lock, LookUp};

use super::Batch;

/// A level is a sum over two topics and all lanes: each adds its part, in any order. Rows are met in the order of the arrays, which
/// ascends, so that nobody waits in a circle.
const ADD_TO_LEVELS: &str = "insert into stock as s (sku, version, received, reserved, shipped, returned, written_off) \
    select * from unnest ($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[]) \
    on conflict (sku) do update set version = greatest (s.version, excluded.version), \
        received = s.received + excluded.received, reserved = s.reserved + excluded.reserved, \
        shipped = s.shipped + excluded.shipped, returned = s.returned + excluded.returned, \
        written_off = s.written_off + excluded.written_off \
    returning 1";

/// The statements of a lane transaction.
#[derive(Debug)]
pub struct Statements {
    lock_orders: Lock<OrderRow>,
    lock_reservations: Lock<ReservationRow>,
    lock_payments: Lock<PaymentRow>,
    lock_products: Lock<ProductRow>,
    levels: LookUp<StockRow>,
    orders: Changes<OrderRow>,
    contents: Insert<ContentsRow>,
    skus: Insert<OrderSkuRow>,
    reservations: Changes<ReservationRow>,
    payments: Changes<PaymentRow>,
    products: Changes<ProductRow>,
    add_to_levels: Change,
    heard: Insert<HeardRow>,
}

impl Statements {
    pub(super) async fn prepare(client: &Client) -> Result<Self, tokio_postgres::Error> {
        Ok(Statements {
            lock_orders: Lock::prepare(client).await?,
            lock_reservations: Lock::prepare(client).await?,
            lock_payments: Lock::prepare(client).await?,
            lock_products: Lock::prepare(client).await?,
            levels: LookUp::prepare(client).await?,
            orders: Changes::new(),
            contents: Insert::new(),
            skus: Insert::new(),
            reservations: Changes::new(),
            payments: Changes::new(),
            products: Changes::new(),
            add_to_levels: Change::new(ADD_TO_LEVELS),
            heard: Insert::new(),
        })
    }

    /// Lock these orders, ascending, and read them, without their lines.
    pub(super) async fn lock_orders(
        &self,
        tx: &Transaction<'_>,
        ids: &[&str],
    ) -> Result<Working<OrderId, Order>, Failure> {
        self.lock_orders.aggregates(tx, ids, OrderRow::into_order, |order| (&order.order_id, order.version)).await
    }

    /// The same of reservations.
    pub(super) async fn lock_reservations(
        &self,
        tx: &Transaction<'_>,
        ids: &[&str],
    ) -> Result<Working<OrderId, Reservation>, Failure> {
        self.lock_reservations
            .aggregates(tx, ids, ReservationRow::into_reservation, |reservation| {
                (&reservation.order_id, reservation.version)
            })
            .await
    }

    /// The same of payments.
    pub(super) async fn lock_payments(
        &self,
        tx: &Transaction<'_>,
        ids: &[&str],
    ) -> Result<Working<OrderId, Payment>, Failure> {
        self.lock_payments
            .aggregates(tx, ids, PaymentRow::into_payment, |payment| (&payment.order_id, payment.version))
            .await
    }

    /// The newest version of each of these SKUs. Nobody else changes it: a SKU's receipts are in one partition.
    pub(super) async fn versions(&self, tx: &Transaction<'_>, skus: &[&str]) -> Result<BTreeMap<Sku, i64>, Failure> {
        if skus.is_empty() {
            return Ok(BTreeMap::new());
        }
        let rows = self.levels.rows(tx, &[&skus]).await?;
        let version = |row: StockRow| row.into_level().map(|(sku, level)| (sku, level.version));
        rows.map(|row| version(row?).map_err(|unknown| Failure::Poison(unknown.to_string()))).collect()
    }

    /// The same of products.
    pub(super) async fn lock_products(
        &self,
        tx: &Transaction<'_>,
        skus: &[&str],
    ) -> Result<Working<Sku, Product>, Failure> {
        self.lock_products
            .aggregates(tx, skus, ProductRow::into_product, |product| (&product.sku, product.version))
            .await
    }

    /// Write what a batch has come to.
    pub(super) fn write(&self, tx: &mut Transaction<'_>, batch: Batch, partitions: i32) {
        let Batch { orders, reservations, payments, products, levels, heard, versions: _ } = batch;
        let form = Form::of(orders.len());
        let writes = self.orders.write(tx, orders, |order| OrderRow::of(order, partitions));
        self.contents.rows(tx, form, writes.inserts.iter().map(ContentsRow::of).collect());
        self.skus.rows(tx, form, writes.inserts.iter().flat_map(OrderSkuRow::all_of).collect());
        self.reservations.write(tx, reservations, ReservationRow::of);
        self.payments.write(tx, payments, PaymentRow::of);
        self.products.write(tx, products, ProductRow::of);
        self.add_to_levels(tx, levels);
        self.heard.rows(tx, form, heard);
    }

    fn add_to_levels(&self, tx: &mut Transaction<'_>, levels: BTreeMap<Sku, Level>) {
        if levels.is_empty() {
            return;
        }
        let count = levels.len() as u64;
        let column = |value: fn(&Level) -> i64| -> Vec<i64> { levels.values().map(value).collect() };
        let (versions, received) = (column(|level| level.version), column(|level| level.received));
        let (reserved, shipped) = (column(|level| level.reserved), column(|level| level.shipped));
        let (returned, written_off) = (column(|level| level.returned), column(|level| level.written_off));
        let skus: Vec<String> = levels.into_keys().map(String::from).collect();
        let values = params![skus, versions, received, reserved, shipped, returned, written_off];
        tx.change(&self.add_to_levels, values, count);
    }
}
