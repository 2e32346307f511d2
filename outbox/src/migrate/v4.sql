-- Keys that are parked: a message that a consumer cannot take, and everything of its key that came behind it, in order.
-- `parkings` counts how often a key of this partition number was parked or freed. Whoever takes messages compares it, so nobody
-- passes by a key that another instance has parked.
alter table {schema}.inbox_offsets
    add column parkings bigint not null default 0;

-- The messages are numbered from `first` to before `next`. A key belongs to its lane: two lanes have no order between them.
create table {schema}.inbox_parked_keys (
    lane int not null,
    key bytea not null,
    first bigint not null,
    next bigint not null,
    since timestamptz not null,
    cause text not null,
    attempts int not null default 0,
    next_attempt timestamptz not null,
    asked_by text,
    asked_at timestamptz,
    primary key (lane, key),
    check (first < next)
);

-- The records as they came. `topic` is without the deployment's prefix: what is parked outlives a move to other topics.
create table {schema}.inbox_parked (
    lane int not null,
    key bytea not null,
    number bigint not null,
    topic text not null,
    partition int not null,
    record_offset bigint not null,
    place_partition int not null,
    place_offset bigint not null,
    source text,
    epoch bigint,
    sequence bigint,
    timestamp_type smallint not null,
    timestamp_ms bigint not null,
    payload bytea,
    headers bytea,
    headers_left_out int not null,
    parked_at timestamptz not null,
    primary key (lane, key, number)
);
