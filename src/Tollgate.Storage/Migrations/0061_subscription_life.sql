-- A subscription's own interval and how its periods are anchored; how parts of them are counted; how far it is billed.
alter table subscriptions add column interval text not null default 'month';
alter table subscriptions add column alignment text not null default 'calendar';  -- calendar | anniversary
alter table subscriptions add column proration text not null default 'day';       -- day | second
alter table subscriptions add column waits integer not null default 1;    -- 1: its next bill waits for late usage
alter table subscriptions add column billed_at bigint;    -- newest instant that has an invoice
alter table subscriptions add column settled_at bigint;   -- newest instant whose usage is on an invoice
alter table subscriptions add column revision bigint not null default 0;  -- grows with each change and each invoice

-- What a stretch of terms costs beside its plan's prices. A stretch without a row is active, for one, without add-ons.
create table stretch_terms (
    entitlement_key integer primary key references entitlements (key),
    phase           text    not null,   -- active | trial | paused
    quantity        bigint  not null,
    add_ons         text    not null    -- JSON: [{"add_on": "ao_…", "quantity": 1}]
);

-- Prices that a subscription can have beside its plan's. They never change: a new price is a new add-on.
create table add_ons (
    key        integer primary key,
    id         text   not null unique,
    name       text   not null unique,
    currency   text   not null,
    prices     text   not null,         -- JSON, as in the file
    created_at bigint not null
);

-- A second change at one instant is a second invoice at that instant.
create table invoices_of_life (
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
    issued_at        bigint  not null
);
insert into invoices_of_life select key, id, number, customer_key, subscription_key, bill_at, period_start, period_end,
    currency, total, document, issued_at from invoices;
drop table invoices;
alter table invoices_of_life rename to invoices;
create index invoices_by_customer on invoices (customer_key);
create index invoices_by_subscription on invoices (subscription_key, bill_at);

update subscriptions set
    billed_at = (select max(i.bill_at) from invoices i where i.subscription_key = subscriptions.key),
    settled_at = (select max(i.bill_at) from invoices i
        where i.subscription_key = subscriptions.key and i.bill_at > subscriptions.start_at);
