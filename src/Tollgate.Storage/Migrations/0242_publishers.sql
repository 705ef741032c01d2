-- Others who own a part of what is sold, and have a share of its revenue.
create table publishers (
    key        integer primary key,
    id         text   not null unique,
    name       text   not null unique,
    created_at bigint not null
);

-- What a publisher has of the lines of a plan. It never changes: another share is another row.
create table revenue_shares (
    key           integer primary key,
    id            text    not null unique,
    publisher_key integer not null references publishers (key),
    plan_id       text    not null,
    prices        text,              -- JSON: names of prices; null for all of the plan
    bands         text    not null,  -- JSON: [{"up_to": "1000", "percent": "70"}, {"percent": "80"}]
    start_at      bigint  not null,  -- bills from then on
    end_at        bigint,
    created_at    bigint  not null
);
create index revenue_shares_by_publisher on revenue_shares (publisher_key);

-- What was earned with each document, line by line; below zero what credit notes and voids took back. With the postings to
-- the account 'payable' of the same document, in its transaction.
create table share_entries (
    key          integer primary key,
    share_key    integer not null references revenue_shares (key),
    invoice_key  integer not null references invoices (key),
    document     text    not null,
    line         integer not null,  -- of the invoice, from 1; 0 for what takes a part of it back
    currency     text    not null,
    base         bigint  not null,  -- net amount of the line
    amount       bigint  not null,
    posted_at    bigint  not null
);
create index share_entries_by_share on share_entries (share_key, posted_at);
create index share_entries_by_invoice on share_entries (invoice_key);
