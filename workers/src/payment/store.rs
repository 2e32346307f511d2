//! All SQL of the payment service: set-based, plans pinned to primary keys by `lateral` (see `inventory::store`).
//!
//! `payments` and `ledger` are state; `payment_calls` is runtime and lives only until an outcome is recorded.

use domain::charge::{
    Authorization, AuthorizationOutcome, Call, Capture, CaptureOutcome, Payment, Posting, Stuck, Void,
};
use domain::provider::{operation_name, parse_operation};
use outbox::{Expect, Transaction};
use provision::Timestamptz;
use schemas::{CustomerId, OrderId, PaymentOperation, Time, partitioner};
use tokio_postgres::{Client, Row, Statement};

use super::OpenCall;
use crate::columns::{column, get, get_time, parsed};
use consumer::{Cause, Failure, Lanes, Working};

/// The most due calls that are read at once.
pub(super) const DUE_LIMIT: i64 = 2000;

/// The statements of a lane transaction.
#[derive(Debug)]
pub struct Statements {
    lock_payments: Statement,
    lock_calls: Statement,
    insert_payments: Statement,
    update_payments: Statement,
    insert_postings: Statement,
    insert_calls: Statement,
    update_calls: Statement,
    delete_calls: Statement,
}

const CALL_COLUMNS: &str = "order_id, partition, operation, attempt, customer_id, currency, amount_minor, \
    authorization_reference, queued, opened_at, unknown_since, not_found_at, sends, look_ups, due_at, cause_id, \
    trace_parent";

impl Statements {
    pub(super) async fn prepare(client: &Client) -> Result<Self, tokio_postgres::Error> {
        Ok(Statements {
            lock_payments: client
                .prepare(
                    "select p.* from unnest ($1::text[]) as u (id), lateral ( \
                        select order_id, version, customer_id, currency, amount_minor, authorization_version, \
                            authorization_at, authorization_reference, decline_detail, capture_version, capture_at, \
                            capture_reference, capture_failure, void_version, void_at, stuck_version, stuck_at, \
                            stuck_operation, stuck_detail \
                        from payments where order_id = u.id for update) as p",
                )
                .await?,
            lock_calls: client
                .prepare(&format!(
                    "select c.* from unnest ($1::text[]) as u (id), lateral ( \
                        select {CALL_COLUMNS} from payment_calls where order_id = u.id for update) as c"
                ))
                .await?,
            insert_payments: client
                .prepare(
                    "insert into payments (order_id, version, status, customer_id, currency, amount_minor, \
                        authorization_version, authorization_at, authorization_reference, decline_detail, \
                        capture_version, capture_at, capture_reference, capture_failure, void_version, void_at, \
                        stuck_version, stuck_at, stuck_operation, stuck_detail) \
                     select * from unnest ($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], \
                        $6::bigint[], $7::bigint[], $8::timestamptz[], $9::text[], $10::text[], $11::bigint[], \
                        $12::timestamptz[], $13::text[], $14::text[], $15::bigint[], $16::timestamptz[], \
                        $17::bigint[], $18::timestamptz[], $19::text[], $20::text[])",
                )
                .await?,
            // What was authorized never changes once a payment has a row.
            update_payments: client
                .prepare(
                    "with updated as ( \
                        update payments p set version = u.version, status = u.status, \
                            capture_version = u.capture_version, capture_at = u.capture_at, \
                            capture_reference = u.capture_reference, capture_failure = u.capture_failure, \
                            void_version = u.void_version, void_at = u.void_at, stuck_version = u.stuck_version, \
                            stuck_at = u.stuck_at, stuck_operation = u.stuck_operation, stuck_detail = u.stuck_detail \
                        from unnest ($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[], \
                            $6::timestamptz[], $7::text[], $8::text[], $9::bigint[], $10::timestamptz[], \
                            $11::bigint[], $12::timestamptz[], $13::text[], $14::text[]) \
                            as u (id, expected, version, status, capture_version, capture_at, \
                                  capture_reference, capture_failure, void_version, void_at, stuck_version, \
                                  stuck_at, stuck_operation, stuck_detail), lateral ( \
                            select x.ctid from payments x \
                            where x.order_id = u.id and x.version = u.expected offset 0) as t \
                        where p.ctid = t.ctid returning 1) \
                     select 1 / (count(*) = $15::bigint)::int from updated",
                )
                .await?,
            insert_postings: client
                .prepare(
                    "insert into ledger (order_id, version, account, amount_minor, currency) \
                     select * from unnest ($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::text[])",
                )
                .await?,
            insert_calls: client
                .prepare(&format!(
                    "insert into payment_calls ({CALL_COLUMNS}) \
                     select * from unnest ($1::text[], $2::int[], $3::text[], $4::int[], $5::text[], $6::text[], \
                        $7::bigint[], $8::text[], $9::text[], $10::timestamptz[], $11::timestamptz[], \
                        $12::timestamptz[], $13::int[], $14::int[], $15::timestamptz[], $16::text[], $17::text[])"
                ))
                .await?,
            update_calls: client
                .prepare(
                    "with updated as ( \
                        update payment_calls c set operation = u.operation, attempt = u.attempt, \
                            authorization_reference = u.authorization_reference, queued = u.queued, \
                            opened_at = u.opened_at, unknown_since = u.unknown_since, not_found_at = u.not_found_at, \
                            sends = u.sends, look_ups = u.look_ups, due_at = u.due_at, cause_id = u.cause_id, \
                            trace_parent = u.trace_parent \
                        from unnest ($1::text[], $2::text[], $3::int[], $4::text[], $5::text[], $6::timestamptz[], \
                            $7::timestamptz[], $8::timestamptz[], $9::int[], $10::int[], $11::timestamptz[], \
                            $12::text[], $13::text[]) \
                            as u (id, operation, attempt, authorization_reference, queued, opened_at, \
                                  unknown_since, not_found_at, sends, look_ups, due_at, cause_id, trace_parent), \
                            lateral (select x.ctid from payment_calls x where x.order_id = u.id offset 0) as t \
                        where c.ctid = t.ctid returning 1) \
                     select 1 / (count(*) = $14::bigint)::int from updated",
                )
                .await?,
            delete_calls: client
                .prepare(
                    "with deleted as (delete from payment_calls c using unnest ($1::text[]) as u (id), lateral ( \
                            select x.ctid from payment_calls x where x.order_id = u.id offset 0) as t \
                        where c.ctid = t.ctid returning 1) \
                     select 1 / (count(*) = $2::bigint)::int from deleted",
                )
                .await?,
        })
    }

    /// Lock these payments, ascending, and read them.
    pub(super) async fn lock_payments(
        &self,
        tx: &Transaction<'_>,
        ids: &[&str],
    ) -> Result<Working<OrderId, Payment>, Failure> {
        let mut payments = Working::with_capacity(ids.len());
        if ids.is_empty() {
            return Ok(payments);
        }
        for row in tx.query(&self.lock_payments, &[&ids]).await.map_err(Failure::of_outbox)? {
            let payment = read_payment(&row)?;
            payments.loaded(payment.order_id.clone(), payment.version, payment);
        }
        Ok(payments)
    }

    /// Lock the calls of these payments, ascending, and read them.
    pub(super) async fn lock_calls(&self, tx: &Transaction<'_>, ids: &[&str]) -> Result<Vec<OpenCall>, Failure> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows = tx.query(&self.lock_calls, &[&ids]).await.map_err(Failure::of_outbox)?;
        rows.iter().map(read_call).collect()
    }

    pub(super) fn insert_payments(&self, tx: &mut Transaction<'_>, rows: &[Payment]) {
        if rows.is_empty() {
            return;
        }
        let authorized = |row: &Payment| row.authorization.clone();
        let mut parameters = vec![
            column(rows, |row| row.order_id.as_str().to_owned()),
            column(rows, |row| row.version),
            column(rows, |row| row.status().as_str()),
            column(rows, |row| authorized(row).map(|had| had.customer_id.as_str().to_owned())),
            column(rows, |row| authorized(row).map(|had| had.currency)),
            column(rows, |row| authorized(row).map(|had| had.amount_minor)),
            column(rows, |row| authorized(row).map(|had| had.version)),
            column(rows, |row| authorized(row).map(|had| Timestamptz(had.at))),
            column(rows, |row| authorized(row).and_then(|had| reference_of(&had.outcome))),
            column(rows, |row| authorized(row).and_then(|had| decline_of(&had.outcome))),
        ];
        parameters.append(&mut outcome_columns(rows, |row| row));
        tx.defer(&self.insert_payments, parameters, Expect::Rows(rows.len() as u64));
    }

    pub(super) fn update_payments(&self, tx: &mut Transaction<'_>, rows: &[(i64, Payment)]) {
        if rows.is_empty() {
            return;
        }
        let mut parameters = vec![
            column(rows, |(_, row)| row.order_id.as_str().to_owned()),
            column(rows, |(expected, _)| *expected),
            column(rows, |(_, row)| row.version),
            column(rows, |(_, row)| row.status().as_str()),
        ];
        parameters.append(&mut outcome_columns(rows, |(_, row)| row));
        parameters.push(Box::new(i64::try_from(rows.len()).unwrap_or(i64::MAX)));
        tx.defer(&self.update_payments, parameters, Expect::Rows(1));
    }

    pub(super) fn insert_postings(&self, tx: &mut Transaction<'_>, rows: &[Posting]) {
        if rows.is_empty() {
            return;
        }
        tx.defer(
            &self.insert_postings,
            vec![
                column(rows, |row| row.order_id.as_str().to_owned()),
                column(rows, |row| row.version),
                column(rows, |row| row.account.as_str()),
                column(rows, |row| row.amount_minor),
                column(rows, |row| row.currency.clone()),
            ],
            Expect::Rows(rows.len() as u64),
        );
    }

    pub(super) fn insert_calls(&self, tx: &mut Transaction<'_>, rows: &[OpenCall], partitions: i32) {
        if rows.is_empty() {
            return;
        }
        let home = |open: &OpenCall| partitioner::partition_of(open.call.order_id.as_str().as_bytes(), partitions);
        tx.defer(
            &self.insert_calls,
            vec![
                column(rows, |open| open.call.order_id.as_str().to_owned()),
                column(rows, home),
                column(rows, |open| operation_name(open.call.operation)),
                column(rows, |open| open.call.attempt),
                column(rows, |open| open.call.customer_id.as_str().to_owned()),
                column(rows, |open| open.call.currency.clone()),
                column(rows, |open| open.call.amount_minor),
                column(rows, |open| open.call.authorization.clone()),
                column(rows, |open| open.call.queued.map(operation_name)),
                column(rows, |open| Timestamptz(open.call.opened_at)),
                column(rows, |open| timestamp(open.call.unknown_since)),
                column(rows, |open| timestamp(open.call.not_found_at)),
                column(rows, |open| open.call.sends),
                column(rows, |open| open.call.look_ups),
                column(rows, |open| Timestamptz(open.call.due_at)),
                column(rows, |open| open.cause.id.clone()),
                column(rows, |open| open.cause.trace_parent.clone()),
            ],
            Expect::Rows(rows.len() as u64),
        );
    }

    pub(super) fn update_calls(&self, tx: &mut Transaction<'_>, rows: &[OpenCall]) {
        if rows.is_empty() {
            return;
        }
        tx.defer(
            &self.update_calls,
            vec![
                column(rows, |open| open.call.order_id.as_str().to_owned()),
                column(rows, |open| operation_name(open.call.operation)),
                column(rows, |open| open.call.attempt),
                column(rows, |open| open.call.authorization.clone()),
                column(rows, |open| open.call.queued.map(operation_name)),
                column(rows, |open| Timestamptz(open.call.opened_at)),
                column(rows, |open| timestamp(open.call.unknown_since)),
                column(rows, |open| timestamp(open.call.not_found_at)),
                column(rows, |open| open.call.sends),
                column(rows, |open| open.call.look_ups),
                column(rows, |open| Timestamptz(open.call.due_at)),
                column(rows, |open| open.cause.id.clone()),
                column(rows, |open| open.cause.trace_parent.clone()),
                Box::new(i64::try_from(rows.len()).unwrap_or(i64::MAX)),
            ],
            Expect::Rows(1),
        );
    }

    pub(super) fn delete_calls(&self, tx: &mut Transaction<'_>, ids: &[OrderId]) {
        if ids.is_empty() {
            return;
        }
        let count = i64::try_from(ids.len()).unwrap_or(i64::MAX);
        let parameters = vec![column(ids, |id| id.as_str().to_owned()), Box::new(count) as _];
        tx.defer(&self.delete_calls, parameters, Expect::Rows(1));
    }
}

/// Calls of these lanes that are due, or due later than any call can be (`Call::is_due`), with their lanes; the longest due
/// first.
pub(super) async fn load_due_calls(
    client: &Client,
    lanes: &Lanes,
    now: Time,
    latest: Time,
) -> Result<Vec<(OpenCall, i32)>, Failure> {
    let lanes: Vec<i32> = lanes.iter().copied().collect();
    let sql = format!(
        "select {CALL_COLUMNS} from payment_calls where partition = any ($1) and (due_at <= $2 or due_at > $3) \
         order by due_at limit $4"
    );
    let rows = client.query(&sql, &[&lanes, &now.to_timestamp(), &latest.to_timestamp(), &DUE_LIMIT]).await?;
    rows.iter().map(|row| Ok((read_call(row)?, get(row, "partition")?))).collect()
}

/// The columns of what came after the authorization.
fn outcome_columns<R>(rows: &[R], payment: impl Fn(&R) -> &Payment) -> Vec<crate::columns::Parameter> {
    let captured = |row: &R| payment(row).capture.clone();
    let stuck = |row: &R| payment(row).stuck.clone();
    vec![
        column(rows, |row| captured(row).map(|had| had.version)),
        column(rows, |row| captured(row).map(|had| Timestamptz(had.at))),
        column(rows, |row| {
            captured(row).and_then(|had| match had.outcome {
                CaptureOutcome::Captured { provider_reference } => provider_reference,
                CaptureOutcome::Failed { .. } => None,
            })
        }),
        column(rows, |row| {
            captured(row).and_then(|had| match had.outcome {
                CaptureOutcome::Captured { .. } => None,
                CaptureOutcome::Failed { detail } => Some(detail),
            })
        }),
        column(rows, |row| payment(row).void.map(|had| had.version)),
        column(rows, |row| payment(row).void.map(|had| Timestamptz(had.at))),
        column(rows, |row| stuck(row).map(|had| had.version)),
        column(rows, |row| stuck(row).map(|had| Timestamptz(had.at))),
        column(rows, |row| stuck(row).map(|had| operation_name(had.operation))),
        column(rows, |row| stuck(row).map(|had| had.detail)),
    ]
}

fn timestamp(time: Option<Time>) -> Option<Timestamptz> {
    time.map(Timestamptz)
}

fn reference_of(outcome: &AuthorizationOutcome) -> Option<String> {
    match outcome {
        AuthorizationOutcome::Authorized { provider_reference } => provider_reference.clone(),
        AuthorizationOutcome::Declined { .. } => None,
    }
}

fn decline_of(outcome: &AuthorizationOutcome) -> Option<String> {
    match outcome {
        AuthorizationOutcome::Authorized { .. } => None,
        AuthorizationOutcome::Declined { detail } => Some(detail.clone()),
    }
}

fn optional_time(row: &Row, name: &str) -> Result<Option<Time>, Failure> {
    Ok(get::<Option<Timestamptz>>(row, name)?.map(|Timestamptz(time)| time))
}

fn read_operation(name: &str, text: &str) -> Result<PaymentOperation, Failure> {
    parsed(name, text, parse_operation(text))
}

fn read_order_id(row: &Row) -> Result<OrderId, Failure> {
    let text: &str = get(row, "order_id")?;
    parsed("order_id", text, OrderId::new(text).ok())
}

fn read_customer_id(text: &str) -> Result<CustomerId, Failure> {
    parsed("customer_id", text, CustomerId::new(text).ok())
}

fn read_payment(row: &Row) -> Result<Payment, Failure> {
    Ok(Payment {
        order_id: read_order_id(row)?,
        version: get(row, "version")?,
        authorization: read_authorization(row)?,
        capture: read_capture(row)?,
        void: match get::<Option<i64>>(row, "void_version")? {
            None => None,
            Some(version) => Some(Void { version, at: get_time(row, "void_at")? }),
        },
        stuck: match get::<Option<i64>>(row, "stuck_version")? {
            None => None,
            Some(version) => Some(Stuck {
                version,
                at: get_time(row, "stuck_at")?,
                operation: read_operation("stuck_operation", get(row, "stuck_operation")?)?,
                detail: get(row, "stuck_detail")?,
            }),
        },
    })
}

fn read_authorization(row: &Row) -> Result<Option<Authorization>, Failure> {
    let Some(version) = get::<Option<i64>>(row, "authorization_version")? else { return Ok(None) };
    Ok(Some(Authorization {
        version,
        at: get_time(row, "authorization_at")?,
        customer_id: read_customer_id(get(row, "customer_id")?)?,
        currency: get(row, "currency")?,
        amount_minor: get(row, "amount_minor")?,
        outcome: match get::<Option<String>>(row, "decline_detail")? {
            Some(detail) => AuthorizationOutcome::Declined { detail },
            None => AuthorizationOutcome::Authorized { provider_reference: get(row, "authorization_reference")? },
        },
    }))
}

fn read_capture(row: &Row) -> Result<Option<Capture>, Failure> {
    let Some(version) = get::<Option<i64>>(row, "capture_version")? else { return Ok(None) };
    Ok(Some(Capture {
        version,
        at: get_time(row, "capture_at")?,
        outcome: match get::<Option<String>>(row, "capture_failure")? {
            Some(detail) => CaptureOutcome::Failed { detail },
            None => CaptureOutcome::Captured { provider_reference: get(row, "capture_reference")? },
        },
    }))
}

fn read_call(row: &Row) -> Result<OpenCall, Failure> {
    let queued: Option<&str> = get(row, "queued")?;
    Ok(OpenCall {
        call: Call {
            order_id: read_order_id(row)?,
            operation: read_operation("operation", get(row, "operation")?)?,
            attempt: get(row, "attempt")?,
            customer_id: read_customer_id(get(row, "customer_id")?)?,
            currency: get(row, "currency")?,
            amount_minor: get(row, "amount_minor")?,
            authorization: get(row, "authorization_reference")?,
            queued: queued.map(|name| read_operation("queued", name)).transpose()?,
            opened_at: get_time(row, "opened_at")?,
            unknown_since: optional_time(row, "unknown_since")?,
            not_found_at: optional_time(row, "not_found_at")?,
            sends: get(row, "sends")?,
            look_ups: get(row, "look_ups")?,
            due_at: get_time(row, "due_at")?,
        },
        cause: Cause { id: get(row, "cause_id")?, trace_parent: get(row, "trace_parent")? },
    })
}
