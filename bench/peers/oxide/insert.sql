insert into outbox_events (id, event_type, payload)
select id, 'bench.Event.v1', convert_from(payload, 'UTF8')::jsonb
from unnest($1::uuid[], $2::text[], $3::bytea[]) as event (id, key, payload)
