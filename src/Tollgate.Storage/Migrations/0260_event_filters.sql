-- Of days that nobody writes to any more: a filter that says of most events that they were not counted on that day, without
-- asking the table of that day. Made from it, and dropped with it.
create table event_filters (
    day        integer primary key,
    identities bigint  not null,  -- of the day, when it was made
    looks      integer not null,  -- bits that are looked at for each
    bits       blob    not null   -- at most 4 MiB
);
