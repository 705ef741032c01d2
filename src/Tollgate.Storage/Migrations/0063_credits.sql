-- Credit in money. What is left of a grant is its amount without its burns.
create table grants (
    key          integer primary key,
    id           text    not null unique,
    customer_key integer not null references customers (key),
    kind         text    not null,   -- prepaid | promotional
    currency     text    not null,
    amount       bigint  not null,
    priority     integer not null,   -- 0 first
    effective_at bigint  not null,
    expires_at   bigint,
    prices       text,               -- JSON: names of the prices that it is for; null for all
    name         text    not null,
    recurring_key integer,           -- the recurring grant that it is one of
    created_at   bigint  not null,
    voided_at    bigint,
    burnt        bigint  not null default 0   -- the sum of its burns
);
create index grants_by_customer on grants (customer_key);

create table burns (
    key         integer primary key,
    grant_key   integer not null references grants (key),
    invoice_key integer not null references invoices (key),
    amount      bigint  not null,   -- below zero when an invoice was voided
    burnt_at    bigint  not null
);
create index burns_by_grant on burns (grant_key);
create index burns_by_invoice on burns (invoice_key);

-- Grants that come again with each period; each of them stands in grants, and lasts so many periods longer.
create table recurring_grants (
    key          integer primary key,
    id           text    not null unique,
    customer_key integer not null references customers (key),
    kind         text    not null,
    currency     text    not null,
    amount       bigint  not null,
    priority     integer not null,
    prices       text,
    name         text    not null,
    interval     text    not null,
    anchor       text    not null,
    timezone     text    not null,
    rollover     integer not null,   -- periods that what is left lasts longer
    next_index   integer not null,
    next_at      bigint  not null,
    end_at       bigint,
    created_at   bigint  not null
);
create index recurring_grants_by_next on recurring_grants (next_at);

create table coupons (
    key        integer primary key,
    id         text   not null unique,
    name       text   not null unique,
    percent    text,                 -- exact; null when it is an amount
    currency   text,
    amount     bigint,
    prices     text,                 -- JSON; null for all
    invoices   integer,              -- on how many; null for all to come
    created_at bigint not null
);

create table applied_coupons (
    key              integer primary key,
    coupon_key       integer not null references coupons (key),
    customer_key     integer not null references customers (key),
    subscription_key integer references subscriptions (key),  -- null: all of the customer
    used             integer not null,
    applied_at       bigint  not null,
    unique (coupon_key, customer_key)
);
create index applied_coupons_by_customer on applied_coupons (customer_key);

create table commitments (
    key              integer primary key,
    id               text    not null unique,
    subscription_key integer not null references subscriptions (key),
    kind             text    not null,   -- minimum | maximum
    currency         text    not null,
    amount           bigint  not null,
    start_at         bigint  not null,
    end_at           bigint,
    created_at       bigint  not null
);
create index commitments_by_subscription on commitments (subscription_key);

-- The usage that invoices have told of a period, to find what came late.
create table settled_usage (
    entitlement_key integer not null,
    period          integer not null,
    usage           text    not null,   -- JSON
    primary key (entitlement_key, period)
);

-- Usage that came when its period could not be adjusted any more: stored, and never billed.
create table late_usage (
    entitlement_key integer not null,
    period          integer not null,
    quantity        bigint  not null,
    found_at        bigint  not null,
    primary key (entitlement_key, period)
);
