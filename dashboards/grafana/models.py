"""The fleet, a model, a task: what driftd found, from the views driftd_v1 in Postgres."""

from panels import (
    EVIDENCE,
    alerts_as_annotations,
    bands,
    choice,
    coloured,
    dashboard,
    lines,
    link,
    source,
    sql,
    stat,
    table,
)

POSTGRES = source("postgres", "Store", "grafana-postgresql-datasource")
MODEL = choice("model", "Model", "select model from driftd_v1.model order by 1")
TASK = choice(
    "task", "Task", "select task from driftd_v1.task where model = ${model:sqlstring} order by place"
)
SEGMENT = choice(
    "segment",
    "Segment",
    "select coalesce(segment, 'all records') as segment from driftd_v1.statistic"
    " where model = ${model:sqlstring} and $__timeFilter(window_start) group by segment order by segment nulls first",
)
OPEN = "resolved_at is null and state = 'firing'"
RATIO = "Evidence divided by the threshold that the false-alarm budget sets: 1 is an alarm."
TO_MODEL = "driftd-model/driftd-model?var-model=${__data.fields.model}"
TO_TASK = "driftd-task/driftd-task?var-model=${model}&var-task=${__data.fields.task}"


def fleet():
    """All models."""
    latest = "select distinct on (model) * from driftd_v1.window where $__timeFilter(window_start) order by model, window_start desc"
    return dashboard(
        "driftd-fleet",
        "driftd / fleet",
        "All models that are watched: which drift, since when, and what is open.",
        [POSTGRES],
        [
            stat("Models", "Models that are watched.", sql("select count(*) as models from driftd_v1.model")),
            stat(
                "Drifting now",
                "Models whose latest window in the range has the verdict drift.",
                sql(f"select count(*) filter (where verdict = 'drift') as drifting from ({latest}) latest"),
                thresholds=[(None, "green"), (1, "red")],
            ),
            stat(
                "Open alerts",
                "Alerts that fire and have not resolved.",
                sql(f"select count(*) as alerts from driftd_v1.alert where {OPEN}"),
                thresholds=[(None, "green"), (1, "red")],
            ),
            stat(
                "Requests to decide",
                "Retraining requests that are proposed and wait for an approval.",
                sql("select count(*) as requests from driftd_v1.retraining_request where state = 'proposed'"),
                thresholds=[(None, "green"), (1, "yellow")],
            ),
            stat(
                "Records",
                "Records in the windows of the range.",
                sql("select coalesce(sum(records), 0)::bigint as records from driftd_v1.window where $__timeFilter(window_start)"),
                unit="short",
            ),
            stat(
                "Incomplete windows",
                "Windows of the range that lack records, since Kafka no longer had them.",
                sql("select count(*) as windows from driftd_v1.window where incomplete and $__timeFilter(window_start)"),
                thresholds=[(None, "green"), (1, "orange")],
            ),
            table(
                "Models by evidence",
                f"Each model with its latest window in the range and the part of it that has most evidence. {RATIO}",
                sql(
                    f"""with latest as ({latest}), worst as (
                        select distinct on (p.model) p.model, concat_ws(' ', p.scope, p.task, p.segment) as part
                        from driftd_v1.part p join latest l using (model, reference_id, window_start)
                        order by p.model, p.evidence_ratio desc nulls last)
                    select m.model, m.version, l.verdict, l.evidence_ratio, w.part as worst_part, l.window_end, l.records,
                        (select count(*) from driftd_v1.alert a where a.model = m.model and {OPEN}) as open_alerts,
                        m.budget
                    from driftd_v1.model m left join latest l using (model) left join worst w using (model)
                    order by l.evidence_ratio desc nulls last, m.model"""
                ),
                overrides=[
                    link("model", "The model", TO_MODEL),
                    coloured("evidence_ratio", EVIDENCE, "short"),
                    ("window_end", ("unit", "dateTimeAsIso")),
                    ("records", ("unit", "short")),
                ],
            ),
            bands(
                "Evidence by model",
                f"One band a model. {RATIO} Yellow begins at a tenth of it.",
                sql(
                    """select window_start as time, model as metric, evidence_ratio from driftd_v1.window
                    where $__timeFilter(window_start) order by 1, 2""",
                    over_time=True,
                ),
            ),
            lines(
                "Records by model",
                "Records in each window, by model.",
                sql(
                    """select window_start as time, model as metric, records from driftd_v1.window
                    where $__timeFilter(window_start) order by 1, 2""",
                    over_time=True,
                ),
                "short",
                width=24,
            ),
            table(
                "Alerts that fire",
                "Alerts that fire: where it drifted, and which tasks feel it.",
                sql(
                    f"""select opened_at, model, cause, cause_task, cause_segment, tasks_affected::text as tasks_affected, summary
                    from driftd_v1.alert where {OPEN} order by opened_at desc limit 100"""
                ),
                overrides=[link("model", "The model", TO_MODEL), ("opened_at", ("unit", "dateTimeAsIso"))],
            ),
            table(
                "Retraining requests",
                "Requests that were made in the range, newest first.",
                sql(
                    """select created_at, model, state, tasks::text as tasks, protected_tasks::text as protected_tasks, reason
                    from driftd_v1.retraining_request where $__timeFilter(created_at) order by created_at desc limit 100"""
                ),
                overrides=[link("model", "The model", TO_MODEL), ("created_at", ("unit", "dateTimeAsIso"))],
            ),
        ],
        [alerts_as_annotations("true")],
    )


def model():
    """One model: whether and where."""
    of = "model = ${model:sqlstring}"
    within = f"{of} and $__timeFilter(window_start)"
    last = f"select verdict, evidence_ratio, records, window_end from driftd_v1.window where {within} order by window_start desc limit 1"
    return dashboard(
        "driftd-model",
        "driftd / model",
        "One model as its parts: input, encoder, heads, links, segments; what moved, and what was told.",
        [POSTGRES, MODEL],
        [
            stat(
                "Verdict",
                "Verdict of the latest window in the range.",
                sql(f"select verdict from ({last}) last"),
                fields="/.*/",
                noValue="no window",
            ),
            stat("Evidence", f"Of the latest window in the range. {RATIO}", sql(f"select evidence_ratio from ({last}) last"), "short", thresholds=EVIDENCE),
            stat(
                "Latest window",
                "End of the latest judged window in the range.",
                sql(f"select window_end from ({last}) last"),
                "dateTimeFromNow",
                fields="/.*/",
            ),
            stat("Records", "Records in the windows of the range.", sql(f"select coalesce(sum(records), 0)::bigint as records from driftd_v1.window where {within}"), "short"),
            stat(
                "Late records",
                "Records that came after their window had been judged; they revised its report.",
                sql(f"select coalesce(sum(late_records), 0)::bigint as late from driftd_v1.window where {within}"),
                "short",
            ),
            stat(
                "Budget",
                "False alarms that are allowed, for the whole model.",
                sql(f"select budget from driftd_v1.model where {of}"),
                fields="/.*/",
            ),
            bands(
                "Where",
                f"One band a part: input and encoder, heads by task, links, segments. {RATIO}",
                sql(
                    f"""select window_start as time, concat_ws(' ', scope, task, segment) as metric, evidence_ratio
                    from driftd_v1.part where {within}
                    order by 1, array_position(array['input', 'encoder', 'head', 'link', 'skew', 'segment'], scope), 2""",
                    over_time=True,
                ),
                height=12,
            ),
            lines(
                "Evidence of the model",
                f"{RATIO} Marks are alerts.",
                sql(f"select window_start as time, evidence_ratio from driftd_v1.window where {within} order by 1", over_time=True),
                "short",
                width=12,
                limit=1,
                logarithmic=True,
            ),
            lines(
                "Records by window",
                "Records in each window, and those among them that came late.",
                sql(f"select window_start as time, records, late_records from driftd_v1.window where {within} order by 1", over_time=True),
                "short",
                width=12,
            ),
            table(
                "Signals of the latest window",
                f"What moved most. Effect sizes are for people and decide nothing. {RATIO}",
                sql(
                    f"""with last as (
                        select reference_id, window_start, ln_threshold from driftd_v1.window where {within}
                        order by window_start desc limit 1)
                    select s.scope, s.task, s.segment, s.signal, s.n,
                        case when s.ln_evidence is not null then exp(least(s.ln_evidence - l.ln_threshold, 300)) end as evidence_ratio, s.p_value,
                        s.effect::text as effect, s.guarantee
                    from driftd_v1.statistic s join last l using (reference_id, window_start)
                    where s.{of} order by s.ln_evidence desc nulls last limit 50"""
                ),
                height=10,
                overrides=[
                    link("task", "The task", TO_TASK),
                    coloured("evidence_ratio", EVIDENCE, "short"),
                    ("n", ("unit", "short")),
                    ("p_value", ("unit", "sci")),
                ],
            ),
            table(
                "Alerts",
                "Alerts that were open in the range.",
                sql(
                    f"""select opened_at, resolved_at, state, cause, cause_task, cause_segment, tasks_affected::text as tasks_affected, summary
                    from driftd_v1.alert where {of} and opened_at <= $__timeTo()
                    and coalesce(resolved_at, now()) >= $__timeFrom() order by opened_at desc limit 100"""
                ),
                overrides=[("opened_at", ("unit", "dateTimeAsIso")), ("resolved_at", ("unit", "dateTimeAsIso"))],
            ),
            table(
                "Retraining requests",
                "Requests for this model, newest first.",
                sql(
                    f"""select created_at, state, tasks::text as tasks, protected_tasks::text as protected_tasks, reason
                    from driftd_v1.retraining_request where {of} order by created_at desc limit 20"""
                ),
                width=14,
                overrides=[("created_at", ("unit", "dateTimeAsIso"))],
            ),
            table(
                "References",
                "What windows were and are compared with, the newest first.",
                sql(
                    f"""select created_at, reference_id, version, kind, records, windows, first_at, last_at
                    from driftd_v1.reference where {of} order by created_at desc limit 20"""
                ),
                width=10,
                overrides=[(time, ("unit", "dateTimeAsIso")) for time in ("created_at", "first_at", "last_at")],
            ),
        ],
        [alerts_as_annotations(of)],
    )


def task():
    """One head: which of its signals."""
    of = "model = ${model:sqlstring} and task = ${task:sqlstring}"
    within = f"{of} and coalesce(segment, 'all records') = ${{segment:sqlstring}} and $__timeFilter(window_start)"
    joined = (
        "driftd_v1.statistic s join (select reference_id, window_start, ln_threshold from driftd_v1.window"
        " where model = ${model:sqlstring} and $__timeFilter(window_start)) w using (reference_id, window_start)"
    )
    effect = (
        "coalesce(effect->>'hellinger', effect->>'standardized_mean', effect->>'mahalanobis',"
        " effect->>'mean_discrepancy', effect->>'mutual_information_change', effect->>'pair_ratio')::double precision"
    )
    return dashboard(
        "driftd-task",
        "driftd / task",
        "One task's head: evidence and effect of each signal, for all records or one segment.",
        [POSTGRES, MODEL, TASK, SEGMENT],
        [
            bands(
                "Evidence by signal",
                f"One band a signal of the head. {RATIO}",
                sql(
                    f"""select window_start as time, s.signal as metric, case when s.ln_evidence is not null then exp(least(s.ln_evidence - w.ln_threshold, 300)) end as evidence_ratio
                    from {joined} where s.{within.replace("and task", "and s.task")} order by 1, 2""",
                    over_time=True,
                ),
            ),
            lines(
                "Evidence",
                RATIO,
                sql(
                    f"""select window_start as time, s.signal as metric, case when s.ln_evidence is not null then exp(least(s.ln_evidence - w.ln_threshold, 300)) end as evidence_ratio
                    from {joined} where s.{within.replace("and task", "and s.task")} order by 1, 2""",
                    over_time=True,
                ),
                "short",
                width=12,
                limit=1,
                logarithmic=True,
            ),
            lines(
                "Effect",
                """How far each signal is from the reference, in its own measure: Hellinger distance for counts,
                standardized or Mahalanobis distance for means. For people; none of them decides.""",
                sql(f"select window_start as time, signal as metric, {effect} as effect from driftd_v1.statistic where {within} order by 1, 2", over_time=True),
                "short",
                width=12,
            ),
            lines(
                "p-value",
                "Of each signal's test in each window; small values are surprising, and a window has many signals.",
                sql(f"select window_start as time, signal as metric, p_value from driftd_v1.statistic where {within} order by 1, 2", over_time=True),
                "sci",
                width=12,
                logarithmic=True,
            ),
            lines(
                "What was counted",
                "Records, labels or tokens that each signal judged.",
                sql(f"select window_start as time, signal as metric, n from driftd_v1.statistic where {within} order by 1, 2", over_time=True),
                "short",
                width=12,
            ),
            table(
                "Signals of the latest window",
                "All of the head's signals for the chosen segment, the strongest first.",
                sql(
                    f"""select signal, n, statistic, degrees_of_freedom, p_value, effect::text as effect, guarantee
                    from driftd_v1.statistic where {within} and window_start = (
                        select max(window_start) from driftd_v1.statistic where {within})
                    order by ln_evidence desc nulls last"""
                ),
                overrides=[("p_value", ("unit", "sci")), ("n", ("unit", "short"))],
            ),
            table(
                "Alerts about this task",
                "Alerts of the range that it caused or felt.",
                sql(
                    """select opened_at, resolved_at, state, cause, cause_task, cause_segment, summary from driftd_v1.alert
                    where model = ${model:sqlstring} and (cause_task = ${task:sqlstring} or tasks_affected ? ${task:sqlstring})
                    and opened_at <= $__timeTo() and coalesce(resolved_at, now()) >= $__timeFrom() order by opened_at desc limit 100"""
                ),
                overrides=[("opened_at", ("unit", "dateTimeAsIso")), ("resolved_at", ("unit", "dateTimeAsIso"))],
            ),
        ],
        [alerts_as_annotations("model = ${model:sqlstring}")],
    )
