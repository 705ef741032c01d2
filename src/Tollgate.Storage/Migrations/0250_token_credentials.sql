-- Keys by which consumers sign tokens of their own. A secret is sealed under the install key; it is nowhere in clear.
create table token_credentials (
    key          integer primary key,
    id           text   not null unique,
    consumer_key integer not null references consumers (key),
    name         text   not null unique,  -- what a token says by which of them it is signed
    algorithm    text   not null,
    secret       blob,                    -- of HS256, HS384 and HS512; null for the others
    public_key   text,                    -- PEM; null where there is a secret
    hint         text,                    -- what may be shown of the secret
    managed_by   text   not null,
    created_at   bigint not null
);
create index token_credentials_by_consumer on token_credentials (consumer_key);
