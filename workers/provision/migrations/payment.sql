-- The payment service's tables. Those under "state" are what the events of payment.events.v1 say, row for row;
-- those under "runtime" are only this service's own progress and are never compared with a rebuild.

-- ---- state

create table payments (
    order_id                text primary key,
    version                 bigint not null check (version > 0),
    status                  text not null check (status in ('authorized', 'declined', 'captured', 'capture_failed',
                                                            'voided', 'stuck')),
    customer_id             text,
    currency                text,
    amount_minor            bigint check (amount_minor >= 0),
    authorization_version   bigint,
    authorization_at        timestamptz,
    authorization_reference text,
    decline_detail          text,
    capture_version         bigint,
    capture_at              timestamptz,
    capture_reference       text,
    capture_failure         text,
    void_version            bigint,
    void_at                 timestamptz,
    stuck_version           bigint,
    stuck_at                timestamptz,
    stuck_operation         text check (stuck_operation in ('authorize', 'capture', 'void')),
    stuck_detail            text,
    check ((authorization_version is null) = (amount_minor is null))
) with (fillfactor = 60);

-- Double entry: what every capture posts. Insert-only; sums to zero per currency and per order and version.
create table ledger (
    order_id     text not null,
    version      bigint not null,
    account      text not null check (account in ('provider_receivable', 'sales')),
    amount_minor bigint not null check (amount_minor <> 0),
    currency     text not null,
    primary key (order_id, version, account)
);

-- ---- runtime

-- Calls to the provider that are intended or under way; a row goes when its outcome is recorded.
create table payment_calls (
    order_id      text primary key,
    partition     integer not null,
    operation     text not null check (operation in ('authorize', 'capture', 'void')),
    attempt       integer not null,
    customer_id   text not null,
    currency      text not null,
    amount_minor  bigint not null check (amount_minor > 0),
    authorization_reference text,
    queued        text check (queued in ('authorize', 'capture', 'void')),
    opened_at     timestamptz not null,
    unknown_since timestamptz,
    not_found_at  timestamptz,
    sends         integer not null,
    look_ups      integer not null,
    due_at        timestamptz not null,
    cause_id      text,
    trace_parent  text
);

create index payment_calls_due on payment_calls (partition, due_at);

-- ==== the next version

-- Money that is given back.

alter table payments
    add column refunds        text,
    add column refunded_minor bigint not null default 0,
    add column stuck_refused_attempts integer;
update payments set stuck_refused_attempts = 0 where stuck_version is not null;

alter table ledger
    drop constraint ledger_account_check,
    add constraint ledger_account_check check (account in ('provider_receivable', 'sales', 'refunds')) not valid;
alter table ledger validate constraint ledger_account_check;

alter table payment_calls
    add column refund_id text,
    drop constraint payment_calls_operation_check,
    drop constraint payment_calls_queued_check;

-- For people: refunds as rows.
create view payment_refunds as
select p.order_id, r.refund ->> 'refund_id' as refund_id, (r.refund ->> 'version')::bigint as version,
       (r.refund ->> 'amount_minor')::bigint as amount_minor, p.currency,
       (select key from jsonb_object_keys (r.refund -> 'outcome') as key) as outcome
from payments p, lateral jsonb_array_elements (p.refunds::jsonb) as r (refund)
where p.refunds is not null;

-- ==== the next version

-- With what is paid, what lapses, what came back, and what banks dispute.

alter table payments
    add column payment_provider      text,
    add column payment_token         text,
    add column expires_at            timestamptz,
    add column authorization_attempt integer,
    add column void_reason           text,
    add column disputes              text;
update payments set authorization_attempt = 1 where authorization_version is not null;

alter table ledger
    drop constraint ledger_account_check,
    add constraint ledger_account_check check (account in ('provider_receivable', 'sales', 'refunds', 'disputes',
                                                           'write_offs', 'fees')) not valid;
alter table ledger validate constraint ledger_account_check;

alter table payment_calls
    add column payment_provider   text,
    add column payment_token      text,
    add column accepted_reference text;

-- Whose payment is to be looked at, because somebody thinks that there is news: runtime, and no more than hints.
create table payment_looks (
    order_id text primary key,
    due_at   timestamptz not null,
    looks    integer not null default 0
);

-- What is held and lapses.
create index payments_lapsing on payments (expires_at) where status = 'authorized' and expires_at is not null;

-- A webhook may name a payment by the provider's name alone.
create index payments_by_reference on payments (authorization_reference) where authorization_reference is not null;

-- For people: disputes as rows.
create view payment_disputes as
select p.order_id, d.dispute ->> 'dispute_id' as dispute_id, (d.dispute ->> 'version')::bigint as version,
       d.dispute ->> 'status' as status, (d.dispute ->> 'amount_minor')::bigint as amount_minor,
       d.dispute ->> 'currency' as currency, (d.dispute ->> 'fee_minor')::bigint as fee_minor
from payments p, lateral jsonb_array_elements (p.disputes::jsonb) as d (dispute)
where p.disputes is not null;

-- ==== the next version

-- What the customer has to do before anything is held; null as soon as it is known what came of it. Which words there are is the
-- program's to say: it writes them from types and refuses to read others.
alter table payments
    add column action text,
    drop constraint payments_status_check;

-- For people: payments that wait for their customers.
create view payment_actions as
select p.order_id, p.action::jsonb ->> 'provider_reference' as provider_reference,
       (p.action::jsonb ->> 'amount_minor')::bigint as amount_minor, p.action::jsonb ->> 'currency' as currency,
       to_timestamp ((p.action::jsonb ->> 'until')::bigint / 1000000.0) as until
from payments p
where p.action is not null;
