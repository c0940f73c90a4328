/** The candidate that answers a sample of the live inputs beside the model, task by task. */

import * as api from "../../api/client";
import { usePoll } from "../../api/poll";
import type { Shadow, ShadowTask } from "../../api/types";
import { count, percent, words } from "../../data/format";
import { asked, difference, shadowVerdict, VERDICT_WORDS } from "../../data/shadow";
import { ConnectionNote } from "../../parts/connection";
import { Panel } from "../../parts/panel";
import { Time } from "../../parts/time";

export function Candidate({ name }: { name: string }) {
  const { data, failure, refresh } = usePoll(`shadow ${name}`, async (signal) => ({ shadow: await api.shadow(name, signal) }), { model: name });
  if (data === null) return failure === null ? null : <ConnectionNote failure={failure} stale={false} retry={refresh} />;
  return data.shadow === null ? null : <Report shadow={data.shadow} />;
}

function Report({ shadow }: { shadow: Shadow }) {
  return (
    <Panel
      title="Candidate in shadow"
      aside={
        <span class="muted">
          since <Time at={shadow.begun_at} />, last heard <Time at={shadow.updated_at} relative />
        </span>
      }
    >
      <p class="verdict-small">{shadowVerdict(shadow)}</p>
      <div class="scroll" tabIndex={0} role="region" aria-label="Candidate by task, table">
        <table class="plain performance">
          <thead>
            <tr>
              <th scope="col">Task</th>
              <th scope="col">Asked of it</th>
              <th scope="col" class="number">
                Answers otherwise
              </th>
              <th scope="col" class="number">
                Now
              </th>
              <th scope="col" class="number">
                Candidate
              </th>
              <th scope="col" class="number">
                Points of difference
              </th>
              <th scope="col" class="number">
                Labels
              </th>
              <th scope="col">Verdict</th>
            </tr>
          </thead>
          <tbody>
            {shadow.report.tasks.map((task) => (
              <Row key={task.task} task={task} />
            ))}
          </tbody>
        </table>
      </div>
      <p class="muted">Bounds hold however often one looks. Promoting a version stays with your registry.</p>
    </Panel>
  );
}

function Row({ task }: { task: ShadowTask }) {
  const score = (value: number | null | undefined) => (value == null ? <span class="muted">–</span> : percent(value));
  return (
    <tr>
      <th scope="row">{task.task}</th>
      <td>
        {asked(task)} <span class="muted">{words(task.metric)}</span>
      </td>
      <td class="number">{task.answers == null || task.answers.compared === 0 ? <span class="muted">–</span> : percent(task.answers.differ)}</td>
      <td class="number">{score(task.baseline)}</td>
      <td class="number">{score(task.candidate)}</td>
      <td class="number">{difference(task)}</td>
      <td class="number">{count(task.labelled)}</td>
      <td class={task.verdict === "fail" ? "bad" : task.verdict === "undecided" ? "muted" : ""} title={task.reasons.map((r) => r.text).join(" ")}>
        {task.verdict === "fail" && "◆ "}
        {VERDICT_WORDS[task.verdict]}
      </td>
    </tr>
  );
}
