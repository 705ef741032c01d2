-- 1: usage that is on invoices is no longer taken from the balance: what it burnt of credit is gone.
alter table balances add column of_open_usage integer not null default 0;
