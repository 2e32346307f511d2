-- The indexes of whoever looks; the tables are made of their descriptions.

-- Lists go from the newest order backwards, and a page begins behind the last order of the one before.
create index orders_by_time on orders (accepted_at, order_id);
create index orders_by_customer on orders (customer_id, accepted_at, order_id);
create index orders_by_stage on orders (stage, accepted_at, order_id);

-- What was given back and came back: few of very many, and somebody has to see to each.
create index heard_came_back on heard (at) where name = 'PaymentRefundReversed';
