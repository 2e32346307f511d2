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

-- The messages, in two plain tables that take turns: one is written to while the other ages; once all of it is
-- published and past retention it is truncated, and they change places. Insert-only: no statement of this crate updates
-- or deletes a row. `type` is null for a raw record. There is no check of the size: evaluating one costs every append, and whoever
-- appends has checked before. Vacuum would find nothing to do, and stand in the way of truncation.
create table {schema}.outbox_messages_0 (
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
    primary key (lane, sequence)
) with (autovacuum_enabled = off, toast.autovacuum_enabled = off);
create table {schema}.outbox_messages_1 (like {schema}.outbox_messages_0 including all)
    with (autovacuum_enabled = off, toast.autovacuum_enabled = off);

-- Both, for whoever reads. Nobody writes here; appending is `outbox_append`.
create view {schema}.outbox_messages as
    select * from {schema}.outbox_messages_0 union all select * from {schema}.outbox_messages_1;

-- Which table is written to, since when: one row. A writer that has just read another value does no harm: readers,
-- heads and truncation always look at both tables.
create table {schema}.outbox_rotation (
    single boolean primary key default true check (single),
    current smallint not null default 0 check (current in (0, 1)),
    since timestamptz not null default clock_timestamp()
);
insert into {schema}.outbox_rotation default values;

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

-- What programs in any language send: one INSERT (or `outbox_send`) anywhere in a transaction. Triggers append it to the
-- messages when the transaction commits; after that a row here means nothing, so the table is unlogged, and truncated now
-- and then. `type` null makes a raw record; `key` may be null only with a `partition`; `headers` is an object of texts.
create unlogged table {schema}.outbox_sends (
    topic text not null,
    key bytea,
    payload bytea,
    type text,
    id uuid not null default gen_random_uuid(),
    headers jsonb,
    partition int,
    time timestamptz not null default clock_timestamp(),
    causation text,
    traceparent text,
    lane int not null
) with (autovacuum_enabled = off, toast.autovacuum_enabled = off);

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

-- Raises unless the protocol can hold. READ COMMITTED: an older snapshot would not see the rows of those who held the
-- lane's lock before. `synchronous_commit`: with it off, a relay can publish a commit that a crash then undoes.
create function {schema}.outbox_guard() returns void language plpgsql volatile as $$
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        perform {schema}.outbox_refuse('OB001', 'the outbox needs isolation level read committed');
    end if;
    if current_setting('synchronous_commit') = 'off' then
        perform {schema}.outbox_refuse('OB001', 'the outbox needs synchronous_commit, which is off here');
    end if;
end
$$;

-- The highest sequence ever used in each of the given lanes, in their order; null for a lane that is not registered.
-- Must be called in a statement after the one that locked the lanes. Its plan is pinned to the primary keys: a plan
-- made while a table was empty would otherwise scan it ever after.
create function {schema}.outbox_heads(lanes int[]) returns bigint[] language plpgsql volatile
    set enable_seqscan = off set enable_bitmapscan = off set plan_cache_mode = force_generic_plan as $$
declare
    heads bigint[];
begin
    heads := array(
        select greatest(l.floor,
            (select m.sequence from {schema}.outbox_messages_0 m
             where m.lane = l.lane order by m.lane desc, m.sequence desc limit 1),
            (select m.sequence from {schema}.outbox_messages_1 m
             where m.lane = l.lane order by m.lane desc, m.sequence desc limit 1))
        from unnest(lanes) with ordinality as given (lane, place)
        left join {schema}.outbox_lanes l on l.lane = given.lane
        order by given.place);
    return heads;
end
$$;

-- Appends messages as the last thing before COMMIT: guards, locks the lanes (which must ascend), and inserts each
-- message at its lane's head plus its ordinal. Returns the heads as they were, in the order of the lanes.
--
-- Heads are read in a statement of their own after the locks: in READ COMMITTED every statement of a volatile function
-- has a snapshot of its own. That statement names both message tables and the floors, and Postgres locks all tables of a
-- statement before it takes the snapshot: so a TRUNCATE is either before it, and the floor that it raised is seen, or
-- waits until this transaction has ended. One message, the usual case of a short transaction, has a shorter way.
create function {schema}.outbox_append(
    lanes int[], slots int[], ordinals bigint[], ids uuid[], types text[], keys bytea[], payloads bytea[],
    times timestamptz[], causations uuid[], causation_texts text[], traces bytea[], headers bytea[]
) returns bigint[] language plpgsql volatile
    set enable_seqscan = off set enable_bitmapscan = off set plan_cache_mode = force_generic_plan as $$
declare
    space constant int := {space_of_lanes};
    one int;
    heads bigint[];
    into_table smallint;
begin
    if current_setting('transaction_isolation') <> 'read committed' or current_setting('synchronous_commit') = 'off' then
        perform {schema}.outbox_guard();
    end if;
    foreach one in array lanes loop
        -- An expression and not a statement, which would cost several times as much.
        if pg_advisory_xact_lock(space, one) is null then
            return null;
        end if;
    end loop;
    if cardinality(lanes) = 1 then
        select r.current, array[greatest(l.floor,
            (select m.sequence from {schema}.outbox_messages_0 m
             where m.lane = lanes[1] order by m.lane desc, m.sequence desc limit 1),
            (select m.sequence from {schema}.outbox_messages_1 m
             where m.lane = lanes[1] order by m.lane desc, m.sequence desc limit 1))]
        into into_table, heads
        from {schema}.outbox_rotation r, {schema}.outbox_lanes l where l.lane = lanes[1];
    else
        select r.current, array(
            select greatest(l.floor,
            (select m.sequence from {schema}.outbox_messages_0 m
             where m.lane = l.lane order by m.lane desc, m.sequence desc limit 1),
            (select m.sequence from {schema}.outbox_messages_1 m
             where m.lane = l.lane order by m.lane desc, m.sequence desc limit 1))
            from unnest(lanes) with ordinality as given (lane, place)
            left join {schema}.outbox_lanes l on l.lane = given.lane
            order by given.place)
        into into_table, heads
        from {schema}.outbox_rotation r;
    end if;
    if into_table is distinct from 1 and cardinality(slots) = 1 then
        insert into {schema}.outbox_messages_0
            (lane, sequence, id, type, key, payload, time, causation, causation_text, trace, headers)
        values (lanes[1], heads[1] + ordinals[1], ids[1], types[1], keys[1], payloads[1], times[1], causations[1],
            causation_texts[1], traces[1], headers[1]);
    elsif cardinality(slots) = 1 then
        insert into {schema}.outbox_messages_1
            (lane, sequence, id, type, key, payload, time, causation, causation_text, trace, headers)
        values (lanes[1], heads[1] + ordinals[1], ids[1], types[1], keys[1], payloads[1], times[1], causations[1],
            causation_texts[1], traces[1], headers[1]);
    elsif into_table is distinct from 1 then
        insert into {schema}.outbox_messages_0
            (lane, sequence, id, type, key, payload, time, causation, causation_text, trace, headers)
        select lanes[i.slot], heads[i.slot] + i.ordinal, i.id, i.type, i.key, i.payload, i.time, i.causation,
            i.causation_text, i.trace, i.headers
        from unnest(slots, ordinals, ids, types, keys, payloads, times, causations, causation_texts, traces, headers)
            as i (slot, ordinal, id, type, key, payload, time, causation, causation_text, trace, headers);
    else
        insert into {schema}.outbox_messages_1
            (lane, sequence, id, type, key, payload, time, causation, causation_text, trace, headers)
        select lanes[i.slot], heads[i.slot] + i.ordinal, i.id, i.type, i.key, i.payload, i.time, i.causation,
            i.causation_text, i.trace, i.headers
        from unnest(slots, ordinals, ids, types, keys, payloads, times, causations, causation_texts, traces, headers)
            as i (slot, ordinal, id, type, key, payload, time, causation, causation_text, trace, headers);
    end if;
    return heads;
end
$$;

-- Truncates one of the tables if every message in it is published, it has not been written to for the retention, and
-- the backend `leader` leads; else says what is in the way. Floors and `pruned` rise in the same transaction. The table
-- is locked first, under the caller's `lock_timeout`: what is read after that is final. That a writer which had read an
-- older `current` has appended meanwhile does no harm: its message is found here too.
create function {schema}.outbox_truncate(which int, leader int, retention_seconds float8) returns text
    language plpgsql volatile
    set enable_seqscan = off set enable_bitmapscan = off as $$
declare
    waiting bigint;
begin
    execute format('lock table {schema}.outbox_messages_%s in access exclusive mode', which);
    if not exists (
        select from pg_locks l
        where l.pid = leader and l.granted and l.locktype = 'advisory' and l.objid = 0 and l.objsubid = 2
            and l.classid = (({space_of_lanes})::int8 & 4294967295)::oid
            and l.database = (select d.oid from pg_database d where d.datname = current_database())
    ) then
        return 'the relay does not lead any more';
    end if;
    if not exists (
        select from {schema}.outbox_rotation r
        where r.current <> which and r.since <= clock_timestamp() - retention_seconds * interval '1 second'
    ) then
        return 'the table has been written to too recently';
    end if;
    execute format($query$
        with tops (lane, sequence) as materialized (
            select l.lane, (select m.sequence from {schema}.outbox_messages_%s m
                            where m.lane = l.lane order by m.lane desc, m.sequence desc limit 1)
            from {schema}.outbox_lanes l
        ), waiting as materialized (
            select t.lane from tops t left join {schema}.outbox_positions p on p.lane = t.lane
            where t.sequence > coalesce(p.sequence, 0)
        ), raised as (
            update {schema}.outbox_lanes l
            set floor = greatest(l.floor, t.sequence), pruned = greatest(l.pruned, t.sequence)
            from tops t where t.lane = l.lane and t.sequence is not null and not exists (select from waiting)
        )
        select count(*) from waiting$query$, which) into waiting;
    if waiting > 0 then
        return format('%s topic partitions have messages there that are not published', waiting);
    end if;
    execute format('truncate {schema}.outbox_messages_%s', which);
    return null;
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

-- Kafka's murmur2 of a key, made positive, modulo the partition count: where a Java producer would put it.
create function {schema}.outbox_partition(key bytea, partitions int) returns int language plpgsql immutable strict as $$
declare
    -- Products of a factor below 2^31 and one below 2^32 fit into a bigint.
    m constant bigint := 1540483477;
    low constant bigint := 4294967295;
    n constant int := length(key);
    h bigint := 2538058380 # n;
    k bigint;
    i int := 0;
begin
    while i + 4 <= n loop
        k := get_byte(key, i)::bigint | (get_byte(key, i + 1)::bigint << 8) | (get_byte(key, i + 2)::bigint << 16)
            | (get_byte(key, i + 3)::bigint << 24);
        k := (k * m) & low;
        k := ((k # (k >> 24)) * m) & low;
        h := ((h * m) & low) # k;
        i := i + 4;
    end loop;
    if i < n then
        for j in reverse n - 1 .. i loop
            h := h # (get_byte(key, j)::bigint << (8 * (j - i)));
        end loop;
        h := (h * m) & low;
    end if;
    h := ((h # (h >> 13)) * m) & low;
    h := h # (h >> 15);
    return (h & 2147483647) % partitions;
end
$$;

-- Headers in the crate's form: length and bytes of each name and value. Values that are no texts are written as JSON.
create function {schema}.outbox_pack_headers(headers jsonb) returns bytea language sql immutable strict as $$
    select string_agg(int2send(length(h.name)::smallint) || h.name
        || coalesce(int4send(length(h.value)) || h.value, '\xffffffff'), '' order by h.place)
    from (
        select convert_to(e.key, 'UTF8'), convert_to(e.value #>> '{}', 'UTF8'), e.place
        from jsonb_each(headers) with ordinality as e (key, value, place)
    ) as h (name, value, place)
$$;

-- Before a row is stored: refuses what cannot be published, finds its lane, and notes the lane for the commit. Runs with
-- the rights of the tables' owner, so that a sender needs no right but that to insert.
create function {schema}.outbox_place() returns trigger language plpgsql volatile
    security definer set search_path = pg_catalog, pg_temp as $$
declare
    topic {schema}.outbox_topics;
    identity {schema}.outbox_identity;
    bytes bigint;
    most bigint := coalesce(nullif(current_setting('outbox.max_message_bytes', true), '')::bigint, 1000000);
    setting constant text := 'outbox.lanes_' || tg_table_schema;
    noted text := coalesce(current_setting(setting, true), '');
begin
    perform {schema}.outbox_guard();
    select * into topic from {schema}.outbox_topics t where t.name = new.topic;
    select * into identity from {schema}.outbox_identity;
    if topic.id is null then
        perform {schema}.outbox_refuse('OB004', format('the outbox has no topic %s', quote_nullable(new.topic)));
    elsif new.partition is not null and new.partition not between 0 and topic.partitions - 1 then
        perform {schema}.outbox_refuse('OB004', format('topic %s has no partition %s', new.topic, new.partition));
    elsif new.partition is null and new.key is null then
        perform {schema}.outbox_refuse('OB004', format('a message for %s has neither key nor partition', new.topic));
    elsif new.type = '' or new.type ~ '[[:cntrl:]]' then
        perform {schema}.outbox_refuse('OB004', format('type %s is empty or has control characters', quote_literal(new.type)));
    elsif jsonb_typeof(new.headers) not in ('object', 'null') then
        perform {schema}.outbox_refuse('OB004', 'headers must be an object of texts');
    end if;
    bytes := 2 * coalesce(length(new.key), 0) + coalesce(length(new.payload), 0) + coalesce(octet_length(new.type), 0)
        + coalesce(octet_length(new.causation), 0) + coalesce(octet_length(new.headers::text), 0)
        + 520 + 2 * coalesce(octet_length(identity.source), 0) + coalesce(octet_length(identity.content_type), 0);
    if new.type is null then
        most := most + 65536;
    end if;
    if bytes > most then
        perform {schema}.outbox_refuse('OB004', format('a message for %s has %s bytes, the limit is %s', new.topic, bytes, most));
    end if;
    new.lane := (topic.id::int << 16) | coalesce(new.partition, {schema}.outbox_partition(new.key, topic.partitions));
    if position(',' || new.lane || ',' in noted) = 0 then
        perform set_config(setting, noted || ',' || new.lane || ',', true);
    end if;
    return new;
end
$$;

-- At the commit, for each row in the order in which they were sent. The first locks all lanes that were noted, ascending,
-- so that transactions which sent in different orders do not wait for each other in a circle. The setting is local to the
-- transaction and rolls back with savepoints, as the rows do.
create function {schema}.outbox_append_sent() returns trigger language plpgsql volatile
    security definer set search_path = pg_catalog, pg_temp as $$
declare
    setting constant text := 'outbox.lanes_' || tg_table_schema;
    noted constant text := coalesce(current_setting(setting, true), '');
    noted_lane int;
    is_id constant boolean := new.causation ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$';
    trace bytea;
begin
    if noted <> '' then
        perform {schema}.outbox_guard();
        for noted_lane in select distinct l::int from unnest(string_to_array(noted, ',')) l where l <> '' order by 1 loop
            perform pg_advisory_xact_lock({space_of_lanes}, noted_lane);
        end loop;
        perform set_config(setting, '', true);
    end if;
    if new.traceparent ~ '^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$' and new.traceparent !~ '^00-0{32}-|-0{16}-..$' then
        trace := decode(replace(substr(new.traceparent, 4), '-', ''), 'hex');
    end if;
    perform {schema}.outbox_append(
        array[new.lane], array[1], array[1::bigint], array[new.id], array[new.type], array[new.key], array[new.payload],
        array[new.time], array[case when is_id then new.causation::uuid end],
        array[case when not is_id then new.causation end], array[trace],
        array[{schema}.outbox_pack_headers(nullif(new.headers, 'null'))]);
    if coalesce(current_setting('outbox.notify', true), '') <> 'off' then
        perform pg_notify('outbox_' || tg_table_schema, new.lane::text);
    end if;
    return null;
end
$$;

create trigger outbox_place before insert on {schema}.outbox_sends
    for each row execute function {schema}.outbox_place();
create constraint trigger outbox_append_sent after insert on {schema}.outbox_sends
    deferrable initially deferred for each row execute function {schema}.outbox_append_sent();

-- Sends a message when the current transaction commits; returns its id. For programs in any language, and for psql:
-- `select outbox_send('orders', 'key', 'body', 'shop.Paid.v1')`. Options by name: `headers => '{"a": "b"}'`.
create function {schema}.outbox_send(
    topic text, key text, payload bytea, type text, id uuid default gen_random_uuid(), headers jsonb default null,
    partition int default null, causation text default null, traceparent text default null
) returns uuid language sql volatile as $$
    insert into {schema}.outbox_sends (topic, key, payload, type, id, headers, partition, causation, traceparent)
    values ($1, convert_to($2, 'UTF8'), $3, $4, $5, $6, $7, $8, $9);
    select $5
$$;

-- The same for a payload that is text.
create function {schema}.outbox_send(
    topic text, key text, payload text, type text, id uuid default gen_random_uuid(), headers jsonb default null,
    partition int default null, causation text default null, traceparent text default null
) returns uuid language sql volatile as $$
    insert into {schema}.outbox_sends (topic, key, payload, type, id, headers, partition, causation, traceparent)
    values ($1, convert_to($2, 'UTF8'), convert_to($3, 'UTF8'), $4, $5, $6, $7, $8, $9);
    select $5
$$;
