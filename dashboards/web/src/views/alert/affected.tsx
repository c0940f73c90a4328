/** Every task of the model: whether the drift reaches it, and whether that does harm. */

import type { TaskPerformance } from "../../api/types";
import { percent, quantity } from "../../data/format";
import { HARM_WORDS, harmLevel, isMuted, latestEstimate, latestRealised } from "../../data/performance";
import { byEvidence } from "../../data/shape";
import { EvidenceBar } from "../../parts/evidence_bar";
import { Panel } from "../../parts/panel";
import { modelHref } from "../../router";
import type { Incident } from "./load";

export function Affected({ incident }: { incident: Incident }) {
  const { alert, model, statistics, performance } = incident;
  if (model === null) return null;
  const affected = (task: string): boolean => alert.cause.tasks_affected.includes(task);
  const tasks = [...model.manifest.tasks].sort((a, b) => Number(affected(b.name)) - Number(affected(a.name)));
  return (
    <Panel title="Tasks" aside={<span class="muted">{alert.cause.tasks_affected.length} of {tasks.length} affected</span>}>
      <div class="scroll" tabIndex={0} role="region" aria-label="Tasks, table">
        <table class="plain tasks">
          <thead>
            <tr>
              <th scope="col">Task</th>
              <th scope="col">Affected</th>
              <th scope="col" class="number">
                Strongest
              </th>
              <th scope="col">
                <span class="hidden">Evidence against threshold</span>
              </th>
              <th scope="col">Accuracy now</th>
              <th scope="col">Harm now</th>
            </tr>
          </thead>
          <tbody>
            {tasks.map(({ name }) => {
              const strongest = byEvidence(statistics.filter((s) => s.scope === "head" && s.task === name && !s.segment))[0]?.evidence ?? null;
              return (
                <tr key={name}>
                  <th scope="row">
                    <a href={modelHref(alert.model, { task: name }, "performance")}>{name}</a>
                  </th>
                  <td>{affected(name) ? <b class="bad">◆ yes</b> : <span class="muted">no</span>}</td>
                  <td class="number">{quantity(strongest)}</td>
                  <td class="bar-cell">
                    <EvidenceBar evidence={strongest} threshold={alert.threshold} />
                  </td>
                  <Harm performance={performance?.find((p) => p.task === name) ?? null} />
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}

function Harm({ performance }: { performance: TaskPerformance | null }) {
  if (performance === null) return <td colSpan={2} class="muted">not measured</td>;
  const realised = latestRealised(performance.points);
  const estimate = latestEstimate(performance.points);
  const level = harmLevel(performance.harm);
  return (
    <>
      <td>
        {realised !== null ? (
          <>
            {percent(realised.realised ?? Number.NaN)} <span class="muted">by labels</span>
          </>
        ) : estimate !== null ? (
          <>
            {percent(estimate.estimate ?? Number.NaN)} <span class="muted">{isMuted(performance) ? "estimate, muted" : "estimated"}</span>
          </>
        ) : (
          <span class="muted">–</span>
        )}
      </td>
      <td class={level === "harm" ? "bad" : "muted"}>
        {level === "harm" && "◆ "}
        {HARM_WORDS[level]}
      </td>
    </>
  );
}
