-- After 0061, whose table it adds to.
-- What a version of a plan fixes beside prices and quotas: trial, features, phases, prices in other currencies.
alter table plan_versions add column terms text not null default '{}';

-- The phase of its plan that a stretch is in, and prices that were agreed with one customer (JSON, as in the file).
alter table entitlements add column plan_phase text;
alter table entitlements add column prices text not null default '{}';

-- Whence the phases of the plan count, and until when nothing is charged: both survive pauses and changes.
alter table stretch_terms add column phases_from bigint;
alter table stretch_terms add column trial_end bigint;
