-- The read model besides the services' own tables, which are made of their descriptions: the indexes of whoever looks, and two tables
-- that only it has.

-- Lists go from the newest order backwards, and a page begins behind the last order of the one before.
create index orders_by_time on orders (accepted_at, order_id);
create index orders_by_customer on orders (customer_id, accepted_at, order_id);
create index orders_by_stage on orders (stage, accepted_at, order_id);

-- Which orders have a SKU; written once.
create table order_skus (
    sku         text not null,
    accepted_at timestamptz not null,
    order_id    text not null,
    primary key (sku, accepted_at, order_id)
);

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
