-- Whether calls that no prepaid credit covers are invoiced (1) or refused (0).
alter table customer_terms add column credit_overage integer not null default 0;

-- What the gate's prepaid balance is made of: since when usage counts, what of it invoices have told already, and what
-- expired credit still has to pay for. Written with every document that moves credit.
create table credit_at_gate (
    customer_key integer primary key references customers (key),
    since        bigint  not null,   -- on a quarter of an hour
    invoiced     text    not null,   -- exact, gross
    kept         text    not null,   -- exact, gross
    next_at      bigint,             -- when credit begins or expires next
    told         integer not null    -- 0: the gate is still to be told
);
create index credit_at_gate_by_next on credit_at_gate (next_at);
create index credit_at_gate_by_told on credit_at_gate (told);
