-- Unfinished orders alone, for deadlines and gauges: what is finished costs them nothing, however much of it there is.
--
-- The partition while the order is not finished, else null. It changes once in an order's life, so that all updates but the
-- last stay within their page (HOT); an index over the stage itself would end that for every one of them. A column of its
-- own, and not a condition over others, so that no plan can take the index of all orders instead.
-- Rewrites the table: some seconds per million orders, during which the service waits.
alter table orders add column unfinished_partition integer
    generated always as (case when stage not in ('completed', 'cancelled') then partition end) stored;

create index orders_unfinished on orders (unfinished_partition, confirm_by) where unfinished_partition is not null;

comment on table timer_watermarks is 'not used since version 2: a stored mark outlives the clock that it was taken with';
