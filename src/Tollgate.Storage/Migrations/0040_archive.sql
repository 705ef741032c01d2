-- The archive: calls of full segments of a journal, in Parquet files. A file and its row come together: the row is
-- written when the file is whole and durable, and from then on nothing reads the segment any more.
create table archive_files (
    journal    bigint not null,
    first      bigint not null,     -- it holds all records with sequences from here
    next       bigint not null,     -- until before here; what follows in the same boot begins here
    boot       bigint not null,
    name       text   not null,     -- in the folder of the archive
    bytes      bigint not null,
    checksum   text   not null,     -- SHA-256 of the file, hexadecimal
    records    bigint not null,
    holes      bigint not null,     -- sequences that a dying process took and did not write
    calls      bigint not null,     -- admitted in it
    quantity   bigint not null,     -- billable units of the meter calls
    min_at     bigint not null,     -- of the calls and events in it
    max_at     bigint not null,
    created_at bigint not null,
    deleted_at bigint,              -- when retention took the file; the row stays
    primary key (journal, first)
);

-- Every opening of a journal, so that a boot whose first records are gone is noticed.
create table journal_boots (
    journal bigint not null,
    boot    bigint not null,
    first   bigint not null,        -- the sequence of its first record
    primary key (journal, boot)
);

-- From this business time on, archive and journal together hold every call. What was drained before there was an
-- archive, or was taken by retention, lies before.
alter table journals add column complete_from bigint not null default 0;
update journals set complete_from = (select coalesce(max(bucket), 0) + 900000000 from rollups);
