-- What has changed since a node last looked: one row for each subject, so that the table is bounded. Written by
-- triggers, in the transaction of the change: a node that dies after its commit has told the others.
create table changes (
    kind    text   not null,   -- publication | consumer | customer
    subject bigint not null,
    version bigint not null,
    primary key (kind, subject)
);
create unique index changes_by_version on changes (version);

create sequence change_versions;

-- Arguments: the kind, and the column that names the subject; without a column it is 0.
create function tollgate_changed() returns trigger language plpgsql as $$
declare
    subject_before bigint := 0;
    subject_after  bigint := 0;
begin
    if tg_nargs > 1 then
        if tg_op <> 'INSERT' then
            subject_before := coalesce((to_jsonb(old) ->> tg_argv[1])::bigint, 0);
        end if;
        if tg_op <> 'DELETE' then
            subject_after := coalesce((to_jsonb(new) ->> tg_argv[1])::bigint, 0);
        end if;
    end if;
    insert into changes (kind, subject, version)
        select tg_argv[0], s.subject, nextval('change_versions')
        from (select distinct unnest(array[subject_before, subject_after]) as subject) s
        where tg_nargs = 1 or s.subject <> 0
        on conflict (kind, subject) do update set version = excluded.version;
    perform pg_notify('tollgate_changes', '');
    return null;
end $$;
