-- Who may ask the API, what they changed, and which answers are given again.
create table api_key (
    key_id text primary key,
    name text not null,
    secret_sha256 bytea not null,
    role text not null,
    scopes text not null,
    created_us bigint not null,
    expires_us bigint,
    revoked_us bigint,
    last_used_us bigint
);
comment on table api_key is 'keys of the API; the secrets themselves are nowhere';
comment on column api_key.secret_sha256 is 'of a secret of 256 random bits, which no dictionary holds: a slow hash would add nothing';
comment on column api_key.scopes is 'separated by spaces';
comment on column api_key.last_used_us is 'to the minute';

create table access_session (
    session_sha256 bytea primary key,
    key_id text not null references api_key (key_id),
    created_us bigint not null,
    expires_us bigint not null
);
create index access_session_key on access_session (key_id, created_us);
create index access_session_expired on access_session (expires_us);
comment on table access_session is 'sessions of the dashboard, each opened with a key and ended with it';

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
comment on table audit is 'what changed the state of driftd or tried to, written in the transaction that changed it';
comment on column audit.actor is 'name of the key, subject of the token, or how else the caller is known';
comment on column audit.actor_id is 'what tells callers of one name apart, as key:3fa9…';
comment on column audit.outcome is 'done or refused';
comment on column audit.detail is 'JSON object';

create table idempotency (
    caller text not null,
    idempotency_key text not null,
    fingerprint bytea not null,
    begun_us bigint not null,
    status bigint,
    content_type text,
    body bytea,
    primary key (caller, idempotency_key)
);
create index idempotency_begun on idempotency (begun_us);
comment on table idempotency is 'answers to writes that carried a key, to be given again';
comment on column idempotency.status is 'null while the first answer is being made';
