-- The configuration file as it was last applied, so that it can be exported as it was written.
create table config_files (
    key        integer primary key,  -- always 1: there is one file
    name       text   not null,      -- as it stands in messages; no path
    text       text   not null,
    hash       text   not null,      -- SHA-256 of the text, hex
    currency   text   not null,      -- of customers who name none
    applied_by text   not null,      -- as the audit log says it
    applied_at bigint not null
);
