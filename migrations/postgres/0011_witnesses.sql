alter table alert add column evidence text not null default '[]';

comment on column alert.evidence is 'signals that it rests on and those that its cause explains, the strongest first';

create or replace view driftd_v1.alert as
    select alert_id, model, state, cause, cause_task, tasks_affected::jsonb as tasks_affected, summary,
           to_timestamp(opened_us / 1e6) as opened_at, to_timestamp(resolved_us / 1e6) as resolved_at, cause_segment,
           evidence::jsonb as evidence
    from alert;
