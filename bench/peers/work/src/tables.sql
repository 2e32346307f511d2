create table stock (
    sku text primary key,
    received bigint not null,
    reserved bigint not null default 0 check (reserved >= 0),
    shipped bigint not null default 0,
    check (received >= reserved + shipped)
) with (fillfactor = 50);
create table orders (
    order_id text primary key,
    customer_id text not null,
    currency text not null,
    total_minor bigint not null,
    skus text[] not null,
    quantities bigint[] not null,
    unit_prices_minor bigint[] not null,
    stage text not null,
    version bigint not null,
    placed_at timestamptz not null default now()
) with (fillfactor = 70);
create table reservations (
    order_id text primary key,
    skus text[] not null,
    quantities bigint[] not null,
    state text not null,
    version bigint not null
) with (fillfactor = 70);
create table payments (
    order_id text primary key,
    currency text not null,
    authorized_minor bigint not null,
    captured_minor bigint not null,
    state text not null,
    version bigint not null
);
