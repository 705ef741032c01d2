-- Allowances are terms of a plan version: a JSON list, as in the file.
alter table plan_versions add column quotas text not null default '[]';

-- What one subscription has in place of its plan's, and what holds it.
alter table entitlements add column limits text;                          -- JSON list; null: the plan's own
alter table entitlements add column allowances text not null default '{}'; -- JSON map: name of a quota -> decimal
alter table entitlements add column hold text not null default 'none';    -- none | payment_overdue | paused
