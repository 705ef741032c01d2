-- The stamps of usage that was drained a day and more after it was used. A billing run looks whether an invoice is still to tell
-- of it; if none is, the usage is marked (late_usage). Either way the stamp goes.
create table late_stamps (
    entitlement_key integer not null,
    period          integer not null,
    primary key (entitlement_key, period)
);
