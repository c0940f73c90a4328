/** One window: every signal's statistics, and what moved in the selected one. */

import { useRef } from "preact/hooks";
import * as api from "../../api/client";
import { usePoll } from "../../api/poll";
import type { Band } from "../../charts/line";
import type { Place, Statistic, Window } from "../../api/types";
import { count, interval, plural, probability, quantity, words } from "../../data/format";
import { levelOf, logRatio } from "../../data/scale";
import { byEvidence, effectSize, placeKey, placeLabel, placeName, samePlace, signalKey } from "../../data/shape";
import { EvidenceBar } from "../../parts/evidence_bar";
import { Empty, Panel } from "../../parts/panel";
import { StateBadge } from "../../parts/state";
import { MovedPanel } from "./moved";
import { SignalDetail } from "./signal";
import { WindowSteps } from "./steps";

interface Props {
  name: string;
  windows: Window[];
  window: Window;
  place: Place | null;
  /** Key of the selected signal; null selects the strongest. */
  signal: string | null;
  bands: Band[];
  onWindow: (start: string) => void;
  onSignal: (signal: string, place: Place) => void;
}

export function WindowDetail(props: Props) {
  const { name, window, windows } = props;
  const { data, failure } = usePoll(
    `${name}|${window.start}|${window.revision}`,
    (signal) => api.windowStatistics(name, window.start, signal),
    { repeat: false },
  );
  // The window before stays until the next has arrived, so that nothing jumps.
  const last = useRef<Statistic[] | null>(null);
  if (data !== null) last.current = data;
  const statistics = byEvidence(data ?? last.current ?? []);
  const inPlace = statistics.filter((s) => props.place === null || samePlace(s, props.place));
  const selected = statistics.find((s) => signalKey(s) === props.signal) ?? inPlace[0] ?? statistics[0] ?? null;

  return (
    <Panel
      class="window"
      busy={data === null}
      title={
        <>
          Window <span class="strong">{interval(new Date(window.start), new Date(window.end), new Date())}</span>
        </>
      }
      aside={<WindowSteps windows={windows} window={window} onWindow={props.onWindow} />}
    >
      <p class="window-facts">
        <StateBadge state={window.verdict} lacks={window.not_judged ?? []} />
        <span>{plural(window.records, "record")}</span>
        <span>
          evidence <b>{quantity(window.evidence)}</b> of {quantity(window.threshold)}
        </span>
        {(window.late_records ?? 0) > 0 && <span>{plural(window.late_records ?? 0, "record")} came late</span>}
        {window.incomplete && <span class="warn">▲ records of it may have been lost</span>}
        {(window.harmless_skew?.length ?? 0) > 0 && (
          <span title="Production's numbers differ from the exported model's while its answers are the same">
            harmless skew: {window.harmless_skew?.join(", ")}
          </span>
        )}
        {(window.other_versions?.records ?? 0) > 0 && (
          <span title={window.other_versions?.versions.map((v) => `${v.version}: ${count(v.records)}`).join(", ")}>
            {plural(window.other_versions?.records ?? 0, "record")} of other versions, not judged
          </span>
        )}
        {window.revision > 0 && <span>revised {plural(window.revision, "time")} by late records</span>}
        {window.guarantee.status !== "valid" && (
          <span>
            guarantee {window.guarantee.status}: {window.guarantee.reason}
          </span>
        )}
      </p>
      {isAlone(window, statistics) && (
        <p class="muted small-text">
          ◆ marks signals whose own evidence reached the threshold. The window's is the weighted mean of all, so one alone may not be enough to alarm.
        </p>
      )}
      {statistics.length === 0 ? (
        <Empty>
          {failure !== null
            ? `The statistics of this window could not be read: ${failure.answer?.message ?? "driftd is not reachable"}.`
            : data === null
              ? "Reading the statistics …"
              : "No statistics are kept for this window."}
        </Empty>
      ) : (
        <div class="window-grid">
          <div class="scroll" tabIndex={0} role="region" aria-label="Statistics of the window">
            <table class="statistics">
              <thead>
                <tr>
                  <th scope="col">Part</th>
                  <th scope="col">Signal</th>
                  <th scope="col" class="number">
                    Evidence
                  </th>
                  <th scope="col">
                    <span class="hidden">Evidence against threshold</span>
                  </th>
                  <th scope="col" class="number">
                    Effect
                  </th>
                  <th scope="col" class="number" title="Probability of a difference at least this large, in this window alone">
                    p
                  </th>
                  <th scope="col" class="number" title="What this window multiplies the evidence by">
                    e
                  </th>
                  <th scope="col" class="number" title="Units judged: records, labels or tokens">
                    n
                  </th>
                  <th scope="col" class="number" title="What the signal's test measures, with its degrees of freedom: a deviance for most, a share for rates. p is of its own law, and allows for how the reference's windows differ">
                    Statistic
                  </th>
                </tr>
              </thead>
              <tbody>
                {statistics.map((s) => (
                  <Row
                    key={signalKey(s)}
                    statistic={s}
                    threshold={window.threshold}
                    selected={s === selected}
                    dim={props.place !== null && !samePlace(s, props.place)}
                    onSelect={() => props.onSignal(signalKey(s), s)}
                  />
                ))}
              </tbody>
            </table>
          </div>
          {selected !== null && <SignalDetail name={name} windows={windows} window={window} statistic={selected} bands={props.bands} onWindow={props.onWindow} />}
        </div>
      )}
      {statistics.length > 0 && <MovedPanel name={name} window={window} statistics={statistics} />}
    </Panel>
  );
}

/** Whether a signal's evidence reached the threshold, and the window's did not. */
const isAlone = (window: Window, statistics: Statistic[]): boolean =>
  (window.evidence ?? 0) < window.threshold && statistics.some((s) => s.sufficient && (s.evidence ?? 0) >= window.threshold);

function Row(props: {
  statistic: Statistic;
  threshold: number;
  selected: boolean;
  dim: boolean;
  onSelect: () => void;
}) {
  const s = props.statistic;
  const effect = effectSize(s);
  const ratio = logRatio(s.evidence, props.threshold);
  const level = s.sufficient && ratio !== null ? levelOf(ratio) : "unknown";
  return (
    <tr class={`${level}${props.selected ? " on" : ""}${props.dim ? " dim" : ""}`} onClick={props.onSelect}>
      <td title={placeName(s)}>
        {placeLabel(s)}
      </td>
      <th scope="row">
        <button class="link-button" aria-pressed={props.selected} data-place={placeKey(s)}>
          {words(s.signal)}
        </button>
      </th>
      <td class="number cell-strong">
        {level === "drift" && <span title="drift">◆ </span>}
        {level === "warning" && <span title="warning">▲ </span>}
        {quantity(s.evidence)}
      </td>
      <td class="bar-cell">
        <EvidenceBar evidence={s.evidence} threshold={props.threshold} />
      </td>
      <td class="number" title={effect?.measure}>
        {effect === null ? <span class="muted">–</span> : quantity(effect.value)}
        {effect !== null && <span class="unit">{effect.unit}</span>}
      </td>
      {s.sufficient ? (
        <>
          <td class="number">{probability(s.p_value, s.ln_p_value)}</td>
          <td class="number">{quantity(s.e_value)}</td>
        </>
      ) : (
        <td colSpan={2} class="muted number">
          too few records
        </td>
      )}
      <td class="number">{count(s.n)}</td>
      <td class="number">
        {s.sufficient ? quantity(s.statistic) : <span class="muted">–</span>}
        {s.sufficient && s.degrees_of_freedom !== null && <span class="muted"> / {quantity(s.degrees_of_freedom)}</span>}
      </td>
    </tr>
  );
}
