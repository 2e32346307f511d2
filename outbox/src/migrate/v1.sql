-- Tables of one outbox and one inbox. `{schema}` is replaced by the quoted schema name.

-- Who publishes from here: one row. All programs that open the outbox must agree on it.
create table {schema}.outbox_identity (
    single boolean primary key default true check (single),
    source text not null,
    content_type text not null
);

-- Topics that this outbox writes to. The id is half of every lane number, so a topic is never deleted.
create table {schema}.outbox_topics (
    id smallint primary key check (id between 1 and 32767),
    name text not null unique,
    partitions int not null check (partitions between 1 and 65536)
);

-- One row per topic partition. Sequences up to `floor` are never handed out (again); rows up to `pruned` may be gone.
create table {schema}.outbox_lanes (
    lane int primary key,
    topic_id smallint not null references {schema}.outbox_topics (id),
    partition int not null,
    floor bigint not null default 0,
    pruned bigint not null default 0,
    unique (topic_id, partition)
) with (fillfactor = 50);

-- The messages. Insert-only: no statement of this crate updates or deletes a row. `type` is null for a raw record.
create table {schema}.outbox_messages (
    sequence bigint not null,
    time timestamptz not null,
    lane int not null,
    id uuid not null,
    type text,
    key bytea,
    payload bytea,
    causation uuid,
    causation_text text,
    trace bytea,
    headers bytea,
    primary key (lane, sequence),
    constraint outbox_messages_size check (
        coalesce(octet_length(key), 0) + coalesce(octet_length(payload), 0) + coalesce(octet_length(headers), 0)
            + coalesce(octet_length(causation_text), 0) <= 67108864
    )
);

-- A row per epoch after the first. Messages after `last_equal` and before `first` of that lane are void.
create table {schema}.outbox_epochs (
    lane int not null references {schema}.outbox_lanes (lane),
    epoch bigint not null check (epoch > 1),
    first bigint not null check (first > 1),
    last_equal bigint not null check (last_equal >= 0),
    created timestamptz not null default clock_timestamp(),
    primary key (lane, epoch)
);

-- How far each lane is published, lagging: the topic partition holds everything up to `sequence` at or before
-- `kafka_offset`, which is the offset of the message with that sequence.
create table {schema}.outbox_positions (
    lane int primary key references {schema}.outbox_lanes (lane),
    epoch bigint not null,
    sequence bigint not null,
    kafka_offset bigint not null
) with (fillfactor = 50);

-- Where a consumer resumes, one row per topic partition; null until it has taken its first record.
create table {schema}.inbox_offsets (
    topic text not null,
    partition int not null,
    next_offset bigint,
    primary key (topic, partition)
) with (fillfactor = 50);

-- Last position taken per topic partition and source. Duplicates are decided by this, never by offset.
create table {schema}.inbox_positions (
    topic text not null,
    partition int not null,
    source text not null,
    epoch bigint not null,
    sequence bigint not null,
    primary key (topic, partition, source)
) with (fillfactor = 50);

-- Raises; declared to return a value so that it can stand in a `case`.
create function {schema}.outbox_refuse(code text, reason text) returns boolean language plpgsql volatile as $$
begin
    raise exception using errcode = code, message = reason;
end
$$;

-- The highest sequence ever used in each of the given lanes, in their order; null for a lane that is not registered.
-- Must be called in a statement after the one that locked the lanes. Its plan is pinned to the primary key: a plan made
-- while the table was empty would otherwise scan it ever after.
create function {schema}.outbox_heads(lanes int[]) returns bigint[] language plpgsql volatile
    set enable_seqscan = off set enable_bitmapscan = off set plan_cache_mode = force_generic_plan as $$
declare
    heads bigint[];
begin
    select array_agg(
        greatest(l.floor, (select m.sequence from {schema}.outbox_messages m
                           where m.lane = l.lane order by m.lane desc, m.sequence desc limit 1))
        order by given.place)
    into heads
    from unnest(lanes) with ordinality as given (lane, place)
    left join {schema}.outbox_lanes l on l.lane = given.lane;
    return heads;
end
$$;

-- Records who publishes from here, or refuses another name than the recorded one: positions of two sources in one lane
-- would both have gaps.
create function {schema}.outbox_identify(given_source text, given_content_type text) returns void language plpgsql volatile
as $$
declare
    recorded {schema}.outbox_identity;
begin
    insert into {schema}.outbox_identity (source, content_type) values (given_source, given_content_type)
        on conflict do nothing;
    select * into recorded from {schema}.outbox_identity;
    if (recorded.source, recorded.content_type) is distinct from (given_source, given_content_type) then
        perform {schema}.outbox_refuse('OB003', format('this outbox publishes as %s with %s, not as %s with %s',
            recorded.source, recorded.content_type, given_source, given_content_type));
    end if;
end
$$;

-- Registers a topic and its lanes; returns the topic's id. Refuses another partition count than the registered one,
-- because the partition of every key would move.
create function {schema}.outbox_register(topic text, partition_count int) returns smallint language plpgsql volatile as $$
declare
    found_id smallint;
    found_partitions int;
begin
    perform pg_advisory_xact_lock(({space_of_lanes})::int, -1);
    select t.id, t.partitions into found_id, found_partitions from {schema}.outbox_topics t where t.name = topic;
    if found_id is null then
        select coalesce(max(t.id), 0) + 1 into found_id from {schema}.outbox_topics t;
        insert into {schema}.outbox_topics (id, name, partitions) values (found_id, topic, partition_count);
        insert into {schema}.outbox_lanes (lane, topic_id, partition)
            select (found_id::int << 16) | p, found_id, p from generate_series(0, partition_count - 1) p;
    elsif found_partitions <> partition_count then
        perform {schema}.outbox_refuse('OB003', format(
            'topic %s is registered with %s partitions, not %s', topic, found_partitions, partition_count));
    end if;
    return found_id;
end
$$;
