-- Meters whose measurements are kept one by one beside their sums, for prices that look at single events.
alter table meter_keys add column keeps_values integer not null default 0;

-- One row for each measured call or event: parts of one call, and what is corrected of it, come together in it.
create table single_values (
    entitlement integer not null,
    period integer not null,
    meter integer not null,
    at bigint not null,
    journal bigint not null,
    sequence bigint not null,
    operation integer not null,
    dimensions integer not null,
    quantity bigint not null,
    primary key (entitlement, period, meter, at, journal, sequence)
);
