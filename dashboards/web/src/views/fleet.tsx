/** All models on one page: which drift, where most, and how near the others are. */

import { useEffect } from "preact/hooks";
import * as api from "../api/client";
import { usePoll } from "../api/poll";
import type { ModelRow, State, Status } from "../api/types";
import { count, duration, ofThreshold, percent, plural, quantity } from "../data/format";
import { labelSummary } from "../data/performance";
import { placeName } from "../data/shape";
import { shownState } from "../data/lacks";
import { fleetVerdict, silentFor, stateName } from "../data/verdict";
import { ConnectionNote } from "../parts/connection";
import { EvidenceBar } from "../parts/evidence_bar";
import { StateIcon } from "../parts/icons";
import { Empty, Panel } from "../parts/panel";
import { GuaranteeNote, LackNotes, StateBadge } from "../parts/state";
import { Time } from "../parts/time";
import { modelHref } from "../router";

const URGENCY: State[] = ["drift", "warning", "insufficient_data", "ok"];

export function Fleet() {
  const { data, failure, refresh } = usePoll("fleet", async (signal) => {
    const [models, status] = await Promise.all([api.models(signal), api.status(signal)]);
    return { models, status };
  });
  const drifting = data?.models.filter((m) => m.state === "drift").length ?? 0;
  useEffect(() => {
    document.title = drifting > 0 ? `◆ ${drifting} drifting · driftd` : "driftd";
  }, [drifting]);

  return (
    <>
      <ConnectionNote failure={failure} stale={data !== null} retry={refresh} />
      {data === null ? failure === null && <p class="loading">Reading the models …</p> : <Content {...data} />}
    </>
  );
}

function Content({ models, status }: { models: ModelRow[]; status: Status }) {
  const rows = [...models].sort(
    (a, b) => URGENCY.indexOf(shownState(a)) - URGENCY.indexOf(shownState(b)) || share(b) - share(a) || a.name.localeCompare(b.name),
  );
  const labels = useLabels(rows.map((m) => m.name));
  return (
    <>
      <div class="headline">
        <h1>{models.length === 0 ? "No model is watched yet." : fleetVerdict(models)}</h1>
        <ul class="tally" aria-label="Models by state">
          {URGENCY.map((state) => {
            const n = models.filter((m) => shownState(m) === state).length;
            return (
              n > 0 && (
                <li key={state}>
                  <StateIcon state={state} />
                  <b>{n}</b> {stateName(state).toLowerCase()}
                </li>
              )
            );
          })}
        </ul>
      </div>
      {models.length === 0 ? (
        <Empty>
          Name a model in the configuration of driftd, or start with the example that comes with it. A model appears
          here as soon as driftd knows it, before its first window has closed.
        </Empty>
      ) : (
        <table class="fleet">
          <thead>
            <tr>
              <th scope="col">Model</th>
              <th scope="col">State</th>
              <th scope="col">Strongest at</th>
              <th scope="col" class="bar-column">
                Evidence <span class="th-note">against threshold, log scale</span>
              </th>
              <th scope="col" class="number">
                Last window
              </th>
              {labels !== null && <th scope="col">Labels</th>}
              <th scope="col" class="number">
                Records
              </th>
              <th scope="col">Guarantee</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((model) => (
              <Row key={model.name} model={model} labels={labels} />
            ))}
          </tbody>
        </table>
      )}
      <Running status={status} />
    </>
  );
}

/** Of so many models it is asked how late labels come: one question each. */
const MOST_ASKED = 20;

type Labels = Map<string, ReturnType<typeof labelSummary>>;

/** Labels by model; null until something is known, and where the server knows nothing of labels. */
function useLabels(names: string[]): Labels | null {
  const asked = names.slice(0, MOST_ASKED).sort();
  const { data } = usePoll<Labels>(
    `labels ${asked.join("\n")}`,
    async (signal) => {
      const found: Labels = new Map();
      for (const name of asked) {
        const tasks = await api.performance(name, signal);
        if (tasks === null) break;
        found.set(name, labelSummary(tasks));
      }
      return found;
    },
    { repeat: false },
  );
  return data === null || data.size === 0 ? null : data;
}

function Row({ model, labels }: { model: ModelRow; labels: Labels | null }) {
  return (
    <tr class={`state-${model.state}`}>
      <th scope="row" class="cell-model">
        <a href={modelHref(model.name)}>{model.name}</a>
        <span class="version">version {model.version}</span>
      </th>
      <td class="cell-state">
        <StateBadge state={model.state} lacks={model.not_judged ?? []} />
        <LackNotes lacks={model.not_judged ?? []} brief />
      </td>
      <td class="cell-worst" data-label="Strongest at">
        {model.worst === null ? <span class="muted">–</span> : placeName(model.worst)}
      </td>
      <td class="cell-evidence">
        <EvidenceBar evidence={model.evidence} threshold={model.threshold} />
        <span class="bar-text">
          <b>{quantity(model.evidence)}</b>
          <span class="muted">
            {" of "}
            {quantity(model.threshold)}
            {model.evidence !== null && ` · ${ofThreshold(model.evidence, model.threshold)}`}
            {model.state === "drift" && share(model) < 1 && " · counted anew since the alarm"}
          </span>
        </span>
      </td>
      <td class="number" data-label="Last window">
        <LastWindow model={model} />
      </td>
      {labels !== null && (
        <td data-label="Labels">
          <LabelNote labels={labels.get(model.name)} />
        </td>
      )}
      <td class="number" data-label="Records">
        {count(model.records)}
      </td>
      <td data-label="Guarantee">
        <GuaranteeNote guarantee={model.guarantee} />
      </td>
    </tr>
  );
}

function LastWindow({ model }: { model: ModelRow }) {
  if (model.last_window_end === null) return <span class="muted">none yet</span>;
  const time = <Time at={model.last_window_end} relative />;
  const silent = silentFor(model.last_window_end, model.window_secs, new Date()) !== null;
  return silent ? <b class="warn" title="No window has ended since: no records come, or driftd is behind">▲ {time}</b> : time;
}

const LabelNote = ({ labels }: { labels: ReturnType<typeof labelSummary> | undefined }) =>
  labels == null ? (
    <span class="muted">{labels === null ? "none" : "–"}</span>
  ) : (
    <span title={`${percent(labels.coverage)} of records get a label`}>
      {labels.delay === null ? "" : `${duration(labels.delay)} late, `}
      {percent(labels.coverage)}
    </span>
  );

/** What driftd itself is doing: roles, store, partitions. */
function Running({ status }: { status: Status }) {
  return (
    <Panel title="This driftd" class="running">
      <dl class="facts">
        <div>
          <dt>Version</dt>
          <dd>{status.version}</dd>
        </div>
        <div>
          <dt>Roles</dt>
          <dd>{status.roles.join(", ")}</dd>
        </div>
        <div>
          <dt>Store</dt>
          <dd>
            {status.store.kind}, {status.store.ok ? "answers" : <b class="bad">does not answer</b>}
          </dd>
        </div>
        <div>
          <dt>Inference</dt>
          <dd>{status.inference === null ? "none here" : `${status.inference.provider} on ${status.inference.device}`}</dd>
        </div>
      </dl>
      {status.partitions.length === 0 ? (
        <Empty>No partition is being read: records arrive when a topic or a file is configured and has some.</Empty>
      ) : (
        <details>
          <summary>{plural(status.partitions.length, "partition")} being read</summary>
          <div class="scroll">
            <table class="plain">
              <thead>
                <tr>
                  <th scope="col">Topic</th>
                  <th scope="col" class="number">
                    Partition
                  </th>
                  <th scope="col" class="number">
                    Next offset
                  </th>
                  <th scope="col">Watermark</th>
                </tr>
              </thead>
              <tbody>
                {status.partitions.map((p) => (
                  <tr key={`${p.topic}/${p.partition}`}>
                    <td>{p.topic}</td>
                    <td class="number">{p.partition}</td>
                    <td class="number">{count(p.next_offset)}</td>
                    <td>{p.watermark === null ? <span class="muted">no record yet</span> : <Time at={p.watermark} />}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </details>
      )}
    </Panel>
  );
}

const share = (model: ModelRow): number => (model.evidence ?? 0) / model.threshold;
