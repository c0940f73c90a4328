/** The statistics of the window in which the alert fired or last grew, the strongest first, by what the cause says of them. */

import { useState } from "preact/hooks";
import type { DatedStatistic } from "../../api/types";
import { count, interval, plural, probability, quantity, words } from "../../data/format";
import { byLabels, explain } from "../../data/incident";
import { levelOf, logRatio } from "../../data/scale";
import { effectSize, placeKey, placeLabel, placeName, signalKey } from "../../data/shape";
import { causeName } from "../../data/verdict";
import { EvidenceBar } from "../../parts/evidence_bar";
import { Empty, Panel } from "../../parts/panel";
import { modelHref } from "../../router";
import type { Incident } from "./load";

/** So many rows of a group are shown before the reader asks for all. */
const FEW = 8;

export function Evidence({ incident }: { incident: Incident }) {
  const { alert, statistics } = incident;
  const first = statistics[0];
  if (first === undefined) {
    return (
      <Panel title="Evidence">
        <Empty>The statistics of its window are not kept any more, or were not read.</Empty>
      </Panel>
    );
  }
  const { cause, follows, open, quiet } = explain(alert, statistics, alert.threshold);
  const mixed = alert.cause.kind === "undetermined";
  const labels = byLabels(alert);
  const group = (title: string, note: string, rows: DatedStatistic[]) =>
    rows.length > 0 && <Group key={title} title={title} note={note} rows={rows} incident={incident} />;
  return (
    <Panel
      title="Evidence"
      class="evidence"
      aside={<span class="muted">window {interval(new Date(first.window_start), new Date(first.window_end), new Date())}</span>}
    >
      <div class="scroll" tabIndex={0} role="region" aria-label="Evidence by strength, table">
        <table class="statistics incident-evidence">
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
              <th scope="col" class="number" title="Probability of a difference at least this large, in this window alone">
                p
              </th>
              <th scope="col" class="number">
                Effect
              </th>
              <th scope="col" class="number" title="Units judged: records, labels or tokens">
                n
              </th>
            </tr>
          </thead>
          {labels !== null && (
            <tbody>
              <tr class="group">
                <th colSpan={7} scope="rowgroup">
                  The alert rests on <span class="muted">what labels prove</span>
                </th>
              </tr>
              <tr class="drift">
                <td>{labels.task}</td>
                <th scope="row">
                  <a href={modelHref(alert.model, { task: labels.task }, "performance")}>labels</a>
                </th>
                <td class="number cell-strong">
                  <span title="drift">◆ </span>
                  {quantity(labels.evidence)}
                </td>
                <td class="bar-cell">
                  <EvidenceBar evidence={labels.evidence} threshold={alert.threshold} />
                </td>
                <td colSpan={3} class="muted">
                  bets on each label as it comes
                </td>
              </tr>
            </tbody>
          )}
          {group("The alert rests on", `and so names ${causeName(alert)}`, cause)}
          {group("Explained by it", "moved with it, or after it", follows)}
          {group(mixed ? "Moved" : "Not explained by it", mixed ? "" : "moved too, and may have a cause of its own", open)}
        </table>
      </div>
      <p class="muted small-text">{quiet > 0 && `${plural(quiet, "statistic")} more ${quiet === 1 ? "is" : "are"} quiet: below a tenth of the threshold.`}</p>
    </Panel>
  );
}

function Group(props: { title: string; note: string; rows: DatedStatistic[]; incident: Incident }) {
  const { alert, start } = props.incident;
  const [all, setAll] = useState(false);
  const rows = all ? props.rows : props.rows.slice(0, FEW);
  return (
    <tbody>
      <tr class="group">
        <th colSpan={7} scope="rowgroup">
          {props.title} {props.note !== "" && <span class="muted">{props.note}</span>}
        </th>
      </tr>
      {rows.map((s) => {
        const ratio = logRatio(s.evidence, alert.threshold);
        const level = ratio === null ? "unknown" : levelOf(ratio);
        const effect = effectSize(s);
        return (
          <tr key={signalKey(s)} class={level}>
            <td title={placeName(s)}>{placeLabel(s)}</td>
            <th scope="row">
              <a href={modelHref(alert.model, { window: start, signal: signalKey(s), part: placeKey(s), at: "distribution" })}>{words(s.signal)}</a>
            </th>
            <td class="number cell-strong">
              {level === "drift" && <span title="drift">◆ </span>}
              {level === "warning" && <span title="warning">▲ </span>}
              {quantity(s.evidence)}
            </td>
            <td class="bar-cell">
              <EvidenceBar evidence={s.evidence} threshold={alert.threshold} />
            </td>
            <td class="number">{s.sufficient ? probability(s.p_value, s.ln_p_value) : <span class="muted">too few</span>}</td>
            <td class="number" title={effect?.measure}>
              {effect === null ? (
                <span class="muted">–</span>
              ) : (
                <>
                  {quantity(effect.value)}
                  <span class="unit">{effect.unit}</span>
                </>
              )}
            </td>
            <td class="number">{count(s.n)}</td>
          </tr>
        );
      })}
      {props.rows.length > FEW && (
        <tr>
          <td colSpan={7}>
            <button class="link-button small-text" aria-expanded={all} onClick={() => setAll(!all)}>
              {all ? `Show the strongest ${FEW}` : `Show all ${props.rows.length}`}
              <span class="hidden"> of: {props.title}</span>
            </button>
          </td>
        </tr>
      )}
    </tbody>
  );
}
