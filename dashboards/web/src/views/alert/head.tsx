/** The cause in words, what it means, and what can be done at once: acknowledge, silence. */

import { useState } from "preact/hooks";
import * as api from "../../api/client";
import { useMay } from "../../api/session";
import type { Alert } from "../../api/types";
import { count, duration, ofThreshold, quantity } from "../../data/format";
import { meaning, standing } from "../../data/incident";
import { firedAt, isOver } from "../../data/shape";
import { causeName, happened } from "../../data/verdict";
import { CommentForm, useAction } from "../../parts/action";
import { EvidenceBar } from "../../parts/evidence_bar";
import { Marked } from "../../parts/panel";
import { Time } from "../../parts/time";
import { modelHref } from "../../router";
import { AlertBadge } from "../alerts";
import type { Incident } from "./load";
import { SilenceForm } from "./silence";

export function Head({ incident, onChange }: { incident: Incident; onChange: () => void }) {
  const { alert, start } = incident;
  const { means, helps } = meaning(alert.cause);
  const fired = firedAt(alert);
  const end = alert.resolved_at ?? (isOver(alert) ? (alert.transitions.at(-1)?.at ?? null) : null);
  const length = ((end === null ? Date.now() : Date.parse(end)) - Date.parse(alert.opened_at)) / 1000;
  return (
    <section class="panel incident-head" aria-label={`Alert: ${causeName(alert)} of ${alert.model}`}>
      <div class="incident-what">
        <div class="model-name">
          <AlertBadge state={alert.state} large />
          <h1>{happened(alert)}</h1>
          {alert.severity !== undefined && <span class="version">severity {alert.severity}</span>}
        </div>
        <p class="verdict">
          <Marked text={sentence(alert.cause.summary)} />
        </p>
        <dl class="advice">
          <div>
            <dt>What it means</dt>
            <dd>{means}</dd>
          </div>
          <div>
            <dt>What helps</dt>
            <dd>{helps}</dd>
          </div>
        </dl>
        {alert.guarantee.status !== "valid" && (
          <p class="caution">
            The guarantee on false alarms is {alert.guarantee.status}: {alert.guarantee.reason}.
          </p>
        )}
      </div>
      <div class="incident-side">
        <dl class="facts">
          {alert.cause.part === "version" ? (
            <div class="wide">
              <dt>Records that named another version</dt>
              <dd>
                {(alert.cause.versions ?? []).map(({ version, records }, i) => (
                  <span key={version}>
                    {i > 0 && ", "}
                    <b>{version}</b> <span class="muted">{count(records)}</span>
                  </span>
                ))}
              </dd>
            </div>
          ) : (
            <div class="wide">
              <dt>Evidence when it {fired === null ? "opened" : "fired"}</dt>
              <dd>
                <EvidenceBar evidence={alert.evidence} threshold={alert.threshold} />
                <b>{quantity(alert.evidence)}</b>{" "}
                <span class="muted">
                  of {quantity(alert.threshold)} · {ofThreshold(alert.evidence, alert.threshold)}
                </span>
              </dd>
            </div>
          )}
          <div>
            <dt>Model</dt>
            <dd>
              <a href={modelHref(alert.model)}>{alert.model}</a>
            </dd>
          </div>
          <div>
            <dt>First seen</dt>
            <dd>
              <Time at={alert.opened_at} />
            </dd>
          </div>
          <div>
            <dt>Fired</dt>
            <dd>{fired === null ? <span class="muted">not yet</span> : <Time at={fired} />}</dd>
          </div>
          <div>
            <dt>{end === null ? "Open for" : "Lasted"}</dt>
            <dd>{duration(length)}</dd>
          </div>
          {start !== null && (
            <div class="wide">
              <dt>Look closer</dt>
              <dd>
                <a href={modelHref(alert.model, { window: start, at: "timeline" })}>its window</a>
                {alert.cause.kind === "encoder" || alert.cause.kind === "input" ? (
                  <>
                    {" · "}
                    <a href={modelHref(alert.model, { window: start }, "map")}>the encoder's map</a>
                  </>
                ) : null}
                {" · "}
                <a href={modelHref(alert.model, {}, "performance")}>performance</a>
              </dd>
            </div>
          )}
        </dl>
        <Acts incident={incident} onChange={onChange} />
      </div>
    </section>
  );
}

/** What was said of the alert, and what the caller may say. */
function Acts({ incident, onChange }: { incident: Incident; onChange: () => void }) {
  const { alert, silences } = incident;
  const [open, setOpen] = useState<"acknowledge" | "silence" | null>(null);
  const may = useMay("operator");
  const now = Date.now();
  const inForce = silences?.filter((s) => standing(s, now) !== "over") ?? [];
  const done = (): void => {
    setOpen(null);
    onChange();
  };
  const toggle = (form: "acknowledge" | "silence"): void => setOpen(open === form ? null : form);
  return (
    <div class="acts">
      {alert.acknowledgement && (
        <p class="said" role="status">
          ✓ Acknowledged by <b>{alert.acknowledgement.by}</b>, <Time at={alert.acknowledgement.at} />
          {alert.acknowledgement.comment && <q>{alert.acknowledgement.comment}</q>}
        </p>
      )}
      {inForce.map((s) => (
        <p key={s.silence_id} class="said" role="status">
          ◌ Silenced by <b>{s.created_by}</b> until <Time at={s.ends_at} />
          {s.comment && <q>{s.comment}</q>} <a href="#/silences">silences</a>
        </p>
      ))}
      {may && (
        <div class="action-buttons">
          {!alert.acknowledgement && !isOver(alert) && (
            <button class="primary" aria-expanded={open === "acknowledge"} onClick={() => toggle("acknowledge")}>
              Acknowledge
            </button>
          )}
          {silences !== null && (
            <button class="quiet" aria-expanded={open === "silence"} onClick={() => toggle("silence")}>
              Silence
            </button>
          )}
        </div>
      )}
      {open === "acknowledge" && <Acknowledge alert={alert} onDone={done} />}
      {open === "silence" && <SilenceForm alert={alert} onDone={done} />}
    </div>
  );
}

function Acknowledge({ alert, onDone }: { alert: Alert; onDone: () => void }) {
  const action = useAction();
  return (
    <CommentForm
      label="Comment"
      hint="others see that you look at it"
      action={action}
      onSubmit={(comment) => void action.run(() => api.acknowledge(alert.id, comment)).then((ok) => ok && onDone())}
    >
      {() => (
        <button class="primary" disabled={action.busy}>
          Acknowledge this alert
        </button>
      )}
    </CommentForm>
  );
}

/** The API's summaries begin small and end without a full stop. */
export function sentence(text: string): string {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}
