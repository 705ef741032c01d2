-- Instants: microseconds since 1970 UTC. Money: minor units. Exact rates and precise amounts: text.

-- Config: what is published. The document is JSON in the shape of its kind.
create table config_objects (
    key         integer primary key,  -- in the order of creation
    kind        text   not null,   -- api | plan | service | route | plugin
    name        text   not null,   -- unique in its kind; an unnamed object stands under its id
    id          text   not null unique,
    managed_by  text   not null,   -- file | api | kong
    document    text   not null,
    created_at  bigint not null,
    updated_at  bigint not null,
    unique (kind, name)
);

create table plan_versions (
    plan_id      text    not null,
    version      integer not null,
    currency     text    not null,
    prices       text    not null,  -- JSON, as in the file
    published_at bigint  not null,
    primary key (plan_id, version)
);

-- Integer keys of operations, for the journal and the rollups. Never reused, never changed.
create table operation_keys (
    key       integer primary key,
    api       text not null,
    operation text not null,
    endpoint  text not null,        -- the path template, as metrics and usage show it
    unique (api, operation)
);

create table customers (
    key        integer primary key,
    id         text   not null unique,
    name       text   not null unique,
    currency   text   not null,
    timezone   text   not null,
    managed_by text   not null,
    created_at bigint not null
);

-- keys of what can be deleted are never given again: usage is kept under them
create table consumers (
    key          integer primary key autoincrement,
    id           text   not null unique,
    username     text   not null unique,
    custom_id    text   unique,
    customer_key integer references customers (key),
    managed_by   text   not null,
    created_at   bigint not null
);
create index consumers_by_customer on consumers (customer_key);

create table credentials (
    key          integer primary key autoincrement,
    id           text   not null unique,
    consumer_key integer not null references consumers (key),
    hash         blob   not null unique,  -- HMAC-SHA-256 under the install key; the key itself is nowhere
    hint         text   not null,         -- what may be shown: the kind and the last four characters
    managed_by   text   not null,
    created_at   bigint not null,
    expires_at   bigint,
    revoked_at   bigint
);
create index credentials_by_consumer on credentials (consumer_key);

create table subscriptions (
    key          integer primary key,
    id           text    not null unique,
    customer_key integer not null references customers (key),
    plan_id      text    not null,
    priority     integer not null,
    anchor       text    not null,        -- local date; periods are computed from it
    timezone     text    not null,
    start_at     bigint  not null,
    end_at       bigint,
    managed_by   text    not null,
    created_at   bigint  not null,
    next_bill_at bigint                   -- what lies before is billed; null: nothing more to come
);
create index subscriptions_by_customer on subscriptions (customer_key);
create index subscriptions_by_next_bill on subscriptions (next_bill_at, start_at);

-- Stretches of constant terms of a subscription: what the gate compiles and what calls are stamped with. Repeats what
-- the gate needs of the subscription, so that Billing and the Gateway share this table and nothing else.
create table entitlements (
    key             integer primary key,
    subscription_id text    not null,
    customer_key    integer not null references customers (key),
    plan_id         text    not null,
    plan_version    integer not null,
    priority        integer not null,
    anchor          text    not null,
    timezone        text    not null,
    start_at        bigint  not null,
    end_at          bigint
);
create index entitlements_by_subscription on entitlements (subscription_id);
create index entitlements_by_customer on entitlements (customer_key);

-- Metering: how far each journal has been drained, and the sums. Exactly once by one integer per journal.
create table journals (
    id         bigint primary key,
    position   bigint not null,
    drained_at bigint not null
);

create table open_admissions (
    journal     bigint  not null,
    sequence    bigint  not null,
    entitlement integer not null,
    period      integer not null,
    consumer    integer not null,
    operation   integer not null,
    method      integer not null,
    admitted_at bigint  not null,
    primary key (journal, sequence)
);

create table rollups (
    entitlement integer not null,   -- 0: nobody's
    period      integer not null,   -- index in the subscription's calendar
    consumer    integer not null,   -- 0: anonymous
    meter       integer not null,   -- 1: calls
    operation   integer not null,
    method      integer not null,
    bucket      bigint  not null,   -- start of the 15 minutes in which the call was admitted
    admitted    bigint  not null,
    quantity    bigint  not null,   -- billable units × 10^scale of the meter
    unknown     bigint  not null,   -- admitted, and the process died before the answer
    primary key (entitlement, period, consumer, meter, operation, method, bucket)
);
create index rollups_by_bucket on rollups (bucket);

-- Billing. An issued invoice never changes; its document is what was sent.
create table invoices (
    key              integer primary key,
    id               text    not null unique,
    number           text    not null unique,
    customer_key     integer not null references customers (key),
    subscription_key integer not null references subscriptions (key),
    bill_at          bigint  not null,
    period_start     bigint  not null,
    period_end       bigint  not null,
    currency         text    not null,
    total            bigint  not null,
    document         text    not null,
    issued_at        bigint  not null,
    unique (subscription_key, bill_at)
);
create index invoices_by_customer on invoices (customer_key);

create table number_series (
    year integer primary key,
    last bigint not null
);
