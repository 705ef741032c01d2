-- What usage of a customer may cost: the gate refuses what goes beyond it.
create table balances (
    customer_key integer not null references customers (key),
    kind         text    not null,   -- prepaid | spend_cap
    amount       text    not null,   -- exact decimal, major units
    currency     text    not null,
    tax_rate     text    not null,   -- percent, exact decimal
    since        bigint  not null,   -- usage admitted from here on counts
    updated_at   bigint  not null,
    primary key (customer_key, kind)
);
