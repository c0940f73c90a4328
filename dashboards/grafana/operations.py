"""Whether driftd itself works: Prometheus, and the ledger and outbox in Postgres."""

from panels import choice, dashboard, instant, lines, promql, source, sql, stat, table

MINE = 'job="driftd", instance=~"$instance"'
OK = [(None, "green"), (1, "red")]


def rate(metric, by):
    """Events a second."""
    return f"sum by ({by}) (rate({metric}{{{MINE}}}[$__rate_interval]))"


def quantile(metric, share, by=""):
    """A duration that so many stay below."""
    grouped = f"{by}, le" if by else "le"
    return f"histogram_quantile({share}, sum by ({grouped}) (rate({metric}_bucket{{{MINE}}}[$__rate_interval])))"


def operations():
    """The pipeline."""
    lag = f"max by (topic, partition) (driftd_kafka_consumer_lag_messages{{{MINE}}})"
    taken = f"(sum(rate(driftd_records_total{{{MINE}}}[10m])) + sum(rate(driftd_dead_letters_total{{{MINE}}}[10m])))"
    return dashboard(
        "driftd-operations",
        "driftd / operations",
        "Whether driftd itself works: lag, losses, durations, deliveries. Rules and runbooks: docs/runbooks.",
        [
            source("prometheus", "Prometheus", "prometheus"),
            source("postgres", "Store", "grafana-postgresql-datasource"),
            choice("instance", "Process", 'label_values(driftd_build_info{job="driftd"}, instance)', many=True),
        ],
        [
            stat("Processes", "Processes of driftd that Prometheus reaches.", promql(('sum(up{job="driftd"})', "")), thresholds=[(None, "red"), (1, "green")], noValue="0"),
            stat("Not ready", "Processes that answer and are not ready; /readyz says why.", promql((f"count(driftd_ready{{{MINE}}} == 0) or vector(0)", "")), thresholds=OK),
            stat("In trouble", "Parts of processes that cannot do their work right now.", promql((f"sum(driftd_trouble{{{MINE}}})", "")), thresholds=OK),
            stat("Lag", "Records that wait in Kafka, over all partitions.", promql((f"sum({lag})", "")), "short"),
            stat(
                "Behind by",
                "How long it would take to read what waits, at the speed of the last ten minutes.",
                promql((f"sum({lag}) / {taken}", "")),
                "s",
                thresholds=[(None, "green"), (300, "yellow"), (900, "red")],
            ),
            stat(
                "Records lost today",
                "Times in 24 hours that Kafka no longer had what was to be read.",
                promql((f"sum(increase(driftd_losses_total{{{MINE}}}[24h]))", "")),
                thresholds=OK,
            ),
            table(
                "Alerts of driftd itself",
                "Rules of deploy/prometheus/rules that fire or are about to.",
                instant('ALERTS{alertname=~"Driftd.*"}'),
                height=6,
                transformations=[{"id": "organize", "options": {"excludeByName": {"Value": True, "__name__": True, "job": True}}}],
            ),
            "Reading",
            lines("Records", "Records taken in, by what became of them.", promql((rate("driftd_records_total", "outcome"), "{{outcome}}")), "reqps", stacked=True),
            lines("Dead letters", "Records refused, by reason; they are in the dead-letter topic.", promql((rate("driftd_dead_letters_total", "reason"), "{{reason}}")), "reqps"),
            lines("Lag by partition", "Records that wait in Kafka.", promql((lag, "{{topic}} {{partition}}")), "short"),
            lines(
                "Event time behind",
                "Now less the event time that each partition has reached; an idle partition stands still.",
                promql((f"time() - max by (topic, partition) (driftd_partition_watermark_timestamp_seconds{{{MINE}}})", "{{topic}} {{partition}}")),
                "s",
            ),
            lines("Paused", "Share of time that reading waits since a later step is busy.", promql((f"avg by (instance) (avg_over_time(driftd_source_paused{{{MINE}}}[$__rate_interval]))", "{{instance}}")), "percentunit", max=1, min=0),
            lines("Queues", "What waits for a step: batches for collect, calls for the model, messages that are due.", promql((f"sum by (stage) (driftd_queue_length{{{MINE}}})", "{{stage}}")), "short"),
            lines(
                "Rebalances, fences, gaps",
                "Partitions handed out or taken away; flushes refused since another replica was ahead; offsets that Kafka skipped.",
                promql(
                    (rate("driftd_kafka_rebalances_total", "kind"), "{{kind}}"),
                    (f"sum(rate(driftd_fenced_total{{{MINE}}}[$__rate_interval]))", "fenced"),
                    (f"sum(rate(driftd_gap_records_total{{{MINE}}}[$__rate_interval]))", "gaps"),
                ),
                "ops",
            ),
            lines("Errors of Kafka's client", "Errors that the client reported; single ones are normal when brokers restart.", promql((rate("driftd_kafka_errors_total", "instance"), "{{instance}}")), "ops"),
            lines("Texts of the skew sample", "Texts chosen to be run only for comparison: compared, or over the limit (`skew_limit`) and not run.", promql((rate("driftd_skew_texts_total", "outcome"), "{{outcome}}")), "ops"),
            lines("Answers of unknown tasks", "Answers of tasks that no manifest names.", promql((rate("driftd_unknown_tasks_total", "instance"), "{{instance}}")), "ops"),
            "Model",
            lines("Texts", "Texts through the tokenizer or the model.", promql((rate("driftd_inferences_total", "instance"), "{{instance}}")), "ops"),
            lines("Time of a batch", "One gathered batch through the model.", promql((quantile("driftd_inference_duration_seconds", 0.5), "half"), (quantile("driftd_inference_duration_seconds", 0.95), "95 %")), "s"),
            lines("Failed calls", "Calls of the model that failed; reading waits then.", promql((rate("driftd_inference_failures_total", "instance"), "{{instance}}")), "ops"),
            table(
                "Where models run",
                "Device and provider on which ONNX Runtime really placed the model.",
                instant(f"max by (instance, model, provider, device) (driftd_inference_device_info{{{MINE}}})"),
                height=6,
                transformations=[{"id": "organize", "options": {"excludeByName": {"Value": True, "Time": True}}}],
            ),
            "Judging",
            lines("Windows", "Windows judged, by verdict.", promql((f"sum by (verdict) (increase(driftd_windows_judged_total{{{MINE}}}[$__rate_interval]))", "{{verdict}}")), "short", stacked=True),
            lines("Since the last window", "Now less the end of the latest judged window.", promql((f"time() - max by (model) (driftd_window_last_judged_timestamp_seconds{{{MINE}}})", "{{model}}")), "s"),
            lines("Open windows", "Windows in the collectors' memory that wait for the next flush.", promql((f"sum by (instance) (driftd_open_windows{{{MINE}}})", "{{instance}}")), "short"),
            lines("Not judged", "Things that a part of a model cannot be judged by, for production lacks them: texts, embeddings, a task's answers.", promql((f"max by (model, scope, task) (driftd_part_lacks{{{MINE}}})", "{{model}} {{scope}} {{task}}")), "short", min=0),
            "Labels",
            lines("Ends of labels", "Labels read, by what became of them.", promql((rate("driftd_labels_total", "outcome"), "{{outcome}}")), "ops", stacked=True),
            lines(
                "Label coverage",
                "Predictions that got their first label in a day, divided by those of the sample that were kept in that day.",
                promql(
                    (
                        f"sum by (model, task) (increase(driftd_labels_joined_total{{{MINE}}}[1d])) / on (model) group_left sum by (model) (increase(driftd_predictions_kept_total{{{MINE}}}[1d]))",
                        "{{model}} {{task}}",
                    )
                ),
                "percentunit",
                min=0,
            ),
            lines("Delay of labels", "Mean time from prediction to label, of the latest window told of.", promql((f"max by (model, task) (driftd_label_delay_seconds{{{MINE}}})", "{{model}} {{task}}")), "s"),
            lines("Labels unlike usual", "Evidence that fewer predictions of a task get a label, or that labels come later, than usual, divided by its threshold.", promql((f"max by (model, task, notice) (driftd_task_notice_ratio{{{MINE}}})", "{{model}} {{task}} {{notice}}")), "short", limit=1, logarithmic=True),
            lines("Accuracy", "The latest window of each task: estimated, and by labels.", promql((f"max by (model, task, source) (driftd_task_accuracy_ratio{{{MINE}}})", "{{model}} {{task}} {{source}}")), "percentunit", max=1),
            lines("Harm", "Evidence that a task has become worse, divided by its threshold.", promql((f"max by (model, task) (driftd_task_harm_ratio{{{MINE}}})", "{{model}} {{task}}")), "short", limit=1, logarithmic=True),
            lines("Muted estimates", "1 where labels contradict the estimate of a task, so that it does not count.", promql((f"max by (model, task) (driftd_task_estimate_muted{{{MINE}}})", "{{model}} {{task}}")), "short", max=1, min=0),
            lines("Records for candidates", "Records for a candidate beside the current model, by outcome.", promql((rate("driftd_shadow_records_total", "model, outcome"), "{{model}} {{outcome}}")), "ops"),
            lines("Candidates that answer otherwise", "Share of the records that a candidate answers otherwise, by task.", promql((f"max by (model, task) (driftd_shadow_differing_ratio{{{MINE}}})", "{{model}} {{task}}")), "percentunit", max=1),
            lines("Candidates", "1 where a candidate's task passes, -1 where it fails, 0 where labels do not decide it.", promql((f"max by (model, task) (driftd_shadow_verdict{{{MINE}}})", "{{model}} {{task}}")), "short", max=1, min=-1),
            "Store",
            lines("Transactions", "What 95 in 100 transactions stay below, by name.", promql((quantile("driftd_transaction_duration_seconds", 0.95, "name"), "{{name}}")), "s", limit=3),
            lines("Flushes", "One flush, dead letters and commit included.", promql((quantile("driftd_flush_duration_seconds", 0.5), "half"), (quantile("driftd_flush_duration_seconds", 0.95), "95 %")), "s"),
            lines("Failed steps", "Steps of a loop that failed and are tried again.", promql((rate("driftd_step_failures_total", "role"), "{{role}}")), "ops"),
            table(
                "Ledger",
                "What became of every offset: the four add up to the offsets passed, or something is wrong.",
                sql(
                    """select topic, partition, next_offset, folded, set_aside, dead_lettered, gaps, adds_up
                    from driftd_v1.ledger order by topic, partition"""
                ),
                width=12,
            ),
            table(
                "Partitions",
                "How far the event time of each partition is, and when a collector last saw its end.",
                sql("select topic, partition, next_offset, watermark_at, idle_at, updated_at from driftd_v1.partition order by topic, partition"),
                width=12,
                overrides=[(time, ("unit", "dateTimeAsIso")) for time in ("watermark_at", "idle_at", "updated_at")],
            ),
            table(
                "Gaps",
                "Records that were lost before they were read.",
                sql("select found_at, topic, partition, from_offset, to_offset, reason from driftd_v1.gap where $__timeFilter(found_at) order by found_at desc limit 100"),
                overrides=[("found_at", ("unit", "dateTimeAsIso"))],
            ),
            "Deliveries",
            lines("Attempts", "Attempts to deliver, by endpoint and outcome.", promql((rate("driftd_deliveries_total", "endpoint, outcome"), "{{endpoint}} {{outcome}}")), "ops"),
            lines("Given up", "Messages that were given up, by endpoint and reason.", promql((rate("driftd_deliveries_failed_total", "endpoint, reason"), "{{endpoint}} {{reason}}")), "ops"),
            lines(
                "Time of an attempt",
                "What 95 in 100 attempts stay below, by endpoint.",
                sql(
                    """select to_timestamp(floor(extract(epoch from a.at) / 300) * 300) as time, d.endpoint as metric,
                        percentile_cont(0.95) within group (order by a.took_seconds) as seconds
                    from driftd_v1.delivery_attempt a join driftd_v1.delivery d using (delivery_id)
                    where $__timeFilter(a.at) group by 1, 2 order by 1, 2""",
                    over_time=True,
                ),
                "s",
            ),
            lines("Changes of alerts", "Changes of drift alerts, by the state they went to.", promql((f"sum by (to) (increase(driftd_alert_transitions_total{{{MINE}}}[$__rate_interval]))", "{{to}}")), "short"),
            table(
                "Not delivered",
                "Messages that wait, or were given up.",
                sql(
                    """select created_at, endpoint, event, model, state, attempts, next_attempt_at, last_error from driftd_v1.delivery
                    where state <> 'delivered' order by created_at desc limit 100"""
                ),
                overrides=[("created_at", ("unit", "dateTimeAsIso")), ("next_attempt_at", ("unit", "dateTimeAsIso"))],
            ),
            "Retraining and callers",
            lines("Moves of requests", "Moves of retraining requests, by the state they went to.", promql((f"sum by (to) (increase(driftd_retraining_moves_total{{{MINE}}}[$__rate_interval]))", "{{to}}")), "short"),
            lines("Starts of runs", "Tries to start a run, by hook and outcome, and approvals that a limit held back.", promql((f"sum by (hook, outcome) (increase(driftd_retraining_starts_total{{{MINE}}}[$__rate_interval]))", "{{hook}} {{outcome}}"), (f"sum by (limit) (increase(driftd_retraining_held_total{{{MINE}}}[$__rate_interval]))", "held by {{limit}}")), "short"),
            lines("Refused", "Callers of the API and call-backs of runs that were refused, by reason, and requests beyond a caller's limit.", promql((f"sum by (reason) (increase(driftd_authentication_failures_total{{{MINE}}}[$__rate_interval]))", "caller: {{reason}}"), (f"sum by (reason) (increase(driftd_retraining_callbacks_refused_total{{{MINE}}}[$__rate_interval]))", "call-back: {{reason}}"), (f"sum(increase(driftd_requests_limited_total{{{MINE}}}[$__rate_interval]))", "beyond the limit")), "short"),
            lines("Listeners", "Pages and programs that listen for changes.", promql((f"sum by (instance) (driftd_event_listeners{{{MINE}}})", "{{instance}}")), "short"),
            "Upkeep",
            lines("Roll-ups and expiry", "Hours and days that were merged, and tables and rows that retention removed.", promql((f"sum(rate(driftd_rollups_total{{{MINE}}}[$__rate_interval]))", "roll-ups"), (f"sum(rate(driftd_expired_total{{{MINE}}}[$__rate_interval]))", "removed")), "ops"),
            lines("Configuration", "Times that the configuration was read again, by outcome.", promql((f"sum by (outcome) (increase(driftd_config_reloads_total{{{MINE}}}[$__rate_interval]))", "{{outcome}}")), "short"),
            stat("Refused configuration", "Processes whose changed file is not valid: they go on with the settings before it.", promql((f"count(driftd_config_last_reload_successful{{{MINE}}} == 0) or vector(0)", "")), thresholds=OK),
            stat("Waiting settings", "Changed settings that a process takes up at its next start only.", promql((f"max(driftd_config_waiting_settings{{{MINE}}})", "")), thresholds=[(None, "green"), (1, "yellow")]),
            lines("Clocks", "How far the clock of each process is ahead of the store's.", promql((f"max by (instance) (driftd_clock_offset_seconds{{{MINE}}})", "{{instance}}")), "s"),
            table(
                "Versions",
                "What each process runs.",
                instant(f"max by (instance, version) (driftd_build_info{{{MINE}}})"),
                width=16,
                transformations=[{"id": "organize", "options": {"excludeByName": {"Value": True, "Time": True}}}],
            ),
        ],
        hours=6,
    )
