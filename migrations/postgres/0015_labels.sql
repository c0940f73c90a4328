-- Predictions wait for their labels, one table a day of their time, and retention drops tables.
create table label_day (
    day bigint primary key,
    touched_us bigint not null
);

create table kept_prediction (
    prediction_key bigint not null,
    predicted_us bigint not null,
    heard_slot bigint not null,
    answers bytea not null,
    primary key (prediction_key, predicted_us)
) partition by range (predicted_us);

create table label_join (
    prediction_key bigint not null,
    predicted_us bigint not null,
    task bigint not null,
    body bytea not null,
    primary key (prediction_key, task, predicted_us)
) partition by range (predicted_us);

create table label_pending (
    label_id text primary key,
    model text not null,
    reference_id text not null,
    due_slot bigint not null,
    heard_slot bigint not null,
    prediction_key bigint not null,
    task bigint not null,
    revision bigint not null,
    at_us bigint not null,
    retracted bigint not null,
    value bytea not null,
    received_us bigint not null
);
create index label_due on label_pending (model, reference_id, due_slot);

create table window_performance (
    model text not null,
    task text not null,
    start_us bigint not null,
    reference_id text not null,
    end_us bigint not null,
    answered bigint not null default 0,
    estimate double precision,
    estimate_low double precision,
    estimate_high double precision,
    estimate_macro_f1 double precision,
    labelled bigint not null default 0,
    realised double precision,
    realised_low double precision,
    realised_high double precision,
    realised_macro_f1 double precision,
    estimate_of_labelled double precision,
    delay_us bigint,
    tally bytea,
    updated_us bigint not null,
    primary key (model, task, start_us, reference_id)
);
create index window_performance_window on window_performance (model, reference_id, start_us);

create table task_performance (
    model text not null,
    task text not null,
    reference_id text not null,
    kind text not null,
    reference_labelled bigint not null,
    reference_loss double precision not null,
    tolerated_loss double precision not null,
    sample double precision not null,
    labels bigint not null,
    ln_evidence double precision,
    ln_threshold double precision not null,
    muted bigint not null,
    updated_us bigint not null,
    primary key (model, task, reference_id)
);

comment on table label_day is 'days of predictions that are kept; one that was touched lately is not dropped, however old';
comment on table kept_prediction is 'a sample of predictions, waiting for labels: what was answered, and no text';
comment on column kept_prediction.prediction_key is 'first 64 bits of SHA-256 of model, reference and prediction id';
comment on column kept_prediction.heard_slot is 'window of the moment at which its partition told of it';
comment on table label_join is 'predictions with the label that counts now, by task';
comment on table label_pending is 'labels that are not joined yet, by the window that will try it';
comment on table window_performance is 'estimated and realised performance of a task in one window';
comment on column window_performance.delay_us is 'mean time from prediction to label';
comment on table task_performance is 'what the reference knows of a task, and the evidence that it has become worse';

comment on column task_performance.muted is '1 where labels of the latest windows contradict the estimate: it does not count';

create view driftd_v1.performance as
    select model, task, reference_id, to_timestamp(start_us / 1e6) as window_start, to_timestamp(end_us / 1e6) as window_end,
           answered, estimate, estimate_low, estimate_high, estimate_macro_f1, labelled, realised, realised_low,
           realised_high, realised_macro_f1, estimate_of_labelled, delay_us / 1e6 as label_delay_seconds
    from window_performance;
create view driftd_v1.harm as
    select model, task, reference_id, kind, reference_labelled, 1 - reference_loss as reference_accuracy, tolerated_loss,
           sample, labels,
           case when ln_evidence is not null then exp(least(ln_evidence - ln_threshold, 300)) end as evidence_ratio,
           muted = 1 as is_estimate_muted,
           to_timestamp(updated_us / 1e6) as updated_at
    from task_performance;
