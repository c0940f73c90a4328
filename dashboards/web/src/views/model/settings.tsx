/** What the model is compared with and the settings in force. */

import type { ComponentChildren } from "preact";
import type { Model, Window } from "../../api/types";
import { count, duration, quantity, words } from "../../data/format";
import { budgetWords, windowSeconds } from "../../data/verdict";
import { Empty, Panel } from "../../parts/panel";
import { Time } from "../../parts/time";

const KINDS: Record<string, string> = {
  fixed: "fixed: learned once",
  trailing: "trailing: the windows before",
  previous_period: "the same time of the period before",
  other_version: "another version of the model",
};

export function Settings({ model, windows }: { model: Model; windows: Window[] }) {
  const { reference } = model;
  const seconds = windowSeconds(model, windows);
  const facts: [string, string][] = [
    ["Version", model.version],
    ["Window length", seconds === null ? "unknown" : duration(seconds)],
    ["False alarms allowed", budgetWords(model.budget)],
    ["Threshold", `evidence ${quantity(model.threshold)}: one false alarm in as many windows`],
    ["Warning", `from a tenth of it, ${quantity(model.threshold / 10)}`],
    ["Encoder", model.manifest.encoder.dimension === null ? "gives no embedding" : `${model.manifest.encoder.dimension} dimensions`],
    ["Inference", model.inference === null ? "none here: predictions are read" : `${model.inference.provider} on ${model.inference.device}`],
  ];
  return (
    <div class="columns">
      <div class="stack">
        <Panel title="Reference">
          {reference === null ? (
            <Empty>There is none yet, so nothing is judged. Learn one with driftd reference fit.</Empty>
          ) : (
            <dl class="pairs">
              <Pair name="Id">
                <code>{reference.id}</code>
              </Pair>
              <Pair name="Kind">{KINDS[reference.kind ?? "fixed"] ?? reference.kind}</Pair>
              <Pair name="Stored">
                <Time at={reference.created_at} />
              </Pair>
              <Pair name="Learned from">
                {count(reference.records)} records in {count(reference.windows)} windows
              </Pair>
              <Pair name="Guarantee">
                {reference.guarantee.status}: {reference.guarantee.reason}
              </Pair>
            </dl>
          )}
        </Panel>
        <Panel title="Settings in force">
          <dl class="pairs">
            {facts.map(([name, value]) => (
              <Pair key={name} name={name}>
                {value}
              </Pair>
            ))}
          </dl>
        </Panel>
      </div>
      <Panel title="Tasks" aside={<span class="muted">as the manifest names them</span>}>
        <table class="plain">
          <thead>
            <tr>
              <th scope="col">Task</th>
              <th scope="col">Kind</th>
              <th scope="col" class="number">
                Classes
              </th>
            </tr>
          </thead>
          <tbody>
            {model.manifest.tasks.map((t) => (
              <tr key={t.name}>
                <th scope="row">{t.name}</th>
                <td>{words(t.kind)}</td>
                <td class="number">{t.kind === "regression" ? <span class="muted">–</span> : count(t.classes)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Panel>
    </div>
  );
}

const Pair = ({ name, children }: { name: string; children: ComponentChildren }) => (
  <div>
    <dt>{name}</dt>
    <dd>{children}</dd>
  </div>
);
