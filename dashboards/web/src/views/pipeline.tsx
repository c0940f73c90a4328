/** Whether driftd sees everything: what became of every record, how far behind, what was lost or late. */

import { useEffect } from "preact/hooks";
import * as api from "../api/client";
import { usePoll } from "../api/poll";
import { useMay } from "../api/session";
import type { Delivery, Ledger, ModelRow, Status, Window } from "../api/types";
import { count, duration, plural } from "../data/format";
import { behind, byTopic, isSlow, ledgerVerdict, noticesOf, type TopicRow } from "../data/ledger";
import { ConnectionNote } from "../parts/connection";
import { Empty, Panel } from "../parts/panel";
import { Time } from "../parts/time";
import { modelHref } from "../router";
import { SettingsPanel } from "./settings";

/** Windows of so many models are looked at: one question each. */
const MOST_MODELS = 20;
const NEWEST = 50;

interface Loaded {
  ledger: Ledger;
  status: Status;
  stuck: Delivery[];
  models: { row: ModelRow; windows: Window[] }[];
  more: number;
}

async function load(signal: AbortSignal): Promise<Loaded> {
  const [ledger, status, deliveries, rows] = await Promise.all([
    api.ledger(signal),
    api.status(signal),
    api.deliveries(null, 200, signal),
    api.models(signal),
  ]);
  const shown = rows.slice(0, MOST_MODELS);
  const windows = await Promise.all(shown.map((row) => api.windows(row.name, NEWEST, signal)));
  return {
    ledger,
    status,
    stuck: deliveries.filter((d) => d.state !== "delivered"),
    models: shown.map((row, i) => ({ row, windows: windows[i] ?? [] })),
    more: rows.length - shown.length,
  };
}

export function Pipeline() {
  const { data, failure, refresh } = usePoll("pipeline", load);
  useEffect(() => {
    document.title = "Pipeline · driftd";
  }, []);
  return (
    <>
      <ConnectionNote failure={failure} stale={data !== null} retry={refresh} />
      {data === null ? failure === null && <p class="loading">Reading the ledger …</p> : <Content {...data} />}
    </>
  );
}

function Content({ ledger, status, stuck, models, more }: Loaded) {
  const now = Date.now();
  const topics = byTopic(ledger.partitions, now);
  const maySeeSettings = useMay("operator");
  return (
    <>
      <div class="headline">
        <h1>{ledgerVerdict(ledger, topics)}</h1>
      </div>
      <Topics topics={topics} now={now} />
      <div class="columns">
        <Losses ledger={ledger} />
        <div class="stack">
          <Held ledger={ledger} />
          <Running status={status} />
          <Stuck deliveries={stuck} />
        </div>
      </div>
      <Late models={models} more={more} now={now} />
      {maySeeSettings && <SettingsPanel />}
    </>
  );
}

const AddsUp = ({ ok }: { ok: boolean }) => (ok ? <span class="ok">✓ yes</span> : <b class="bad">✕ no</b>);

const Behind = ({ seconds, idle }: { seconds: number | null; idle: boolean }) =>
  seconds === null ? (
    <span class="muted">{idle ? "idle" : "nothing read"}</span>
  ) : isSlow(seconds) ? (
    <b class="warn">▲ {duration(seconds)}</b>
  ) : (
    <>{duration(seconds)}</>
  );

function Topics({ topics, now }: { topics: TopicRow[]; now: number }) {
  return (
    <Panel title="What became of every record" aside={<span class="muted">folded + set aside + dead letters + gaps = offsets passed</span>}>
      {topics.length === 0 ? (
        <Empty>No partition is being read: records arrive when a topic or a file is configured and has some.</Empty>
      ) : (
        <div class="scroll" tabIndex={0} role="region" aria-label="Ledger by topic and partition, table">
          <table class="plain ledger">
            <thead>
              <tr>
                <th scope="col">Topic</th>
                <th scope="col" class="number" title="Between now and the event time reached">
                  Behind
                </th>
                <th scope="col" class="number">
                  Offsets passed
                </th>
                <th scope="col" class="number" title="Counted in windows">
                  Folded
                </th>
                <th scope="col" class="number" title="Labels, other versions, too late">
                  Set aside
                </th>
                <th scope="col" class="number" title="Could not be read; kept in the dead-letter topic">
                  Dead letters
                </th>
                <th scope="col" class="number" title="Offsets without a record for us: removed by retention, compacted, markers of transactions">
                  Gaps
                </th>
                <th scope="col">Adds up</th>
              </tr>
            </thead>
            {topics.map((t) => (
              <tbody key={t.topic}>
                <tr class="total">
                  <th scope="rowgroup">{t.topic}</th>
                  <td class="number">
                    <Behind seconds={t.behind} idle={t.partitions.some((p) => p.idle_at !== null)} />
                  </td>
                  <td class="number">{count(t.passed)}</td>
                  <td class="number">{count(t.folded)}</td>
                  <td class="number">{count(t.setAside)}</td>
                  <td class={`number ${t.deadLettered > 0 ? "warn" : ""}`}>{count(t.deadLettered)}</td>
                  <td class={`number ${t.gaps > 0 ? "warn" : ""}`}>{count(t.gaps)}</td>
                  <td>
                    <AddsUp ok={t.addsUp} />
                  </td>
                </tr>
                {t.partitions.map((p) => (
                  <tr key={p.partition} class="part">
                    <th scope="row">
                      partition {p.partition}
                      {p.generation > 0 && <span class="muted"> · created anew {plural(p.generation, "time")}</span>}
                    </th>
                    <td class="number">
                      <Behind seconds={behind(p, now)} idle={p.idle_at !== null} />
                    </td>
                    <td class="number">{count(p.next_offset - p.first_offset)}</td>
                    <td class="number">{count(p.folded)}</td>
                    <td class="number">{count(p.set_aside)}</td>
                    <td class="number">{count(p.dead_lettered)}</td>
                    <td class="number">{count(p.gaps)}</td>
                    <td>
                      <AddsUp ok={p.adds_up} />
                    </td>
                  </tr>
                ))}
              </tbody>
            ))}
          </table>
        </div>
      )}
    </Panel>
  );
}

const REASONS: Record<string, string> = { retention: "Kafka had removed them", topic_recreated: "the topic was created anew" };

function Losses({ ledger }: { ledger: Ledger }) {
  return (
    <Panel title="Lost before they could be read">
      {ledger.losses.length === 0 ? (
        <Empty>Nothing was lost.</Empty>
      ) : (
        <div class="scroll" tabIndex={0} role="region" aria-label="Losses, table">
          <table class="plain">
            <thead>
              <tr>
                <th scope="col">Where</th>
                <th scope="col" class="number">
                  Records
                </th>
                <th scope="col">Why</th>
                <th scope="col" class="number">
                  Found
                </th>
              </tr>
            </thead>
            <tbody>
              {ledger.losses.map((l) => (
                <tr key={`${l.topic} ${l.partition} ${l.from_offset} ${l.found_at}`}>
                  <th scope="row">
                    {l.topic} <span class="muted">{l.partition}, from {count(l.from_offset)}</span>
                  </th>
                  <td class="number">{l.to_offset === null ? <span class="muted">nobody knows</span> : count(l.to_offset - l.from_offset)}</td>
                  <td>{REASONS[l.reason] ?? l.reason}</td>
                  <td class="number">
                    <Time at={l.found_at} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {ledger.closed.length > 0 && (
        <p class="muted small-text">
          {plural(ledger.closed.length, "ledger")} of topics that were created anew {ledger.closed.length === 1 ? "is" : "are"} kept:{" "}
          {count(ledger.closed.reduce((sum, c) => sum + c.folded, 0))} records folded, {ledger.closed.every((c) => c.adds_up) ? "all add up" : "not all add up"}.
        </p>
      )}
    </Panel>
  );
}

function Held({ ledger }: { ledger: Ledger }) {
  const { folded, judged, open, expired } = ledger.windows;
  const facts: [string, number, string][] = [
    ["Folded", folded, "over all partitions"],
    ["In judged windows", judged, ""],
    ["In open windows", open, "or windows that late records will revise"],
    ["Expired", expired, "in windows that retention removed"],
  ];
  return (
    <Panel title="Where the folded records are">
      <dl class="facts">
        {facts.map(([name, n, note]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd title={note}>{count(n)}</dd>
          </div>
        ))}
      </dl>
      {folded !== judged + open + expired && <p class="bad">These do not add up to what was folded.</p>}
    </Panel>
  );
}

const Running = ({ status }: { status: Status }) => (
  <Panel title="This driftd">
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
  </Panel>
);

function Stuck({ deliveries }: { deliveries: Delivery[] }) {
  return (
    <Panel title="Messages not delivered">
      {deliveries.length === 0 ? (
        <Empty>All of the newest messages were delivered.</Empty>
      ) : (
        <ul class="rows">
          {deliveries.slice(0, 8).map((d) => (
            <li key={d.id}>
              <b>{d.endpoint}</b> {d.event} <span class={`delivery ${d.state}`}>{d.state}</span>{" "}
              <span class="muted">
                after {plural(d.attempts, "attempt")}, <Time at={d.created_at} />
                {d.last_error !== null && `: ${d.last_error}`}
              </span>
            </li>
          ))}
          {deliveries.length > 8 && <li class="muted">and {deliveries.length - 8} more</li>}
        </ul>
      )}
    </Panel>
  );
}

/** What reports say of a part without alarming: its numbers are not the exported model's, its answers are. */
function Notices({ windows }: { windows: Window[] }) {
  const notices = noticesOf(windows);
  if (notices.length === 0) return <span class="muted">none</span>;
  return (
    <>
      {notices.map(({ part, count: n }, i) => (
        <span key={part}>
          {i > 0 && ", "}
          {part} <span class="muted">in {plural(n, "window")}</span>
        </span>
      ))}
    </>
  );
}

/** Windows by model: how old the newest is, and what came late. */
function Late({ models, more, now }: { models: Loaded["models"]; more: number; now: number }) {
  return (
    <Panel title="Windows" aside={<span class="muted">of the newest {NEWEST} of each model</span>}>
      <div class="scroll" tabIndex={0} role="region" aria-label="Windows by model, table">
        <table class="plain">
          <thead>
            <tr>
              <th scope="col">Model</th>
              <th scope="col" class="number">
                Newest ended
              </th>
              <th scope="col" class="number">
                Late records
              </th>
              <th scope="col" class="number">
                Revised
              </th>
              <th scope="col" class="number">
                Incomplete
              </th>
              <th scope="col" title="Windows in which production's numbers differ from the exported model's while its answers are the same">
                Numbers differ
              </th>
            </tr>
          </thead>
          <tbody>
            {models.map(({ row, windows }) => (
              <tr key={row.name}>
                <th scope="row">
                  <a href={modelHref(row.name)}>{row.name}</a>
                </th>
                <td class="number">
                  {row.last_window_end === null ? <span class="muted">none yet</span> : `${duration((now - Date.parse(row.last_window_end)) / 1000)} ago`}
                </td>
                <td class="number">{count(windows.reduce((sum, w) => sum + (w.late_records ?? 0), 0))}</td>
                <td class="number">{count(windows.filter((w) => w.revision > 0).length)}</td>
                <td class={`number ${windows.some((w) => w.incomplete) ? "warn" : ""}`}>{count(windows.filter((w) => w.incomplete).length)}</td>
                <td>
                  <Notices windows={windows} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {more > 0 && <p class="muted small-text">{plural(more, "model")} more are not looked at here.</p>}
    </Panel>
  );
}
