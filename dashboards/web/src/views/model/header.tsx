/** The verdict in one sentence, the facts behind it, and the model as a diagram. */

import type { Alert, Model, Place, Window } from "../../api/types";
import { count, duration, interval, plural, quantity } from "../../data/format";
import { firingAt } from "../../data/shape";
import { budgetWords, verdict, windowSeconds } from "../../data/verdict";
import { EvidenceBar } from "../../parts/evidence_bar";
import { StateBadge } from "../../parts/state";
import { Time } from "../../parts/time";
import { ModelDiagram } from "./diagram";

export function Header(props: {
  model: Model;
  windows: Window[];
  alerts: Alert[];
  /** The window the reader chose; null while the page shows what is now. */
  chosen: Window | null;
  place: Place | null;
  onPlace: (place: Place) => void;
  onNow: () => void;
}) {
  const { model, windows, chosen } = props;
  const now = new Date();
  const latest = windows.at(-1) ?? null;
  const shownAt = chosen?.end ?? latest?.end ?? null;
  const guarantee = latest?.guarantee ?? model.reference?.guarantee ?? null;
  return (
    <section class="panel model-head" aria-label={`Model ${model.name}`}>
      <div class="model-verdict">
        <div class="model-name">
          <h1>{model.name}</h1>
          <span class="version">version {model.version}</span>
          <StateBadge state={model.state} large />
        </div>
        <p class="verdict" aria-live="polite">
          {verdict(model, windows, props.alerts, now)}
        </p>
        {guarantee !== null && guarantee.status !== "valid" && (
          <p class="caution">
            The guarantee on false alarms is {guarantee.status}: {guarantee.reason}.
          </p>
        )}
        <dl class="facts">
          <div class="wide">
            <dt>Evidence now</dt>
            <dd>
              <EvidenceBar evidence={latest?.evidence ?? null} threshold={model.threshold} />
              {quantity(latest?.evidence)} <span class="muted">of {quantity(model.threshold)}</span>
            </dd>
          </div>
          <div>
            <dt>Last window</dt>
            <dd>
              {latest === null ? (
                <span class="muted">none yet</span>
              ) : (
                <>
                  {interval(new Date(latest.start), new Date(latest.end), now)}{" "}
                  <span class="muted">{plural(latest.records, "record")}</span>
                </>
              )}
            </dd>
          </div>
          <div>
            <dt>Budget</dt>
            <dd>{budgetWords(model.budget)}</dd>
          </div>
          <Reference model={model} windows={windows} />
          <div>
            <dt>Guarantee</dt>
            <dd>{guarantee === null ? <span class="muted">none without a reference</span> : <span title={guarantee.reason}>{guarantee.status}</span>}</dd>
          </div>
          <div>
            <dt>Inference</dt>
            <dd>
              {model.inference === null ? (
                <span class="muted">none here</span>
              ) : (
                <>
                  {model.inference.provider.replace(/ExecutionProvider$/, "")}{" "}
                  <span class="muted">on {model.inference.device}</span>
                </>
              )}
            </dd>
          </div>
        </dl>
      </div>
      <div class="model-diagram">
        <div class="chart-head">
          <h2>{chosen === null ? "Evidence by part, now" : "Evidence by part"}</h2>
          {chosen !== null && (
            <>
              <div class="chart-note">{interval(new Date(chosen.start), new Date(chosen.end), now)}</div>
              <button class="quiet small" onClick={props.onNow}>
                Back to now
              </button>
            </>
          )}
        </div>
        <ModelDiagram
          model={model}
          window={chosen ?? latest}
          alert={shownAt === null ? null : firingAt(props.alerts, shownAt)}
          place={props.place}
          onPlace={props.onPlace}
        />
      </div>
    </section>
  );
}

function Reference({ model, windows }: { model: Model; windows: Window[] }) {
  const seconds = windowSeconds(model, windows);
  return (
    <>
      <div>
        <dt>Reference</dt>
        <dd>
          {model.reference === null ? (
            <span class="muted">none yet</span>
          ) : (
            <span title={`Reference ${model.reference.id}`}>
              {count(model.reference.records)} records{" "}
              <span class="muted">
                since <Time at={model.reference.created_at} />
              </span>
            </span>
          )}
        </dd>
      </div>
      <div>
        <dt>Window length</dt>
        <dd>{seconds === null ? <span class="muted">unknown</span> : duration(seconds)}</dd>
      </div>
    </>
  );
}
