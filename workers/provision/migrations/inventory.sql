-- The inventory service's tables. Those under "state" are what the events of inventory.events.v1 and stock.events.v1 say,
-- row for row. There is no runtime table besides the outbox's and the inbox'.

-- ---- state

-- What is held for an order. One row, lines as arrays: written once, settled once.
create table reservations (
    order_id        text primary key,
    version         bigint not null check (version > 0),
    status          text not null check (status in ('reserved', 'rejected', 'committed', 'released')),
    skus            text[] not null,
    quantities      bigint[] not null,
    short_skus      text[] not null,
    short_requested bigint[] not null,
    short_available bigint[] not null,
    decided_at      timestamptz not null,
    changed_at      timestamptz not null
) with (fillfactor = 60);

-- The stock of a SKU: sums over receipts, adjustments and reservations. No constraint is ever deferred: nothing below zero.
create table stock (
    sku      text primary key,
    version  bigint not null check (version > 0),
    received bigint not null check (received >= 0),
    reserved bigint not null check (reserved >= 0),
    shipped  bigint not null check (shipped >= 0),
    constraint no_oversell check (received - reserved - shipped >= 0)
) with (fillfactor = 40);

-- Every receipt and adjustment by its command, so that a repeated command has no second effect.
create table stock_receipts (
    sku        text not null,
    command_id text not null,
    version    bigint not null check (version > 0),
    kind       text not null check (kind in ('received', 'adjusted')),
    pieces     bigint not null,
    at         timestamptz not null,
    primary key (sku, command_id)
);

-- ==== the next version

-- Goods that come back: what of a reservation, and what of a SKU.

alter table reservations add column returns text;

-- One constraint, and not one for each column: every statement that writes a row reads all of them.
alter table stock
    add column returned    bigint not null default 0,
    add column written_off bigint not null default 0,
    drop constraint stock_version_check,
    drop constraint stock_received_check,
    drop constraint stock_reserved_check,
    drop constraint stock_shipped_check,
    drop constraint no_oversell,
    add constraint no_oversell check (
        version > 0 and received >= 0 and reserved >= 0 and shipped >= 0 and returned >= 0 and written_off >= 0
        and returned <= shipped and received + returned - reserved - shipped - written_off >= 0);

-- ==== the next version

-- What a SKU is called and what it costs; and who asked for a stock command, and why.

-- Beside the levels, whose rows every order writes. The version is that of the SKU which says so.
create table products (
    sku         text primary key,
    version     bigint not null check (version > 0),
    title       text not null,
    price_minor bigint not null check (price_minor >= 0),
    currency    text not null,
    changed_at  timestamptz not null
);

-- A description's own words stand at its command too, so that a repetition is answered in them after later ones.
alter table stock_receipts
    add column asked_by    text,
    add column note        text,
    add column title       text,
    add column price_minor bigint,
    add column currency    text,
    drop constraint stock_receipts_kind_check,
    add constraint stock_receipts_kind_check check (
        kind in ('received', 'adjusted')
        or kind = 'described' and pieces = 0 and title is not null and price_minor is not null and currency is not null)
        not valid;
alter table stock_receipts validate constraint stock_receipts_kind_check;
