-- The order service's tables. Those under "state" are what the events of order.events.v1 say, row for row;
-- those under "runtime" are only this service's own progress and are never compared with a rebuild.

-- ---- state

create table orders (
    order_id          text primary key,
    partition         integer not null,
    version           bigint not null check (version > 0),
    stage             text not null check (stage in ('placed', 'stock_reserved', 'confirmed', 'payment_captured',
                                                     'completed', 'cancelling', 'cancelled', 'stuck')),
    awaiting          text check (awaiting in ('StockReservation', 'PaymentAuthorization', 'PaymentCapture',
                                               'StockCommit', 'PaymentVoid', 'StockRelease')),
    detail            text,
    cancel_reason     text check (cancel_reason in ('OutOfStock', 'PaymentDeclined', 'DeadlinePassed', 'Requested',
                                                    'CaptureFailed')),
    cancel_command_id text,
    customer_id       text not null,
    placed_at         timestamptz not null,
    currency          text not null,
    total_minor       bigint not null check (total_minor >= 0),
    content           bytea not null check (octet_length(content) = 32),
    confirm_by        timestamptz not null,
    accepted_at       timestamptz not null,
    changed_at        timestamptz not null,
    check ((stage in ('cancelling', 'stuck')) = (awaiting is not null)),
    check (stage not in ('cancelling', 'cancelled') or cancel_reason is not null)
) with (fillfactor = 45);

-- For deadlines. Neither column ever changes, so that updates of an order stay within its page (HOT).
create index orders_confirm_by on orders (partition, confirm_by);

-- What was ordered: written once, one row per order, so that the row that changes stays small.
create table order_contents (
    order_id          text primary key,
    skus              text[] not null,
    quantities        bigint[] not null,
    unit_prices_minor bigint[] not null
);

create view order_lines as
select c.order_id, l.line, l.sku, l.quantity, l.unit_price_minor
from order_contents c,
     lateral unnest(c.skus, c.quantities, c.unit_prices_minor)
         with ordinality as l (sku, quantity, unit_price_minor, line);

-- ---- runtime

-- Every deadline at or before this time was looked after.
create table timer_watermarks (
    partition  integer primary key,
    confirm_by timestamptz not null
);

-- ==== the next version

-- Unfinished orders alone, for deadlines and gauges: what is finished costs them nothing, however much of it there is.
--
-- The partition while the order is not finished, else null. It changes once in an order's life, so that all updates but the
-- last stay within their page (HOT); an index over the stage itself would end that for every one of them. A column of its
-- own, and not a condition over others, so that no plan can take the index of all orders instead.
-- Rewrites the table: some seconds per million orders, during which the service waits.
alter table orders add column unfinished_partition integer
    generated always as (case when stage not in ('completed', 'cancelled') then partition end) stored;

create index orders_unfinished on orders (unfinished_partition, confirm_by) where unfinished_partition is not null;

comment on table timer_watermarks is 'not used since version 2: a stored mark outlives the clock that it was taken with';

-- ==== the next version

-- What happens to an order beside its way, and on what terms it was placed. All of it is null for most orders.

alter table orders
    add column terms       text,
    add column cancel_code text,
    add column ship_by     timestamptz,
    add column wake_at     timestamptz,
    add column aftercare   text,
    -- Which words there are is the program's to say: it writes them from types and refuses to read others. Every further stage
    -- would cost a scan of the table under a lock, and every statement the reading of these lists.
    drop constraint orders_stage_check,
    drop constraint orders_awaiting_check,
    drop constraint orders_cancel_reason_check,
    drop constraint orders_check,
    drop constraint orders_check1;

-- When a hold or an open return comes to its end, and until when an order should be shipped. They hold few orders, and none that
-- goes its plain way: its columns stay null, so that its updates stay within their page (HOT).
create index orders_wake_at on orders (partition, wake_at) where wake_at is not null;
create index orders_ship_by on orders (partition, ship_by) where ship_by is not null;

-- For people: refunds and returns as rows.
create view order_refunds as
select o.order_id, r.refund ->> 'refund_id' as refund_id, (r.refund ->> 'amount_minor')::bigint as amount_minor,
       o.currency,
       case when jsonb_typeof (r.refund -> 'state') = 'string' then r.refund ->> 'state'
            else (select key from jsonb_object_keys (r.refund -> 'state') as key) end as state,
       r.refund ->> 'reason_code' as reason_code, r.refund ->> 'return_id' as return_id
from orders o, lateral jsonb_array_elements (o.aftercare::jsonb -> 'refunds') as r (refund)
where o.aftercare is not null;

create view order_returns as
select o.order_id, r.back ->> 'return_id' as return_id, r.back ->> 'state' as state,
       (r.back ->> 'refund_minor')::bigint as refund_minor, r.back ->> 'reason_code' as reason_code
from orders o, lateral jsonb_array_elements (o.aftercare::jsonb -> 'returns') as r (back)
where o.aftercare is not null;

-- ==== the next version

-- Until when the customer has to act before the payment is authorized. Null for nearly all orders.
alter table orders add column action_until timestamptz;
