-- Meters beside the calls. A meter's aggregation and scale never change: stored quantities would change their meaning.
create table meter_keys (
    key         integer primary key,     -- at most 65535: what a record of the journal can carry
    name        text    not null unique,
    aggregation text    not null,        -- count | sum | max | min | average | unique_count | latest
    scale       integer not null         -- quantities are × 10^scale; 0 to 9
);
insert into meter_keys (key, name, aggregation, scale) values (1, 'calls', 'count', 0);

-- Integer keys of sets of dimensions, for the journal and the rollups. Never reused, never changed. 0 is no dimensions.
create table dimension_sets (
    key        integer primary key,
    dimensions text not null unique      -- a JSON object of texts, names in ordinal order
);

create table meter_rollups (
    entitlement integer not null,   -- 0: nobody's
    period      integer not null,   -- index in the subscription's calendar
    consumer    integer not null,   -- 0: anonymous, or usage that only names a customer
    meter       integer not null,   -- 1: calls
    operation   integer not null,   -- 0: none
    method      integer not null,
    bucket      bigint  not null,   -- start of the 15 minutes in which the usage was
    admitted    bigint  not null,   -- calls that were let in; of meter 1 alone
    quantity    bigint  not null,   -- × 10^scale: the sum, the largest, the smallest or the latest; 0 for unique counts
    unknown     bigint  not null,   -- admitted, and the process died before the answer
    dimensions  integer not null default 0,
    items       bigint  not null default 0,   -- how many measurements stand behind the quantity
    latest_at   bigint  not null default 0,   -- when the latest of them was
    primary key (entitlement, period, consumer, meter, operation, method, dimensions, bucket)
);
insert into meter_rollups (entitlement, period, consumer, meter, operation, method, bucket, admitted, quantity, unknown)
    select entitlement, period, consumer, meter, operation, method, bucket, admitted, quantity, unknown from rollups;
drop table rollups;
alter table meter_rollups rename to rollups;
create index rollups_by_bucket on rollups (bucket);

-- Of unique counts: which values were seen where. Counting the distinct ones is exact for any choice of rows.
create table unique_values (
    entitlement integer not null,
    period      integer not null,
    consumer    integer not null,
    meter       integer not null,
    operation   integer not null,
    method      integer not null,
    dimensions  integer not null,
    bucket      bigint  not null,
    value_hash  bigint  not null,
    primary key (entitlement, period, meter, bucket, consumer, operation, method, dimensions, value_hash)
);
create index unique_values_by_bucket on unique_values (meter, bucket);
