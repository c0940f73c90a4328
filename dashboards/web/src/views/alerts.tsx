/** The alerts of all models, what fires first. */

import { useEffect } from "preact/hooks";
import * as api from "../api/client";
import { usePoll } from "../api/poll";
import type { Alert, AlertState, State } from "../api/types";
import { count, duration, enumerate, ofThreshold, plural } from "../data/format";
import { alertOrder, firedAt, isOver } from "../data/shape";
import { causeName } from "../data/verdict";
import { ConnectionNote } from "../parts/connection";
import { StateIcon } from "../parts/icons";
import { Empty } from "../parts/panel";
import { Time } from "../parts/time";
import { alertHref, alertsHref, modelHref, replaceRoute, type Which } from "../router";

const MOST = 200;
const FILTERS: { title: string; state: string | null; takes: (alert: Alert) => boolean }[] = [
  { title: "All that fired", state: null, takes: (a) => firedAt(a) !== null || !isOver(a) },
  { title: "Open", state: "open", takes: (a) => !isOver(a) },
  { title: "Calmed down too", state: "any", takes: () => true },
];

export const ALERT_LOOKS: Record<AlertState, State> = { firing: "drift", pending: "warning", resolved: "ok", inactive: "ok" };
export const ALERT_WORDS: Record<AlertState, string> = { firing: "Firing", pending: "Pending", resolved: "Resolved", inactive: "Calmed down" };

export const AlertBadge = ({ state, large = false }: { state: AlertState; large?: boolean }) => (
  <span class={`badge state-${ALERT_LOOKS[state]}${large ? " large" : ""}`}>
    <StateIcon state={ALERT_LOOKS[state]} size={large ? 18 : 14} /> {ALERT_WORDS[state]}
  </span>
);

export function AlertList({ which }: { which: Which }) {
  const { data, failure, refresh } = usePoll("alerts", (signal) => api.alerts(null, MOST, signal));
  const firing = data?.filter((a) => a.state === "firing").length ?? 0;
  useEffect(() => {
    document.title = firing > 0 ? `◆ ${firing} firing · driftd` : "Alerts · driftd";
  }, [firing]);
  return (
    <>
      <ConnectionNote failure={failure} stale={data !== null} retry={refresh} />
      {data === null ? failure === null && <p class="loading">Reading the alerts …</p> : <Content alerts={data} firing={firing} which={which} />}
    </>
  );
}

function Content({ alerts, firing, which }: { alerts: Alert[]; firing: number; which: Which }) {
  const { state, model, cause, severity } = which;
  const filter = FILTERS.find((f) => f.state === state) ?? FILTERS[0];
  const rows = alertOrder(alerts).filter(
    (a) =>
      (filter?.takes(a) ?? true) &&
      (model === null || a.model === model) &&
      (cause === null || a.cause.kind === cause) &&
      (severity === null || a.severity === severity),
  );
  const narrowed = model !== null || cause !== null || severity !== null;
  return (
    <>
      <div class="headline">
        <h1>{firing === 0 ? "No alert fires." : `${plural(firing, "alert")} ${firing === 1 ? "fires" : "fire"}.`}</h1>
        <nav class="segments" aria-label="Which alerts">
          {FILTERS.map((f) => (
            <a key={f.title} href={alertsHref({ ...which, state: f.state })} aria-current={f === filter ? "true" : undefined}>
              {f.title}
            </a>
          ))}
        </nav>
      </div>
      <form class="filters" aria-label="Only alerts of" onSubmit={(event) => event.preventDefault()}>
        <Only name="Model" values={alerts.map((a) => a.model)} chosen={model} onChoose={(value) => replaceRoute(alertsHref({ ...which, model: value }))} />
        <Only name="Cause" values={alerts.map((a) => a.cause.kind)} chosen={cause} onChoose={(value) => replaceRoute(alertsHref({ ...which, cause: value }))} />
        <Only name="Severity" values={alerts.flatMap((a) => a.severity ?? [])} chosen={severity} onChoose={(value) => replaceRoute(alertsHref({ ...which, severity: value }))} />
        {narrowed && (
          <>
            <span class="muted small-text">
              {count(rows.length)} of {plural(alerts.length, "alert")}
            </span>
            <a class="small-text" href={alertsHref({ state })}>
              show all
            </a>
          </>
        )}
      </form>
      {rows.length === 0 ? (
        <Empty>{narrowed ? "None of these." : "None. An alert opens when evidence passes a tenth of the threshold, and fires when it reaches it."}</Empty>
      ) : (
        <ol class="panel alert-rows">
          {rows.map((alert) => (
            <Row key={alert.id} alert={alert} />
          ))}
        </ol>
      )}
    </>
  );
}

/** One of the values that alerts have, or all. */
function Only(props: { name: string; values: string[]; chosen: string | null; onChoose: (value: string | null) => void }) {
  const { chosen } = props;
  // What a link asks for is offered though no alert has it.
  const values = [...new Set(chosen === null ? props.values : [...props.values, chosen])].sort();
  if (values.length < 2 && chosen === null) return null;
  return (
    <label>
      {props.name}{" "}
      <select value={chosen ?? ""} onChange={(event) => props.onChoose(event.currentTarget.value || null)}>
        <option value="">all</option>
        {values.map((value) => (
          <option key={value} value={value}>
            {value.replaceAll("_", " ")}
          </option>
        ))}
      </select>
    </label>
  );
}

function Row({ alert }: { alert: Alert }) {
  const { tasks_affected: affected } = alert.cause;
  const end = alert.resolved_at ?? (isOver(alert) ? (alert.transitions.at(-1)?.at ?? null) : null);
  const length = ((end === null ? Date.now() : Date.parse(end)) - Date.parse(alert.opened_at)) / 1000;
  return (
    <li class="alert-row">
      <AlertBadge state={alert.state} />
      <span class="alert-row-what">
        <a class="strong" href={alertHref(alert.id)}>
          {causeName(alert)}
        </a>{" "}
        of <a href={modelHref(alert.model)}>{alert.model}</a>
        <span class="muted small-text">
          {alert.severity !== undefined && ` · ${alert.severity}`}
          {affected.length > 0 && ` · affects ${enumerate(affected)}`} · {ofThreshold(alert.evidence, alert.threshold)} of the threshold
          {alert.acknowledgement && ` · acknowledged by ${alert.acknowledgement.by}`}
        </span>
      </span>
      <span class="muted small-text alert-row-time">
        <Time at={alert.opened_at} /> · {end === null ? `open for ${duration(length)}` : `lasted ${duration(length)}`}
      </span>
    </li>
  );
}
