//! All statements that write the read model: those made from the services' descriptions (`workers::prepared`), and its own three.

use std::collections::BTreeMap;

use client::body_json;
use consumer::{Failure, Working};
use domain::charge::Payment;
use domain::saga::Order;
use domain::stock::{Level, Reservation};
use outbox::inbox::place::Place;
use outbox::{Change, Transaction, params};
use schemas::{Message, OrderId, Sku, Time};
use tables::{ContentsRow, OrderRow, PaymentRow, ReservationRow, Timestamptz};
use tokio_postgres::Client;
use workers::prepared::{Changes, Form, Insert, Lock};

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

const INSERT_SKUS: &str = "insert into order_skus (sku, accepted_at, order_id) \
    select * from unnest ($1::text[], $2::timestamptz[], $3::text[]) returning 1";

const INSERT_HEARD: &str = "insert into heard (topic, key, log_offset, log_partition, version, type, at, cause, body) \
    select u.topic, u.key, u.log_offset, u.log_partition, u.version, u.type, u.at, u.cause, u.body::json \
    from unnest ($1::text[], $2::text[], $3::bigint[], $4::int[], $5::bigint[], $6::text[], $7::timestamptz[], $8::text[], \
        $9::text[]) as u (topic, key, log_offset, log_partition, version, type, at, cause, body) \
    returning 1";

/// The statements of a lane transaction.
#[derive(Debug)]
pub struct Statements {
    lock_orders: Lock<OrderRow>,
    lock_reservations: Lock<ReservationRow>,
    lock_payments: Lock<PaymentRow>,
    orders: Changes<OrderRow>,
    contents: Insert<ContentsRow>,
    reservations: Changes<ReservationRow>,
    payments: Changes<PaymentRow>,
    add_to_levels: Change,
    insert_skus: Change,
    insert_heard: Change,
}

/// What was said, and where.
#[derive(Debug)]
pub(super) struct Heard {
    topic: &'static str,
    key: String,
    place: Place,
    version: Option<i64>,
    name: &'static str,
    at: Time,
    cause: Option<String>,
    body: String,
}

impl Heard {
    pub(super) fn of(message: &Message, place: Place, at: Time, cause: Option<String>) -> Self {
        let mut body = body_json(message);
        // It is the provider's and the order service's. Nobody who looks needs it.
        if let Some(fields) = body.as_object_mut() {
            fields.remove("payment_token");
        }
        Heard {
            topic: message.topic().as_str(),
            key: message.key().to_owned(),
            place,
            version: message.version(),
            name: message.name(),
            at,
            cause,
            body: body.to_string(),
        }
    }
}

impl Statements {
    pub(super) async fn prepare(client: &Client) -> Result<Self, tokio_postgres::Error> {
        Ok(Statements {
            lock_orders: Lock::prepare(client).await?,
            lock_reservations: Lock::prepare(client).await?,
            lock_payments: Lock::prepare(client).await?,
            orders: Changes::new(),
            contents: Insert::new(),
            reservations: Changes::new(),
            payments: Changes::new(),
            add_to_levels: Change::new(ADD_TO_LEVELS),
            insert_skus: Change::new(INSERT_SKUS),
            insert_heard: Change::new(INSERT_HEARD),
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

    /// Write what a batch has come to.
    pub(super) fn write(&self, tx: &mut Transaction<'_>, batch: Batch, partitions: i32) {
        let Batch { orders, reservations, payments, levels, heard } = batch;
        let form = Form::of(orders.len());
        let writes = self.orders.write(tx, orders, |order| OrderRow::of(order, partitions));
        self.contents.rows(tx, form, writes.inserts.iter().map(ContentsRow::of).collect());
        self.insert_skus(tx, &writes.inserts);
        self.reservations.write(tx, reservations, ReservationRow::of);
        self.payments.write(tx, payments, PaymentRow::of);
        self.add_to_levels(tx, levels);
        self.insert_heard(tx, heard);
    }

    /// An order that names a SKU in several lines has it once.
    fn insert_skus(&self, tx: &mut Transaction<'_>, placed: &[Order]) {
        let (mut skus, mut times, mut orders) = (Vec::new(), Vec::new(), Vec::new());
        for order in placed {
            let mut own: Vec<&str> = order.lines.iter().map(|line| line.sku.as_str()).collect();
            own.sort_unstable();
            own.dedup();
            times.extend(own.iter().map(|_| Timestamptz(order.accepted_at)));
            orders.extend(own.iter().map(|_| order.order_id.as_str().to_owned()));
            skus.extend(own.into_iter().map(str::to_owned));
        }
        if !skus.is_empty() {
            let count = skus.len() as u64;
            tx.change(&self.insert_skus, params![skus, times, orders], count);
        }
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

    fn insert_heard(&self, tx: &mut Transaction<'_>, heard: Vec<Heard>) {
        if heard.is_empty() {
            return;
        }
        let count = heard.len() as u64;
        let topics: Vec<&'static str> = heard.iter().map(|one| one.topic).collect();
        let offsets: Vec<i64> = heard.iter().map(|one| one.place.offset).collect();
        let partitions: Vec<i32> = heard.iter().map(|one| one.place.partition).collect();
        let versions: Vec<Option<i64>> = heard.iter().map(|one| one.version).collect();
        let names: Vec<&'static str> = heard.iter().map(|one| one.name).collect();
        let times: Vec<Timestamptz> = heard.iter().map(|one| Timestamptz(one.at)).collect();
        let (mut keys, mut causes, mut bodies) = (Vec::new(), Vec::new(), Vec::new());
        for one in heard {
            keys.push(one.key);
            causes.push(one.cause);
            bodies.push(one.body);
        }
        let values = params![topics, keys, offsets, partitions, versions, names, times, causes, bodies];
        tx.change(&self.insert_heard, values, count);
    }
}
