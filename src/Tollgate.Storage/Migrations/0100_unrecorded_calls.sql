-- Calls of plans with metering: open that passed while the journal had no room: in no ledger and on no invoice.
create table unrecorded_calls (
    journal     bigint not null,
    entitlement bigint not null,    -- 0: of somebody whom nobody could note any more
    consumer    bigint not null,
    operation   bigint not null,
    bucket      bigint not null,    -- the quarter of an hour, microseconds UTC
    calls       bigint not null,
    units       bigint not null,    -- of calls, that the plan would have billed
    primary key (journal, entitlement, consumer, operation, bucket)
);
