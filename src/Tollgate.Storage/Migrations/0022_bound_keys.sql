-- A key that is good for one subscription alone; null: for whichever of its customer's comes first.
alter table credentials add column subscription_id text;
