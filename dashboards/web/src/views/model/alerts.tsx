/** What driftd did: alerts with their transitions, retraining requests, deliveries. */

import type { Alert, Delivery, RetrainingRequest, Window } from "../../api/types";
import { duration, enumerate, ofThreshold, plural, quantity } from "../../data/format";
import { alertOrder, alertWindow, isOver } from "../../data/shape";
import { causeName } from "../../data/verdict";
import { Empty, Marked, Panel } from "../../parts/panel";
import { Time } from "../../parts/time";
import { alertHref } from "../../router";
import { AlertBadge } from "../alerts";
import { sentence } from "../alert/head";
import { REQUEST_WORDS } from "../alert/request";

export function Alerts(props: { alerts: Alert[]; windows: Window[]; onSelect: (start: string) => void }) {
  const ordered = alertOrder(props.alerts);
  return (
    <Panel title="Alerts" aside={props.alerts.length > 0 && <span class="muted">{plural(props.alerts.length, "alert")}</span>}>
      {ordered.length === 0 ? (
        <Empty>No alert so far. One opens when evidence passes a tenth of the threshold, and fires when it reaches it.</Empty>
      ) : (
        <ol class="alerts">
          {ordered.map((alert) => (
            <AlertItem key={alert.id} alert={alert} window={alertWindow(alert, props.windows)} onSelect={props.onSelect} />
          ))}
        </ol>
      )}
    </Panel>
  );
}

function AlertItem({ alert, window, onSelect }: { alert: Alert; window: Window | null; onSelect: (start: string) => void }) {
  const end = alert.resolved_at ?? (isOver(alert) ? (alert.transitions.at(-1)?.at ?? null) : null);
  const length = ((end === null ? Date.now() : Date.parse(end)) - Date.parse(alert.opened_at)) / 1000;
  return (
    <li class={`alert ${alert.state}`}>
      <div class="alert-head">
        <AlertBadge state={alert.state} />
        <a class="strong" href={alertHref(alert.id)}>
          {causeName(alert)}
        </a>
        <span class="spring" />
        <span class="muted">
          <Time at={alert.opened_at} /> · {end === null ? `open for ${duration(length)}` : `lasted ${duration(length)}`}
        </span>
      </div>
      <p class="alert-summary">
        <Marked text={sentence(alert.cause.summary)} />
      </p>
      <p class="alert-facts">
        <span>
          evidence <b>{quantity(alert.evidence)}</b>, {ofThreshold(alert.evidence, alert.threshold)} of the threshold
        </span>
        {alert.severity !== undefined && <span>severity {alert.severity}</span>}
        {alert.cause.tasks_affected.length > 0 && <span>tasks affected: {enumerate(alert.cause.tasks_affected)}</span>}
        {alert.guarantee.status !== "valid" && <span>guarantee {alert.guarantee.status}</span>}
        {window !== null && (
          <button
            class="link-button"
            onClick={() => {
              onSelect(window.start);
              document.querySelector(".timeline")?.scrollIntoView({ block: "start" });
            }}
          >
            show its window
          </button>
        )}
      </p>
      <details open={!isOver(alert)}>
        <summary>{plural(alert.transitions.length, "transition")}</summary>
        <ol class="transitions">
          {alert.transitions.map((t) => (
            <li key={`${t.at} ${t.to}`} class={t.to}>
              <Time at={t.at} />
              <span>
                {t.from === t.to ? t.to : `${t.from} → ${t.to}`}
                <span class="muted"> {t.reason}</span>
              </span>
            </li>
          ))}
        </ol>
      </details>
    </li>
  );
}

export const Retraining = ({ requests }: { requests: RetrainingRequest[] }) => (
  <Panel title="Retraining requests">
    {requests.length === 0 ? (
      <Empty>None so far. driftd asks for retraining when an alert fires and its cause is known.</Empty>
    ) : (
      <ol class="requests">
        {requests.map((request) => (
          <li key={request.id}>
            <div class="alert-head">
              {request.alert === undefined ? (
                <b>Retrain {enumerate(request.tasks)}</b>
              ) : (
                <a class="strong" href={alertHref(request.alert)}>
                  Retrain {enumerate(request.tasks)}
                </a>
              )}
              <span class={`tag ${request.state}`}>{REQUEST_WORDS[request.state] ?? request.state}</span>
              <span class="spring" />
              <span class="muted">
                <Time at={request.created_at} />
              </span>
            </div>
            <p class="alert-summary">
              <Marked text={sentence(request.reason)} />
              {request.protected_tasks.length > 0 && (
                <span class="muted"> Must not get worse: {enumerate(request.protected_tasks)}.</span>
              )}
            </p>
          </li>
        ))}
      </ol>
    )}
  </Panel>
);

export const DELIVERY_SIGNS: Record<Delivery["state"], string> = { delivered: "✓", pending: "…", failed: "✕", disabled: "–", merged: "✓", silenced: "–" };

export const Deliveries = ({ deliveries }: { deliveries: Delivery[] }) => (
  <Panel title="Deliveries">
    {deliveries.length === 0 ? (
      <Empty>Nothing was delivered yet. Events go to the configured endpoints when an alert fires or resolves.</Empty>
    ) : (
      <div class="scroll" tabIndex={0} role="region" aria-label="Deliveries, table">
        <table class="plain deliveries">
          <thead>
            <tr>
              <th scope="col">Event</th>
              <th scope="col">Endpoint</th>
              <th scope="col">State</th>
              <th scope="col" class="number">
                Time
              </th>
            </tr>
          </thead>
          <tbody>
            {deliveries.map((d) => (
              <tr key={d.id}>
                <td>{d.event}</td>
                <td>{d.endpoint}</td>
                <td class={`delivery ${d.state}`}>
                  <span aria-hidden="true">{DELIVERY_SIGNS[d.state]}</span> {d.state}
                  {d.attempts > 1 && <span class="muted"> after {plural(d.attempts, "attempt")}</span>}
                  {d.last_error !== null && d.state !== "delivered" && <div class="muted small-text">{d.last_error}</div>}
                </td>
                <td class="number">
                  <Time at={d.delivered_at ?? d.created_at} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    )}
  </Panel>
);
