/** How well each task does: what is estimated without labels, what labels show, and whether drift does harm. */

import { useState } from "preact/hooks";
import * as api from "../../api/client";
import { usePoll } from "../../api/poll";
import type { Figure, LabelPerformance, PerformancePoint, TaskPerformance } from "../../api/types";
import { ChartFrame } from "../../charts/frame";
import { SeriesChart } from "../../charts/series";
import { useWidth } from "../../charts/width";
import { count, interval, percent, quantity, words } from "../../data/format";
import { byLoss, calibration, HARM_WORDS, harmLevel, isMuted, labelWords, latestEstimate, latestRealised, notices, performanceVerdict, span } from "../../data/performance";
import { valueTicks } from "../../data/ticks";
import { ConnectionNote } from "../../parts/connection";
import { Empty, Panel } from "../../parts/panel";
import { modelHref } from "../../router";

export function Performance({ name, task }: { name: string; task: string | null }) {
  const { data, failure, refresh } = usePoll(`performance ${name}`, async (signal) => ({ tasks: await api.performance(name, signal) }), { model: name });
  if (data === null) {
    return failure !== null ? <ConnectionNote failure={failure} stale={false} retry={refresh} /> : <p class="loading">Reading the performance …</p>;
  }
  if (data.tasks === null || data.tasks.length === 0) {
    return (
      <Panel title="Performance">
        <Empty>Nothing is measured: performance needs a reference with calibrated heads, or labels.</Empty>
      </Panel>
    );
  }
  const harmed = (t: TaskPerformance): number => ["harm", "none", "unsure"].indexOf(harmLevel(t.harm));
  const tasks = [...data.tasks].sort((a, b) => harmed(a) - harmed(b));
  const selected = tasks.find((t) => t.task === task) ?? tasks[0];
  return (
    <>
      <ConnectionNote failure={failure} stale retry={refresh} />
      <Panel title="Performance by task" aside={<span class="muted">newest point of each</span>}>
        <Summary name={name} tasks={tasks} selected={selected?.task ?? ""} />
      </Panel>
      {selected !== undefined && <TaskPanel key={selected.task} task={selected} />}
    </>
  );
}

function Summary({ name, tasks, selected }: { name: string; tasks: TaskPerformance[]; selected: string }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Performance by task, table">
      <table class="plain performance">
        <thead>
          <tr>
            <th scope="col">Task</th>
            <th scope="col">Measured as</th>
            <th scope="col" class="number">
              Estimated
            </th>
            <th scope="col" class="number">
              By labels
            </th>
            <th scope="col">Labels</th>
            <th scope="col">Harm</th>
          </tr>
        </thead>
        <tbody>
          {tasks.map((t) => {
            const [estimate, realised] = [latestEstimate(t.points), latestRealised(t.points)];
            const harm = harmLevel(t.harm);
            return (
              <tr key={t.task} class={t.task === selected ? "on" : ""}>
                <th scope="row">
                  <a href={modelHref(name, { task: t.task }, "performance")} aria-current={t.task === selected ? "true" : undefined}>
                    {t.task}
                  </a>
                </th>
                <td>{words(t.metric)}</td>
                <td class="number">
                  {estimate?.estimate == null ? (
                    <span class="muted">–</span>
                  ) : isMuted(t) ? (
                    <span class="muted" title="Labels contradict the estimate: it does not count">
                      <s>{percent(estimate.estimate)}</s> muted
                    </span>
                  ) : (
                    percent(estimate.estimate)
                  )}
                </td>
                <td class="number">
                  {realised?.realised == null ? (
                    <span class="muted">none yet</span>
                  ) : (
                    <>
                      <b>{percent(realised.realised)}</b> <span class="muted">{between(realised.realised_low, realised.realised_high)}</span>
                    </>
                  )}
                </td>
                <td>{labelWords(t)}</td>
                <td class={harm === "harm" ? "bad" : "muted"} title={t.harm?.evidence_ratio == null ? undefined : `evidence of harm ${quantity(t.harm.evidence_ratio)} of its threshold`}>
                  {harm === "harm" && "◆ "}
                  {HARM_WORDS[harm]}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function TaskPanel({ task }: { task: TaskPerformance }) {
  const [hover, setHover] = useState<number | null>(null);
  const { points } = task;
  const first = points[0];
  const end = points.at(-1);
  const shown = points[hover ?? -1];
  if (first === undefined || end === undefined) {
    return (
      <Panel title={<>Task <span class="strong">{task.task}</span></>}>
        <Empty>No window of this task has been measured yet.</Empty>
      </Panel>
    );
  }
  const limits = span(points.flatMap((p) => [p.estimate, p.estimate_low, p.estimate_high, p.realised, p.realised_low, p.realised_high]));
  const series = [
    { name: "estimate", points: points.map((p) => ({ at: middle(p), value: p.estimate, low: p.estimate_low, high: p.estimate_high, muted: p.muted })) },
    { name: "realised", points: points.map((p) => ({ at: middle(p), value: p.realised, low: p.realised_low, high: p.realised_high })) },
  ];
  const coverage = [{ name: "coverage", points: points.map((p) => ({ at: middle(p), value: p.n === 0 ? null : p.labelled / p.n, low: 0, high: p.n === 0 ? null : p.labelled / p.n })) }];
  const range: [number, number] = [Date.parse(first.start) / 1000, Date.parse(end.end) / 1000];
  const table = () => <PointTable points={points} />;
  return (
    <Panel class="task-performance" title={<>Task <span class="strong">{task.task}</span></>}>
      <p class="verdict-small">{performanceVerdict(task)}</p>
      {notices(task).map((notice) => (
        <p key={notice} class="bad">
          {notice}
        </p>
      ))}
      <p class="readout" aria-live={shown === undefined ? "off" : "polite"}>
        {shown === undefined ? (
          <span class="muted">Estimates are there at once; labels come {task.label_delay === null ? "if at all" : "later"}, so that the newest points have fewer.</span>
        ) : (
          <>
            <b>{interval(new Date(shown.start), new Date(shown.end), new Date())}</b>
            <span>
              estimated <b>{shown.estimate === null ? "–" : percent(shown.estimate)}</b> <span class="muted">{between(shown.estimate_low, shown.estimate_high)}</span>
              {shown.muted && " muted"}
            </span>
            <span>
              by labels <b>{shown.realised === null ? "–" : percent(shown.realised)}</b> <span class="muted">{between(shown.realised_low, shown.realised_high)}</span>
            </span>
            <span class="muted">
              {count(shown.labelled)} of {count(shown.n)} labelled
            </span>
          </>
        )}
      </p>
      <div class="performance-grid">
        <div>
          <ChartFrame
            id="performance"
            title={`${words(task.metric)} over time`}
            note={
              <ul class="legend">
                <li>
                  <i class="key line estimate" /> estimated
                </li>
                <li>
                  <i class="key line realised" /> by labels, 95 % interval
                </li>
                {points.some((p) => p.muted) && (
                  <li>
                    <i class="key hollow" /> estimate muted
                  </li>
                )}
              </ul>
            }
            table={table}
          >
            <SeriesChart label={`${words(task.metric)} of ${task.task} in ${points.length} points.`} series={series} range={range} limits={limits} height={200} gutter={56} text={percent} hover={hover} onHover={setHover} />
          </ChartFrame>
          <ChartFrame id="coverage" title="Label coverage" note="share of records with a label so far" table={table}>
            <SeriesChart label={`Share of records with a label in ${points.length} points.`} series={coverage} range={range} limits={[0, Math.max(0.05, ...points.map((p) => (p.n === 0 ? 0 : p.labelled / p.n))) * 1.1]} height={90} gutter={56} text={percent} hover={hover} onHover={setHover} />
          </ChartFrame>
        </div>
        <ChartFrame id="calibration" title="Calibration" note="estimate against labels; on the line both agree" table={table}>
          <Calibration points={points} limits={limits} hovered={shown} />
        </ChartFrame>
      </div>
      {task.labels.length > 0 && <LabelTable labels={task.labels} one={task.metric === "label_accuracy" ? "Label" : "Class"} />}
    </Panel>
  );
}

/** Rows of the table of labels or classes at most. */
const MOST_LABELS = 60;

/** Each label of a multi-label head, or each class, those that lost most first. */
function LabelTable({ labels, one }: { labels: LabelPerformance[]; one: "Label" | "Class" }) {
  const by = `${one} by ${one.toLowerCase()}`;
  const rest = labels.length - MOST_LABELS;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={`${by}, table`}>
      <table class="plain">
        <caption>
          {by}, over the windows shown; what lost most comes first{rest > 0 && `, and ${count(rest)} that lost less are left out`}
        </caption>
        <thead>
          <tr>
            <th scope="col">{one}</th>
            {["F1 in the reference", "estimated", "by labels", "precision", "recall", "records with it"].map((head) => (
              <th key={head} scope="col" class="number">
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {byLoss(labels).slice(0, MOST_LABELS).map((l) => (
            <tr key={l.label}>
              <th scope="row">{l.label}</th>
              <td class="number">{figure(l.reference.f1)}</td>
              <td class="number">{figure(l.estimated?.f1)}</td>
              <td class="number">{figure(l.realised?.f1)}</td>
              <td class="number">{figure(l.realised?.precision)}</td>
              <td class="number">{figure(l.realised?.recall)}</td>
              <td class="number">{l.realised === null ? "–" : count(l.realised.support)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const figure = (told: Figure | null | undefined): string => (told == null ? "–" : `${percent(told.value)} ${between(told.low, told.high)}`);

const SIZE = 240;
const GUTTER = 52;

function Calibration({ points, limits, hovered }: { points: PerformancePoint[]; limits: [number, number]; hovered: PerformancePoint | undefined }) {
  const { ref, width } = useWidth<HTMLDivElement>();
  const known = calibration(points);
  const side = Math.min(width - GUTTER - 12, SIZE);
  const at = (value: number): number => ((value - limits[0]) / Math.max(1e-9, limits[1] - limits[0])) * side;
  const x = (value: number): number => GUTTER + at(value);
  const y = (value: number): number => 8 + side - at(value);
  return (
    <div ref={ref} class="calibration">
      {known.length === 0 ? (
        <Empty>No point has both an estimate and labels yet.</Empty>
      ) : (
        width > 0 && (
          <svg width={width} height={side + 44} role="img" aria-label={`${known.length} points; ${known.filter((k) => k.realised < k.estimate).length} of them lie below the line, where labels show less than was estimated.`}>
            {valueTicks(...limits, 5).map((value) => (
              <g key={value}>
                <line class="grid" x1={x(limits[0])} x2={x(limits[1])} y1={y(value)} y2={y(value)} />
                <text class="tick" x={GUTTER - 8} y={y(value) + 4} text-anchor="end">
                  {percent(value)}
                </text>
                <text class="tick" x={x(value)} y={side + 24} text-anchor="middle">
                  {(value * 100).toFixed(0)}
                </text>
              </g>
            ))}
            <line class="diagonal" x1={x(limits[0])} y1={y(limits[0])} x2={x(limits[1])} y2={y(limits[1])} />
            {known.map(({ estimate, realised, point }) => (
              <g key={point.start} class={`series realised ${point === hovered ? "hovered" : ""}`}>
                {point.realised_low !== null && point.realised_high !== null && (
                  <line class="whisker" x1={x(estimate)} x2={x(estimate)} y1={y(point.realised_low)} y2={y(point.realised_high)} />
                )}
                <circle class={point.muted ? "point muted-point" : "point"} cx={x(estimate)} cy={y(realised)} r={point === hovered ? 5 : 3} />
              </g>
            ))}
            <text class="tick" x={GUTTER + side / 2} y={side + 40} text-anchor="middle">
              estimated, %
            </text>
          </svg>
        )
      )}
    </div>
  );
}

function PointTable({ points }: { points: PerformancePoint[] }) {
  const now = new Date();
  return (
    <table class="plain">
      <thead>
        <tr>
          <th scope="col">Time</th>
          <th scope="col" class="number">
            Estimated
          </th>
          <th scope="col" class="number">
            By labels
          </th>
          <th scope="col" class="number">
            Labelled
          </th>
        </tr>
      </thead>
      <tbody>
        {points.toReversed().map((p) => (
          <tr key={p.start}>
            <th scope="row">{interval(new Date(p.start), new Date(p.end), now)}</th>
            <td class="number">
              {p.estimate === null ? "–" : percent(p.estimate)} {between(p.estimate_low, p.estimate_high)} {p.muted && "muted"}
            </td>
            <td class="number">
              {p.realised === null ? "–" : percent(p.realised)} {between(p.realised_low, p.realised_high)}
            </td>
            <td class="number">
              {count(p.labelled)} of {count(p.n)}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const between = (low: number | null, high: number | null): string => (low === null || high === null ? "" : `(${percent(low)} to ${percent(high)})`);

const middle = (p: PerformancePoint): number => (Date.parse(p.start) + Date.parse(p.end)) / 2000;
