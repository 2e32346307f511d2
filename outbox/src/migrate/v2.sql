-- By which record and by which topic a consumer knows the log again that its next offset belongs to; see `inbox::judge_log`.
-- The witness is the record before `next_offset`; whoever moves the offset without it leaves one behind that is not
-- believed, because its offset is another. An id of zeros: the offset was outside the log, and no log has it.
alter table {schema}.inbox_offsets
    add column witness_offset bigint,
    add column witness_digest bytea,
    add column topic_id uuid;
