-- Times are microseconds since the epoch in UTC; the views of schema driftd_v1 give timestamps.

create table position (
    topic text not null,
    partition bigint not null,
    next_offset bigint not null,
    first_offset bigint not null,
    watermark bytea not null,
    watermark_us bigint,
    folded bigint not null,
    set_aside bigint not null,
    dead_lettered bigint not null,
    gaps bigint not null,
    updated_us bigint not null,
    primary key (topic, partition)
);

create table model (
    name text primary key,
    version text not null,
    reference_id text not null,
    budget text not null,
    threshold double precision not null,
    window_us bigint not null,
    embedding_dimension bigint,
    tasks text not null,
    inference text,
    updated_us bigint not null
);

create table model_reference (
    reference_id text primary key,
    model text not null,
    version text not null,
    records bigint not null,
    windows bigint not null,
    first_us bigint not null,
    last_us bigint not null,
    guarantee text not null,
    created_us bigint not null,
    body bytea not null
);

create table window_partial (
    partial_id text primary key,
    model text not null,
    reference_id text not null,
    slot bigint not null,
    body bytea not null
);
create index window_partial_slot on window_partial (model, reference_id, slot);

create table course (
    model text primary key,
    reference_id text not null,
    version bigint not null,
    next_slot bigint,
    body bytea not null
);

create table report (
    model text not null,
    reference_id text not null,
    slot bigint not null,
    start_us bigint not null,
    end_us bigint not null,
    records bigint not null,
    revision bigint not null,
    verdict text not null,
    ln_evidence double precision,
    ln_threshold double precision not null,
    guarantee text not null,
    parts text not null,
    summary bytea not null,
    judged_us bigint not null,
    primary key (model, start_us, reference_id)
);
create unique index report_slot on report (model, reference_id, slot);

create table statistic (
    model text not null,
    reference_id text not null,
    start_us bigint not null,
    end_us bigint not null,
    scope text not null,
    task text not null,
    signal text not null,
    n bigint not null,
    statistic double precision,
    degrees_of_freedom double precision,
    ln_p double precision,
    ln_e double precision,
    ln_evidence double precision,
    effect text not null,
    movers text not null,
    primary key (model, scope, task, signal, start_us, reference_id)
);
create index statistic_window on statistic (model, start_us);

create table alert (
    alert_id text primary key,
    model text not null,
    reference_id text not null,
    state text not null,
    cause text not null,
    cause_task text,
    tasks_affected text not null,
    summary text not null,
    opened_us bigint not null,
    opened_window_us bigint not null,
    resolved_us bigint,
    ln_evidence double precision,
    ln_threshold double precision not null,
    guarantee text not null,
    updated_us bigint not null
);
create index alert_model on alert (model, opened_us);

create table alert_transition (
    transition_id text primary key,
    alert_id text not null references alert (alert_id),
    at_us bigint not null,
    from_state text not null,
    to_state text not null,
    reason text not null
);
create index alert_transition_alert on alert_transition (alert_id, at_us);

create table retraining_request (
    request_id text primary key,
    model text not null,
    alert_id text not null,
    state text not null,
    tasks text not null,
    protected_tasks text not null,
    reason text not null,
    created_us bigint not null
);
create index retraining_request_model on retraining_request (model, created_us);

create table delivery (
    delivery_id text primary key,
    endpoint text not null,
    event text not null,
    model text not null,
    body text not null,
    state text not null,
    attempts bigint not null,
    created_us bigint not null,
    next_attempt_us bigint not null,
    lease_until_us bigint not null,
    delivered_us bigint,
    last_error text
);
create index delivery_due on delivery (state, next_attempt_us);
create index delivery_created on delivery (created_us);

create table delivery_attempt (
    delivery_id text not null references delivery (delivery_id),
    attempt bigint not null,
    at_us bigint not null,
    status bigint,
    took_us bigint not null,
    outcome text not null,
    primary key (delivery_id, attempt)
);

create table endpoint_disabled (
    endpoint text primary key,
    at_us bigint not null,
    reason text not null
);

create table lease (
    name text primary key,
    holder text not null,
    until_us bigint not null
);

comment on table position is 'next offset of each partition; moved only by compare-and-set, in one transaction with what was read';
comment on column position.first_offset is 'offset at which accounting began: next_offset - first_offset = folded + set_aside + dead_lettered + gaps';
comment on table window_partial is 'tallies of one flush for one window, waiting to be merged and judged';
comment on table course is 'detectors and alert of a model; version is its compare-and-set counter';
comment on table report is 'one judged window';
comment on column report.summary is 'merged tallies, kept for revisions and roll-ups';
comment on table delivery is 'outbox: written with what it tells of, sent later';

create schema driftd_v1;
create view driftd_v1.window as
    select model, reference_id, to_timestamp(start_us / 1e6) as window_start, to_timestamp(end_us / 1e6) as window_end,
           records, revision, verdict, ln_evidence, ln_threshold, exp(least(ln_evidence - ln_threshold, 300)) as evidence_ratio
    from report;
create view driftd_v1.statistic as
    select model, reference_id, to_timestamp(start_us / 1e6) as window_start, to_timestamp(end_us / 1e6) as window_end,
           scope, nullif(task, '') as task, signal, n, statistic, degrees_of_freedom, exp(greatest(ln_p, -700)) as p_value, ln_p,
           ln_evidence, effect::jsonb as effect
    from statistic;
create view driftd_v1.alert as
    select alert_id, model, state, cause, cause_task, tasks_affected::jsonb as tasks_affected, summary,
           to_timestamp(opened_us / 1e6) as opened_at, to_timestamp(resolved_us / 1e6) as resolved_at
    from alert;
create view driftd_v1.ledger as
    select topic, partition, first_offset, next_offset, folded, set_aside, dead_lettered, gaps,
           next_offset - first_offset = folded + set_aside + dead_lettered + gaps as adds_up
    from position;
