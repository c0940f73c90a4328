-- Who may ask the API, what they changed, and which answers are given again.
create table api_key (
    key_id text primary key,
    name text not null,
    secret_sha256 blob not null,
    role text not null,
    scopes text not null,
    created_us bigint not null,
    expires_us bigint,
    revoked_us bigint,
    last_used_us bigint
);

create table access_session (
    session_sha256 blob primary key,
    key_id text not null references api_key (key_id),
    created_us bigint not null,
    expires_us bigint not null
);
create index access_session_key on access_session (key_id, created_us);
create index access_session_expired on access_session (expires_us);

create table audit (
    audit_id text primary key,
    at_us bigint not null,
    actor text not null,
    actor_id text not null,
    means text not null,
    action text not null,
    object text not null,
    outcome text not null,
    detail text not null
);
create index audit_at on audit (at_us, audit_id);

create table idempotency (
    caller text not null,
    idempotency_key text not null,
    fingerprint blob not null,
    begun_us bigint not null,
    status bigint,
    content_type text,
    body blob,
    primary key (caller, idempotency_key)
);
create index idempotency_begun on idempotency (begun_us);
