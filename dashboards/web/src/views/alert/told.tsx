/** Who was told of the alert, with every attempt, and the way to try again. */

import { useState } from "preact/hooks";
import * as api from "../../api/client";
import { usePoll } from "../../api/poll";
import { useMay } from "../../api/session";
import type { Delivery } from "../../api/types";
import { plural, quantity } from "../../data/format";
import { ActionError, useAction } from "../../parts/action";
import { Empty, Panel } from "../../parts/panel";
import { Time } from "../../parts/time";
import { DELIVERY_SIGNS } from "../model/alerts";
import type { Incident } from "./load";

export function Told({ incident, onChange }: { incident: Incident; onChange: () => void }) {
  const { deliveries, exact } = incident;
  return (
    <Panel title="Deliveries" aside={!exact && deliveries.length > 0 && <span class="muted">of this model while the alert was open</span>}>
      {deliveries.length === 0 ? (
        <Empty>Nobody was told. Events go to the configured receivers when an alert fires or resolves, unless it is silenced.</Empty>
      ) : (
        <ul class="told">
          {deliveries.map((d) => (
            <Row key={d.id} delivery={d} onChange={onChange} />
          ))}
        </ul>
      )}
    </Panel>
  );
}

function Row({ delivery: d, onChange }: { delivery: Delivery; onChange: () => void }) {
  const [open, setOpen] = useState(false);
  const again = useMay("operator") && (d.state === "failed" || d.state === "disabled");
  const { busy, error, run } = useAction();
  return (
    <li>
      <div class="told-head">
        <span class={`delivery ${d.state}`}>
          <span aria-hidden="true">{DELIVERY_SIGNS[d.state]}</span> {d.state}
        </span>
        <b>{d.endpoint}</b>
        <span class="muted">{d.event}</span>
        <span class="spring" />
        {again && (
          <button class="quiet small" disabled={busy} onClick={() => void run(() => api.redeliver(d.id)).then(onChange)}>
            Send again<span class="hidden"> to {d.endpoint}: {d.event}</span>
          </button>
        )}
      </div>
      <ActionError error={error} />
      <details onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>
          {plural(d.attempts, "attempt")}, {d.delivered_at !== null ? "delivered" : "written"} <Time at={d.delivered_at ?? d.created_at} />
          {d.last_error !== null && d.state !== "delivered" && `: ${d.last_error}`}
        </summary>
        {open && <Attempts id={d.id} attempts={d.attempts} />}
      </details>
    </li>
  );
}

function Attempts({ id, attempts }: { id: string; attempts: number }) {
  const { data, failure } = usePoll(`${id} ${attempts}`, async (signal) => ({ detail: await api.delivery(id, signal) }), { repeat: false });
  if (data === null) return <p class="muted small-text">{failure === null ? "Reading the attempts …" : "The attempts could not be read."}</p>;
  if (data.detail === null || data.detail.history.length === 0) return <p class="muted small-text">This driftd does not list single attempts.</p>;
  return (
    <table class="plain">
      <thead>
        <tr>
          <th scope="col">Attempt</th>
          <th scope="col">At</th>
          <th scope="col">Outcome</th>
          <th scope="col" class="number">
            Took
          </th>
        </tr>
      </thead>
      <tbody>
        {data.detail.history.map((a) => (
          <tr key={a.attempt}>
            <th scope="row">{a.attempt}</th>
            <td>
              <Time at={a.at} />
            </td>
            <td>
              {a.outcome}
              {a.status !== null && !a.outcome.includes(String(a.status)) && <span class="muted"> {a.status}</span>}
              {a.detail != null && <div class="muted small-text">{a.detail}</div>}
            </td>
            <td class="number">{quantity(a.took_secs)} s</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
