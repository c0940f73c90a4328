-- A model with two judged windows, the second of them drifting, and everything that follows from it; the last ten minutes.
do $$
declare
    now_us bigint := floor(extract(epoch from now()) * 1000000);
    day bigint := floor((floor(extract(epoch from now()) * 1000000) - 600000000) / 86400000000.0);
    begun bigint;
begin
    for day in day .. day + 1 loop
        execute format('create table report_d%s partition of report for values from (%s) to (%s)',
            day, day * 86400000000, (day + 1) * 86400000000);
        execute format('create table statistic_d%s partition of statistic for values from (%s) to (%s)',
            day, day * 86400000000, (day + 1) * 86400000000);
    end loop;
    insert into model (name, version, reference_id, budget, threshold, window_us, embedding_dimension, tasks, updated_us)
        values ('it''s a model', '1', 'ref_1', '1/30d', 8640, 300000000, 96,
            '[{"name": "intent", "kind": "multiclass", "classes": 9}, {"name": "mood", "kind": "binary", "classes": 2}]', now_us);
    insert into model_reference (reference_id, model, version, records, windows, first_us, last_us, guarantee, created_us, body)
        values ('ref_1', 'it''s a model', '1', 75000, 150, now_us - 9e9::bigint, now_us - 8e9::bigint, '{}', now_us - 7e9::bigint, '');
    for i in 1 .. 2 loop
        begun := now_us - 900000000 + i * 300000000;
        insert into report (model, reference_id, slot, start_us, end_us, records, revision, verdict, ln_evidence, ln_threshold,
                guarantee, parts, summary, judged_us, late_records, incomplete)
            values ('it''s a model', 'ref_1', i, begun, begun + 300000000, 500, 0, case i when 1 then 'ok' else 'drift' end,
                i * 6, 9, '{}', '[{"scope": "input", "task": null, "segment": null, "ln_evidence": -1.5},
                    {"scope": "head", "task": "intent", "segment": null, "ln_evidence": 12},
                    {"scope": "segment", "task": null, "segment": "channel=mail", "ln_evidence": null},
                    {"scope": "skew", "task": "mood", "notice": true}]', '', now_us, 3, i - 1);
        insert into statistic (model, reference_id, start_us, end_us, scope, task, signal, n, statistic, degrees_of_freedom,
                ln_p, ln_e, ln_evidence, effect, movers, segment)
            values ('it''s a model', 'ref_1', begun, begun + 300000000, 'head', 'intent', 'predicted_class', 500, 40, 8, -900, 3,
                    i * 6, '{"psi": 0.2, "hellinger": 0.11}', '[]', ''),
                ('it''s a model', 'ref_1', begun, begun + 300000000, 'head', 'intent', 'confidence', 50, null, null, null, null,
                    null, '{}', '[]', ''),
                ('it''s a model', 'ref_1', begun, begun + 300000000, 'head', 'intent', 'predicted_class', 90, 4, 8, -1, 0,
                    1, '{"standardized_mean": -1.5}', '[]', 'channel=mail');
    end loop;
    insert into alert (alert_id, model, reference_id, state, cause, cause_task, tasks_affected, summary, opened_us,
            opened_window_us, ln_evidence, ln_threshold, guarantee, updated_us)
        values ('al_1', 'it''s a model', 'ref_1', 'firing', 'head', 'intent', '["intent"]', 'the head `intent` drifted',
            now_us - 60000000, now_us - 300000000, 12, 9, '{}', now_us);
    insert into alert_transition (transition_id, alert_id, at_us, from_state, to_state, reason)
        values ('tr_1', 'al_1', now_us - 60000000, 'pending', 'firing', 'evidence');
    insert into retraining_request (request_id, model, alert_id, state, tasks, protected_tasks, reason, created_us)
        values ('rt_1', 'it''s a model', 'al_1', 'proposed', '["intent"]', '["mood"]', 'drift', now_us - 60000000);
    insert into delivery (delivery_id, endpoint, event, model, body, state, attempts, created_us, next_attempt_us,
            lease_until_us, last_error)
        values ('msg_1', 'oncall', 'drift.alarm.firing', 'it''s a model', '{}', 'pending', 1, now_us - 60000000, now_us, 0, 'timeout');
    insert into delivery_attempt (delivery_id, attempt, at_us, took_us, outcome)
        values ('msg_1', 1, now_us - 50000000, 3000000, 'timeout');
    insert into position (topic, partition, next_offset, first_offset, watermark, watermark_us, folded, set_aside,
            dead_lettered, gaps, updated_us)
        values ('support.predictions', 0, 1000, 0, '', now_us, 990, 5, 4, 1, now_us);
    insert into gap (topic, partition, generation, from_offset, to_offset, reason, found_us)
        values ('support.predictions', 0, 0, 7, 8, 'retention', now_us - 60000000);
end $$;
