-- Counters that are read from Prometheus. A source is read by one node, whose journal holds what it counted.
create table counter_sources (
    key     integer primary key,
    name    text   not null unique,
    meaning text   not null,            -- what its numbers mean; another one is another source
    journal bigint not null,
    read_to bigint not null,            -- samples before are in the rollups, microseconds UTC
    anew    integer not null default 0  -- 1: restored from a backup, which series are new cannot be told
);

-- The last value of each series, written in the transaction of what was counted by it.
create table counter_series (
    key      integer primary key autoincrement,
    source   integer not null,
    labels   text    not null,
    first_at bigint  not null default 0,
    at       bigint  not null default 0, -- 0: no sample is in the rollups yet
    value    bigint  not null default 0, -- whole units × 10^scale of the meter
    counted  bigint  not null default 0,
    resets   bigint  not null default 0,
    reset_at bigint  not null default 0,
    unique (source, labels)
);
