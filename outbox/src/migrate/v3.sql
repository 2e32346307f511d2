-- What restoring an archive into another number of partitions has left behind: records below `restored_below` were restored,
-- and say themselves where they first lay; `place_shift` partitions were there before these.
alter table {schema}.inbox_offsets
    add column restored_below bigint not null default 0,
    add column place_shift int not null default 0;
