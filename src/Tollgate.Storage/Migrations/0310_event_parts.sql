-- A day with many events has more than one table of their identities: a new one is begun when this says that the last is full.
-- The number of a part is that of its day, and 4,000,000 more for each part that the day had before.
alter table event_days add column identities bigint not null default 0;
