insert into outbox (id, aggregatetype, aggregateid, type, payload)
select id, 'event', key, 'bench.Event.v1', payload
from unnest($1::uuid[], $2::text[], $3::bytea[]) as event (id, key, payload)
