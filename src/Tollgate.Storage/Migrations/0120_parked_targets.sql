-- Targets of a source behind which two processes answered: nothing of them is counted until somebody releases them.
create table parked_targets (
    source bigint not null,
    target text   not null, -- job and instance, or the labels of a series that has none
    at     bigint not null,
    why    text   not null,
    released_at bigint not null default 0, -- samples until then do not count; 0: parked
    primary key (source, target)
);
