-- The life of retraining requests: what is asked, who moved it where, what was tried, what the run said.
alter table retraining_request add column kind text not null default 'drift';
alter table retraining_request add column mode text not null default 'propose';
alter table retraining_request add column dry_run bigint not null default 0;
alter table retraining_request add column version text not null default '';
alter table retraining_request add column body text not null default '{}';
alter table retraining_request add column hook text;
alter table retraining_request add column deadline_us bigint;
alter table retraining_request add column run_url text;
alter table retraining_request add column new_model_version text;
alter table retraining_request add column result text not null default '{}';
alter table retraining_request add column attempts bigint not null default 0;
alter table retraining_request add column next_attempt_us bigint not null default 0;
alter table retraining_request add column lease_until_us bigint not null default 0;
alter table retraining_request add column token_hash text;
alter table retraining_request add column token_expires_us bigint;
alter table retraining_request add column moves bigint not null default 1;

create table retraining_move (
    request_id text not null references retraining_request (request_id),
    move bigint not null,
    at_us bigint not null,
    from_state text,
    to_state text not null,
    who text not null,
    why text not null,
    primary key (request_id, move)
);
create index retraining_move_state on retraining_move (to_state, at_us);

create table retraining_attempt (
    request_id text not null references retraining_request (request_id),
    attempt bigint not null,
    at_us bigint not null,
    hook text not null,
    status bigint,
    took_us bigint not null,
    outcome text not null,
    detail text not null,
    primary key (request_id, attempt)
);

create table retraining_callback (
    request_id text not null references retraining_request (request_id),
    callback bigint not null,
    at_us bigint not null,
    report text not null,
    outcome text not null,
    primary key (request_id, callback)
);

create table retraining_pause (
    model text not null,
    at_us bigint not null,
    paused bigint not null,
    who text not null,
    why text not null,
    primary key (model, at_us)
);

-- Requests from before this had no end: they would hold their models' places for ever.
insert into retraining_move (request_id, move, at_us, from_state, to_state, who, why)
    select request_id, 1, created_us, null, state, 'driftd', reason from retraining_request;
insert into retraining_move (request_id, move, at_us, from_state, to_state, who, why)
    select request_id, 2, created_us, state, 'expired', 'driftd', 'made before requests had a life cycle'
    from retraining_request;
update retraining_request set state = 'expired', moves = 2;

-- A model has one open request at most.
create unique index retraining_request_open on retraining_request (model)
    where state in ('proposed', 'requested', 'accepted', 'running');

comment on table retraining_request is 'what was asked for, and where it stands';
comment on column retraining_request.kind is 'harm, drift, schedule or manual';
comment on column retraining_request.mode is 'propose: a person approves; auto: driftd does';
comment on column retraining_request.body is 'what a hook is told, as JSON, without the call-back';
comment on column retraining_request.deadline_us is 'when the state it is in has lasted too long';
comment on column retraining_request.result is 'what the run reported of the candidate, as JSON';
comment on column retraining_request.token_hash is 'SHA-256 of the call-back''s token';
comment on table retraining_move is 'each change of a request: at, from, to, who, why';
comment on table retraining_attempt is 'each try to start a run';
comment on table retraining_callback is 'each call-back, refused ones included';
comment on table retraining_pause is 'the kill switch: the newest row of a model, or of * for all, counts';

create or replace view driftd_v1.retraining_request as
    select request_id, model, alert_id, state, tasks::jsonb as tasks, protected_tasks::jsonb as protected_tasks, reason,
           to_timestamp(created_us / 1e6) as created_at, kind, mode, hook, run_url, new_model_version,
           to_timestamp(deadline_us / 1e6) as deadline_at
    from retraining_request;
create view driftd_v1.retraining_move as
    select request_id, move, to_timestamp(at_us / 1e6) as at, from_state, to_state, who, why from retraining_move;
