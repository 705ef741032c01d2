-- What became of records from outside (of events and counters) when they were drained: whose they are, or that they count
-- nothing. A row for each batch; a record in the journal names a subject only, and who that was may change.
create table outside_stamps (
    journal bigint not null,
    first   bigint not null,      -- the sequence of its first record
    next    bigint not null,      -- one past its last
    stamps  blob   not null,
    primary key (journal, first)
);

-- Of records that were nobody's when they were drained: whose they became.
create table later_stamps (
    journal     bigint  not null,
    sequence    bigint  not null,
    entitlement integer not null,
    period      integer not null,
    consumer    integer not null,
    primary key (journal, sequence)
);
