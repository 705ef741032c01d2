-- Events from outside. What an event calls its customer has a number; whose it is, is found when it is drained.
create table event_subjects (
    key     integer primary key,
    subject text not null unique
);

-- Usage whose subject nobody knows yet, or who had no subscription at that time: kept whole, until it is somebody's.
create table unattributed_usage (
    journal     bigint  not null,
    sequence    bigint  not null,
    subject     integer not null,
    meter       integer not null,
    operation   integer not null,
    method      integer not null,
    dimensions  integer not null,
    occurred_at bigint  not null,
    quantity    bigint  not null,
    primary key (journal, sequence)
);
create index unattributed_usage_by_subject on unattributed_usage (subject);

-- The days whose event identities are remembered, each in a table event_ids_<day> of its own that is dropped whole.
create table event_days (
    day integer not null,               -- days since 1970, business time of the drain
    primary key (day)
);
