-- Several nodes on one store.

-- What every node must agree on; the fingerprint of the install key is one of them.
create table installation (
    name  text primary key,
    value text not null
);

-- A journal is registered while its node lives or left calls in it. Invoices wait for all that are.
alter table journals add column node text not null default '';
alter table journals add column seen_at bigint not null default 0;       -- machine time of its last sign of life
alter table journals add column complete_to bigint not null default 0;   -- business time: all calls before it are in the rollups
alter table journals add column closed integer not null default 0;       -- 1: nothing is left in it

-- A copy of the embedded store into this one, table by table; a table is copied once its row says so.
create table copies (
    name     text    primary key,   -- a table; '' stands for the whole
    source   text    not null,      -- which store it comes from: the journal's file name would not tell
    last_row bigint  not null,
    copied   integer not null
);
