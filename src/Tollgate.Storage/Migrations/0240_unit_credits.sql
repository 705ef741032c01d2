-- Credit in units of a meter: amount and burnt are then units × 10^scale of the meter, and the currency is empty.
alter table grants add column meter text;
alter table grants add column told integer not null default 1;   -- 0: the gate is still to be told
create index grants_by_told on grants (told);
alter table recurring_grants add column meter text;
-- The end of the period whose usage burnt units of it; null for money.
alter table burns add column settles_at bigint;
