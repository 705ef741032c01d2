-- Groups of consumers that services and routes admit or keep out; plans are groups of another kind.
create table access_groups (
    key          integer primary key,
    id           text   not null unique,
    consumer_key integer not null references consumers (key),
    name         text   not null,
    created_at   bigint not null,
    unique (consumer_key, name)
);
