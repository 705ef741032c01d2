-- Spend caps that begin anew with each calendar period of the customer's zone. The balance itself stands in balances.
create table spend_caps (
    customer_key integer primary key references customers (key),
    every        text   not null,            -- day | week | month | quarter | year
    next_at      bigint not null,            -- when the next period begins
    told         integer not null default 1  -- 0: the gate is still to be told
);
create index spend_caps_by_next on spend_caps (next_at);
