-- How a customer is taxed, and when they pay. Who has no row is not taxed and has 30 days.
create table customer_terms (
    customer_key    integer primary key references customers (key),
    tax_percent     text    not null,   -- exact
    tax_inclusive   integer not null,
    tax_treatment   text    not null,   -- taxed | exempt | reverse_charge
    tax_id          text,
    net_days        integer not null,   -- due so many days after issue
    hold_after_days integer             -- days overdue until calls are refused; null: never
);

-- The life of an invoice after its issue; its document never changes. What is settled is paid, or credited.
alter table invoices add column status text not null default 'issued';  -- issued | paid | void | uncollectible
alter table invoices add column amount_due bigint not null default 0;
alter table invoices add column settled bigint not null default 0;
alter table invoices add column credited bigint not null default 0;     -- by credit notes, gross
alter table invoices add column due_at bigint not null default 0;
alter table invoices add column closed_at bigint;
update invoices set amount_due = case when total > 0 then total else 0 end, due_at = issued_at + 2592000000000;
update invoices set status = 'paid', closed_at = issued_at where amount_due = 0;
create index invoices_open on invoices (status, due_at);

-- Double entry, append-only: debits above zero, credits below. The postings of an entry sum to zero.
create table postings (
    key          integer primary key,
    entry        text   not null,
    document     text   not null,   -- id of what brought it about
    account      text   not null,   -- customer | revenue | tax | cash | prepaid | promotion | bad_debt
    customer_key integer not null references customers (key),
    currency     text   not null,
    amount       bigint not null,
    posted_at    bigint not null
);
create index postings_by_customer on postings (customer_key, account, currency);
create index postings_by_document on postings (document);
-- what was issued before there was a ledger
insert into postings (entry, document, account, customer_key, currency, amount, posted_at)
    select id, id, 'customer', customer_key, currency, total, issued_at from invoices where total <> 0;
insert into postings (entry, document, account, customer_key, currency, amount, posted_at)
    select id, id, 'revenue', customer_key, currency, -total, issued_at from invoices where total <> 0;

create table payments (
    key          integer primary key,
    id           text   not null unique,
    customer_key integer not null references customers (key),
    invoice_key  integer references invoices (key),   -- settled first; null: the oldest first
    currency     text   not null,
    amount       bigint not null,
    reference    text,
    received_at  bigint not null,
    created_at   bigint not null
);

create table credit_notes (
    key          integer primary key,
    id           text   not null unique,
    number       text   not null unique,
    customer_key integer not null references customers (key),
    invoice_key  integer not null references invoices (key),
    currency     text   not null,
    amount       bigint not null,   -- gross
    document     text   not null,
    issued_at    bigint not null
);

-- Gapless numbers of documents other than invoices.
create table document_numbers (
    series text    not null,
    year   integer not null,
    last   bigint  not null,
    primary key (series, year)
);
