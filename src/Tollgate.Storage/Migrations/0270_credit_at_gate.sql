-- Usage that is on invoices leaves the count with them: how much of it there was is not asked for any more.
alter table credit_at_gate drop column invoiced;
