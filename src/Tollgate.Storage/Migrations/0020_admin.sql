-- Who may use the admin port beside TOLLGATE_ADMIN_TOKEN.
create table admin_tokens (
    key        integer primary key,
    id         text   not null unique,
    name       text   not null unique,  -- as the audit log says it; never given again
    hash       blob   not null unique,  -- HMAC-SHA-256 under the install key; the token itself is nowhere
    hint       text   not null,
    scopes     text   not null,         -- read config billing admin, by blanks
    created_at bigint not null,
    expires_at bigint,
    revoked_at bigint
);

-- Who changed what, written with the change.
create table audit_log (
    key          integer primary key,
    id           text   not null unique,
    at           bigint not null,
    actor        text   not null,        -- the name of the token; root | loopback | file
    action       text   not null,        -- the method and the path template
    resource     text   not null,        -- the path
    before_state text,                   -- JSON as a GET answers it, without secrets; none for what is new
    after_state  text                    -- none for what is gone
);
create index audit_log_by_resource on audit_log (resource, key);
create index audit_log_by_actor on audit_log (actor, key);

-- Answers to requests with an Idempotency-Key, written with their effect and kept for a day. An answer can hold a key
-- that is shown once, so it is encrypted under the install key and the Idempotency-Key, of which only a hash is here.
create table idempotent_answers (
    actor      text    not null,
    name_hash  blob    not null,
    request    blob    not null,         -- hash of method, path and body
    status     integer not null,
    answer     blob    not null,
    created_at bigint  not null,
    primary key (actor, name_hash)
);
create index idempotent_answers_by_age on idempotent_answers (created_at);
