/** The verdict in one sentence, the facts behind it, and the model as a diagram. */

import { useId } from "preact/hooks";
import type { Alert, Model, Place, Window } from "../../api/types";
import { count, duration, interval, plural, quantity } from "../../data/format";
import { firingAt } from "../../data/shape";
import { budgetWords, otherVersionsNote, silentFor, verdict, windowSeconds } from "../../data/verdict";
import { EvidenceBar } from "../../parts/evidence_bar";
import { LackNotes } from "../../parts/state";
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
  onWindow: (start: string) => void;
}) {
  const { model, windows, chosen } = props;
  const now = new Date();
  const latest = windows.at(-1) ?? null;
  const shownAt = chosen?.end ?? latest?.end ?? null;
  const silent = silentFor(latest?.end, windowSeconds(model, windows), now);
  const others = otherVersionsNote(chosen ?? latest);
  const guarantee = latest?.guarantee ?? model.reference?.guarantee ?? null;
  return (
    <section class="panel model-head" aria-label={`Model ${model.name}`}>
      <div class="model-verdict">
        <p class="verdict" aria-live="polite">
          {verdict(model, windows, props.alerts, now)}
        </p>
        {silent !== null && (
          <p class="caution">
            No window has ended for {duration(silent)}: no records come, or driftd is <a href="#/pipeline">behind</a>.
          </p>
        )}
        {others !== null && <p class="caution">{others}</p>}
        <LackNotes lacks={(chosen ?? model).not_judged ?? []} />
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
        {windows.length > 1 && <TimeSlider windows={windows} shown={chosen ?? latest} onWindow={props.onWindow} onNow={props.onNow} />}
      </div>
    </section>
  );
}

/** Moves the diagram through time. */
function TimeSlider(props: { windows: Window[]; shown: Window | null; onWindow: (start: string) => void; onNow: () => void }) {
  const { windows } = props;
  const id = useId();
  const last = windows.length - 1;
  const index = windows.findIndex((w) => w.start === props.shown?.start);
  const at = windows[index < 0 ? last : index];
  const name = (w: Window | undefined): string => (w === undefined ? "" : interval(new Date(w.start), new Date(w.end), new Date()));
  return (
    <div class="time-slider">
      <label class="hidden" for={id}>
        Window that the diagram shows
      </label>
      <input
        id={id}
        type="range"
        min={0}
        max={last}
        value={index < 0 ? last : index}
        aria-valuetext={name(at)}
        onInput={(event) => {
          const to = Number(event.currentTarget.value);
          const window = windows[to];
          if (to === last) props.onNow();
          else if (window !== undefined) props.onWindow(window.start);
        }}
      />
      <div class="time-slider-ends" aria-hidden="true">
        <span>{name(windows[0])}</span>
        <span>now</span>
      </div>
    </div>
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
                made <Time at={model.reference.created_at} />
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
