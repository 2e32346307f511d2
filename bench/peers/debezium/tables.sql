-- The outbox as Debezium's event router reads it by default; the payload is bytes, as everywhere here.
create table outbox (
    id uuid primary key,
    aggregatetype text not null,
    aggregateid text not null,
    type text not null,
    payload bytea not null
);
create publication peer for table outbox with (publish = 'insert');
