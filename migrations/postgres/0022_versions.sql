-- Skews of a version: which part of production differs, and the versions that records name.
alter table alert add column cause_part text;
alter table alert add column versions text not null default '[]';

comment on column alert.cause_part is 'of a skew: version, encoder or head';
comment on column alert.versions is 'where the part is version: versions that records named, with their records, the most seen first';

create or replace view driftd_v1.alert as
    select alert_id, model, state, cause, cause_task, tasks_affected::jsonb as tasks_affected, summary,
           to_timestamp(opened_us / 1e6) as opened_at, to_timestamp(resolved_us / 1e6) as resolved_at, cause_segment,
           evidence::jsonb as evidence, cause_part, versions::jsonb as versions
    from alert;
