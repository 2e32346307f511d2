//! All SQL of the inventory service: set-based, plans on primary keys.
//!
//! Every look-up is a `lateral` that cannot be pulled up: whatever the statistics say, the plan goes from the parameters to the
//! primary key, one row each, and locks in the parameters' order. (`= any (array)` checks a row that was changed meanwhile
//! against the whole array again; a plain join may be turned round and scan the table.)
//!
//! A SKU's row is locked once and written once per batch, however many orders want it: a hot SKU costs no more than a cold one.

use std::collections::HashMap;

use domain::stock::{Level, Receipt, ReceiptKind, Reservation, ReservationStatus};
use outbox::{Expect, Transaction};
use provision::Timestamptz;
use schemas::{CommandId, OrderId, Shortage, Sku, StockLine};
use tokio_postgres::{Client, Row, Statement};

use crate::columns::{array_literal, column, get, get_time, number_array_literal, parsed};
use consumer::{Failure, Working};

/// The statements of a lane transaction.
#[derive(Debug)]
pub struct Statements {
    lock_reservations: Statement,
    lock_levels: Statement,
    load_receipts: Statement,
    insert_reservations: Statement,
    update_reservations: Statement,
    insert_levels: Statement,
    update_levels: Statement,
    insert_receipts: Statement,
}

impl Statements {
    pub(super) async fn prepare(client: &Client) -> Result<Self, tokio_postgres::Error> {
        Ok(Statements {
            lock_reservations: client
                .prepare(
                    "select r.* from unnest ($1::text[]) as u (id), lateral ( \
                        select order_id, version, status, skus, quantities, short_skus, short_requested, \
                               short_available, decided_at, changed_at \
                        from reservations where order_id = u.id for update) as r",
                )
                .await?,
            // The reservations were locked by the statement before, so this one sees their last lines.
            lock_levels: client
                .prepare(
                    "select s.* from (select distinct l.sku from ( \
                            select unnest ($1::text[]) as sku union all \
                            select unnest (r.skus) from unnest ($2::text[]) as o (id), lateral ( \
                                select skus from reservations where order_id = o.id offset 0) as r) as l \
                        order by l.sku) as u, lateral ( \
                        select sku, version, received, reserved, shipped from stock where sku = u.sku for update) as s",
                )
                .await?,
            load_receipts: client
                .prepare(
                    "select r.* from unnest ($1::text[], $2::text[]) as u (sku, command_id), lateral ( \
                        select sku, command_id, version, kind, pieces, at from stock_receipts \
                        where sku = u.sku and command_id = u.command_id offset 0) as r",
                )
                .await?,
            insert_reservations: client
                .prepare(
                    "insert into reservations (order_id, version, status, skus, quantities, short_skus, \
                            short_requested, short_available, decided_at, changed_at) \
                     select order_id, version, status, skus::text[], quantities::bigint[], short_skus::text[], \
                            short_requested::bigint[], short_available::bigint[], decided_at, changed_at \
                     from unnest ($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], \
                            $7::text[], $8::text[], $9::timestamptz[], $10::timestamptz[]) \
                          as u (order_id, version, status, skus, quantities, short_skus, short_requested, \
                                short_available, decided_at, changed_at)",
                )
                .await?,
            update_reservations: client
                .prepare(
                    "with updated as ( \
                        update reservations r set version = u.version, status = u.status, changed_at = u.changed_at \
                        from unnest ($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::timestamptz[]) \
                             as u (id, expected, version, status, changed_at), lateral ( \
                             select x.ctid from reservations x \
                             where x.order_id = u.id and x.version = u.expected offset 0) as t \
                        where r.ctid = t.ctid returning 1) \
                     select 1 / (count(*) = $6::bigint)::int from updated",
                )
                .await?,
            insert_levels: client
                .prepare(
                    "insert into stock (sku, version, received, reserved, shipped) \
                     select * from unnest ($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])",
                )
                .await?,
            update_levels: client
                .prepare(
                    "with updated as ( \
                        update stock s set version = u.version, received = u.received, reserved = u.reserved, \
                            shipped = u.shipped \
                        from unnest ($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], \
                            $6::bigint[], $7::bigint[], $8::bigint[]) \
                             as u (id, version, received, reserved, shipped, had_version, had_reserved, had_shipped), \
                             lateral (select x.ctid from stock x \
                                where x.sku = u.id and x.version = u.had_version and x.reserved = u.had_reserved \
                                  and x.shipped = u.had_shipped offset 0) as t \
                        where s.ctid = t.ctid returning 1) \
                     select 1 / (count(*) = $9::bigint)::int from updated",
                )
                .await?,
            insert_receipts: client
                .prepare(
                    "insert into stock_receipts (sku, command_id, version, kind, pieces, at) \
                     select * from unnest ($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], \
                            $6::timestamptz[])",
                )
                .await?,
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
        for row in tx.query(&self.lock_reservations, &[&orders]).await.map_err(Failure::of_outbox)? {
            let reservation = read_reservation(&row)?;
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
        let rows = tx.query(&self.lock_levels, &[&skus, &settled]).await.map_err(Failure::of_outbox)?;
        rows.iter().map(read_level).collect()
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
        let rows = tx.query(&self.load_receipts, &[&skus, &ids]).await.map_err(Failure::of_outbox)?;
        rows.iter()
            .map(|row| {
                let receipt = read_receipt(row)?;
                Ok(((receipt.sku.clone(), receipt.command_id.as_str().to_owned()), receipt))
            })
            .collect()
    }

    pub(super) fn insert_reservations(&self, tx: &mut Transaction<'_>, rows: &[Reservation]) {
        if rows.is_empty() {
            return;
        }
        let skus = |lines: &[StockLine]| array_literal(lines.iter().map(|line| line.sku.as_str()));
        tx.defer(
            &self.insert_reservations,
            vec![
                column(rows, |row| row.order_id.as_str().to_owned()),
                column(rows, |row| row.version),
                column(rows, |row| row.status.as_str()),
                column(rows, |row| skus(&row.lines)),
                column(rows, |row| number_array_literal(row.lines.iter().map(|line| line.quantity))),
                column(rows, |row| array_literal(row.shortages.iter().map(|one| one.sku.as_str()))),
                column(rows, |row| number_array_literal(row.shortages.iter().map(|one| one.requested))),
                column(rows, |row| number_array_literal(row.shortages.iter().map(|one| one.available))),
                column(rows, |row| Timestamptz(row.decided_at)),
                column(rows, |row| Timestamptz(row.changed_at)),
            ],
            Expect::Rows(rows.len() as u64),
        );
    }

    pub(super) fn update_reservations(&self, tx: &mut Transaction<'_>, rows: &[(i64, Reservation)]) {
        if rows.is_empty() {
            return;
        }
        tx.defer(
            &self.update_reservations,
            vec![
                column(rows, |(_, row)| row.order_id.as_str().to_owned()),
                column(rows, |(expected, _)| *expected),
                column(rows, |(_, row)| row.version),
                column(rows, |(_, row)| row.status.as_str()),
                column(rows, |(_, row)| Timestamptz(row.changed_at)),
                Box::new(i64::try_from(rows.len()).unwrap_or(i64::MAX)),
            ],
            Expect::Rows(1),
        );
    }

    /// Write the levels that changed, new SKUs and known ones.
    pub(super) fn save_levels(
        &self,
        tx: &mut Transaction<'_>,
        levels: Working<Sku, Level>,
        before: &HashMap<Sku, Level>,
    ) {
        let (inserts, updates): (Vec<_>, Vec<_>) =
            levels.into_changed().into_iter().partition(|(sku, _)| !before.contains_key(sku));
        if !inserts.is_empty() {
            tx.defer(&self.insert_levels, level_columns(&inserts), Expect::Rows(inserts.len() as u64));
        }
        if !updates.is_empty() {
            let had = |sku: &Sku| before.get(sku).copied().unwrap_or_default();
            let mut parameters = level_columns(&updates);
            parameters.push(column(&updates, |(sku, _)| had(sku).version));
            parameters.push(column(&updates, |(sku, _)| had(sku).reserved));
            parameters.push(column(&updates, |(sku, _)| had(sku).shipped));
            parameters.push(Box::new(i64::try_from(updates.len()).unwrap_or(i64::MAX)));
            tx.defer(&self.update_levels, parameters, Expect::Rows(1));
        }
    }

    pub(super) fn insert_receipts(&self, tx: &mut Transaction<'_>, rows: &[Receipt]) {
        if rows.is_empty() {
            return;
        }
        tx.defer(
            &self.insert_receipts,
            vec![
                column(rows, |row| row.sku.as_str().to_owned()),
                column(rows, |row| row.command_id.as_str().to_owned()),
                column(rows, |row| row.version),
                column(rows, |row| row.kind.as_str()),
                column(rows, |row| row.pieces),
                column(rows, |row| Timestamptz(row.at)),
            ],
            Expect::Rows(rows.len() as u64),
        );
    }
}

fn level_columns(rows: &[(Sku, Level)]) -> Vec<crate::columns::Parameter> {
    vec![
        column(rows, |(sku, _)| sku.as_str().to_owned()),
        column(rows, |(_, level)| level.version),
        column(rows, |(_, level)| level.received),
        column(rows, |(_, level)| level.reserved),
        column(rows, |(_, level)| level.shipped),
    ]
}

fn read_sku(text: &str) -> Result<Sku, Failure> {
    parsed("sku", text, Sku::new(text).ok())
}

fn read_level(row: &Row) -> Result<(Sku, Level), Failure> {
    let level = Level {
        version: get(row, "version")?,
        received: get(row, "received")?,
        reserved: get(row, "reserved")?,
        shipped: get(row, "shipped")?,
    };
    Ok((read_sku(get(row, "sku")?)?, level))
}

fn read_reservation(row: &Row) -> Result<Reservation, Failure> {
    let order_id: &str = get(row, "order_id")?;
    let status: &str = get(row, "status")?;
    let (skus, quantities): (Vec<&str>, Vec<i64>) = (get(row, "skus")?, get(row, "quantities")?);
    let lines = skus.into_iter().zip(quantities).map(|(sku, quantity)| Ok(StockLine { sku: read_sku(sku)?, quantity }));
    let short: Vec<&str> = get(row, "short_skus")?;
    let (requested, available): (Vec<i64>, Vec<i64>) = (get(row, "short_requested")?, get(row, "short_available")?);
    let shortages = short
        .into_iter()
        .zip(requested.into_iter().zip(available))
        .map(|(sku, (requested, available))| Ok(Shortage { sku: read_sku(sku)?, requested, available }));
    Ok(Reservation {
        order_id: parsed("order_id", order_id, OrderId::new(order_id).ok())?,
        version: get(row, "version")?,
        status: parsed("status", status, ReservationStatus::parse(status))?,
        lines: lines.collect::<Result<_, Failure>>()?,
        shortages: shortages.collect::<Result<_, Failure>>()?,
        decided_at: get_time(row, "decided_at")?,
        changed_at: get_time(row, "changed_at")?,
    })
}

fn read_receipt(row: &Row) -> Result<Receipt, Failure> {
    let (command_id, kind): (&str, &str) = (get(row, "command_id")?, get(row, "kind")?);
    Ok(Receipt {
        sku: read_sku(get(row, "sku")?)?,
        command_id: parsed("command_id", command_id, CommandId::new(command_id).ok())?,
        version: get(row, "version")?,
        kind: parsed("kind", kind, ReceiptKind::parse(kind))?,
        pieces: get(row, "pieces")?,
        at: get_time(row, "at")?,
    })
}
