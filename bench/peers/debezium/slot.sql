-- Made before anything is inserted, so that a backlog is in it.
select pg_create_logical_replication_slot('peer', 'pgoutput');
