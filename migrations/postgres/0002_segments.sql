alter table statistic add column segment text not null default '';
alter table statistic add column guarantee text not null default 'provisional';
alter table statistic drop constraint statistic_pkey;
alter table statistic add primary key (model, scope, task, segment, signal, start_us, reference_id);
alter table alert add column cause_segment text;
alter table model_reference add column kind text not null default 'fixed';

create table active_reference (
    model text primary key,
    reference_id text not null references model_reference (reference_id),
    activated_us bigint not null
);

comment on column statistic.segment is 'tag=value of the records it is about; empty for all';
comment on column statistic.guarantee is 'valid, provisional or broken: whether the false-alarm budget is promised for this signal';
comment on table active_reference is 'what a model is compared with where its configuration names no file';

create or replace view driftd_v1.statistic as
    select model, reference_id, to_timestamp(start_us / 1e6) as window_start, to_timestamp(end_us / 1e6) as window_end,
           scope, nullif(task, '') as task, signal, n, statistic, degrees_of_freedom, exp(greatest(ln_p, -700)) as p_value, ln_p,
           ln_evidence, effect::jsonb as effect, nullif(segment, '') as segment, guarantee
    from statistic;
create or replace view driftd_v1.alert as
    select alert_id, model, state, cause, cause_task, tasks_affected::jsonb as tasks_affected, summary,
           to_timestamp(opened_us / 1e6) as opened_at, to_timestamp(resolved_us / 1e6) as resolved_at, cause_segment
    from alert;
