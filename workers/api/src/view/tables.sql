-- The read model: what the events of the services' topics say, by the descriptions of the services' own tables, in one schema and
-- with the indexes of whoever looks. Without their checks: topics are read beside one another, so a reservation may come before
-- the receipt that it took from.

create table orders (
    order_id          text primary key,
    partition         integer not null,
    version           bigint not null,
    stage             text not null,
    awaiting          text,
    detail            text,
    cancel_reason     text,
    cancel_command_id text,
    customer_id       text not null,
    placed_at         timestamptz not null,
    currency          text not null,
    total_minor       bigint not null,
    content           bytea not null,
    confirm_by        timestamptz not null,
    accepted_at       timestamptz not null,
    changed_at        timestamptz not null,
    terms             text,
    cancel_code       text,
    ship_by           timestamptz,
    wake_at           timestamptz,
    aftercare         text
) with (fillfactor = 60);

-- Lists go from the newest order backwards, and a page begins behind the last order of the one before.
create index orders_by_time on orders (accepted_at, order_id);
create index orders_by_customer on orders (customer_id, accepted_at, order_id);
create index orders_by_stage on orders (stage, accepted_at, order_id);

create table order_contents (
    order_id          text primary key,
    skus              text[] not null,
    quantities        bigint[] not null,
    unit_prices_minor bigint[] not null
);

-- Which orders have a SKU; written once.
create table order_skus (
    sku         text not null,
    accepted_at timestamptz not null,
    order_id    text not null,
    primary key (sku, accepted_at, order_id)
);

create table reservations (
    order_id        text primary key,
    version         bigint not null,
    status          text not null,
    skus            text[] not null,
    quantities      bigint[] not null,
    short_skus      text[] not null,
    short_requested bigint[] not null,
    short_available bigint[] not null,
    decided_at      timestamptz not null,
    changed_at      timestamptz not null,
    returns         text
) with (fillfactor = 60);

create table stock (
    sku         text primary key,
    version     bigint not null,
    received    bigint not null,
    reserved    bigint not null,
    shipped     bigint not null,
    returned    bigint not null,
    written_off bigint not null
) with (fillfactor = 40);

create table payments (
    order_id                text primary key,
    version                 bigint not null,
    status                  text not null,
    customer_id             text,
    currency                text,
    amount_minor            bigint,
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
    stuck_operation         text,
    stuck_detail            text,
    refunds                 text,
    refunded_minor          bigint not null
) with (fillfactor = 60);

-- What was said about an order or a SKU, refusals among it, and where: the position at which a row stands is that of the last one
-- of its key, and the answer to a command is the one that names it as its cause.
create table heard (
    topic         text not null,
    key           text not null,
    log_offset    bigint not null,
    log_partition integer not null,
    version       bigint,
    type          text not null,
    at            timestamptz not null,
    cause         text,
    body          json not null,
    primary key (topic, key, log_offset)
);
