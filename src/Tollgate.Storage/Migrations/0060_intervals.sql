-- How long a billing period is: day | week | month | quarter | year. What ran before this ran by the month.
alter table entitlements add column interval text not null default 'month';
