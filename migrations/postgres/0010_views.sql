-- What Grafana reads beside windows, statistics and alerts (docs/kubernetes.md names the role that may). New
-- columns may be added at the end; what changes otherwise goes to a schema driftd_v2.
create view driftd_v1.model as
    select name as model, version, reference_id, budget, threshold, window_us / 1e6 as window_seconds,
           embedding_dimension, to_timestamp(updated_us / 1e6) as updated_at
    from model;
create view driftd_v1.task as
    select m.name as model, t.place, t.task->>'name' as task, t.task->>'kind' as kind,
           (t.task->>'classes')::bigint as classes
    from model m, jsonb_array_elements(m.tasks::jsonb) with ordinality as t (task, place);
create view driftd_v1.reference as
    select reference_id, model, version, kind, records, windows, to_timestamp(first_us / 1e6) as first_at,
           to_timestamp(last_us / 1e6) as last_at, guarantee::jsonb as guarantee, to_timestamp(created_us / 1e6) as created_at
    from model_reference;
create view driftd_v1.part as
    select r.model, r.reference_id, to_timestamp(r.start_us / 1e6) as window_start,
           to_timestamp(r.end_us / 1e6) as window_end, p.part->>'scope' as scope, p.part->>'task' as task,
           p.part->>'segment' as segment, (p.part->>'ln_evidence')::double precision as ln_evidence,
           case when p.part->>'ln_evidence' is not null
               then exp(least((p.part->>'ln_evidence')::double precision - r.ln_threshold, 300)) end as evidence_ratio
    from report r, jsonb_array_elements(r.parts::jsonb) as p (part)
    where not p.part ? 'notice';
create view driftd_v1.alert_transition as
    select transition_id, alert_id, to_timestamp(at_us / 1e6) as at, from_state, to_state, reason
    from alert_transition;
create view driftd_v1.retraining_request as
    select request_id, model, alert_id, state, tasks::jsonb as tasks, protected_tasks::jsonb as protected_tasks, reason,
           to_timestamp(created_us / 1e6) as created_at
    from retraining_request;
create view driftd_v1.delivery as
    select delivery_id, endpoint, event, model, state, attempts, to_timestamp(created_us / 1e6) as created_at,
           to_timestamp(next_attempt_us / 1e6) as next_attempt_at, to_timestamp(delivered_us / 1e6) as delivered_at, last_error
    from delivery;
create view driftd_v1.delivery_attempt as
    select delivery_id, attempt, to_timestamp(at_us / 1e6) as at, status, took_us / 1e6 as took_seconds, outcome
    from delivery_attempt;
create view driftd_v1.partition as
    select topic, partition, generation, next_offset, to_timestamp(watermark_us / 1e6) as watermark_at,
           to_timestamp(idle_us / 1e6) as idle_at, to_timestamp(updated_us / 1e6) as updated_at
    from position;

-- least() and greatest() pass over nulls: without evidence the ratio was e^300, without a test the p-value e^-700.
create or replace view driftd_v1.window as
    select model, reference_id, to_timestamp(start_us / 1e6) as window_start, to_timestamp(end_us / 1e6) as window_end,
           records, revision, verdict, ln_evidence, ln_threshold,
           case when ln_evidence is not null then exp(least(ln_evidence - ln_threshold, 300)) end as evidence_ratio,
           incomplete = 1 as incomplete, late_records
    from report;
create or replace view driftd_v1.statistic as
    select model, reference_id, to_timestamp(start_us / 1e6) as window_start, to_timestamp(end_us / 1e6) as window_end,
           scope, nullif(task, '') as task, signal, n, statistic, degrees_of_freedom,
           case when ln_p is not null then exp(greatest(ln_p, -700)) end as p_value, ln_p,
           ln_evidence, effect::jsonb as effect, nullif(segment, '') as segment, guarantee
    from statistic;
