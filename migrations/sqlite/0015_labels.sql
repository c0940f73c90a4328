-- Predictions wait for their labels; SQLite has no tables by day, so retention deletes rows.
create table label_day (
    day bigint primary key,
    touched_us bigint not null
);

create table kept_prediction (
    prediction_key bigint not null,
    predicted_us bigint not null,
    heard_slot bigint not null,
    answers blob not null,
    primary key (prediction_key, predicted_us)
);

create table label_join (
    prediction_key bigint not null,
    predicted_us bigint not null,
    task bigint not null,
    body blob not null,
    primary key (prediction_key, task, predicted_us)
);

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
    value blob not null,
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
    tally blob,
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
