/** One signal: its effect, how its cells stand to the reference, and its evidence over time. */

import { useMemo, useRef, useState } from "preact/hooks";
import * as api from "../../api/client";
import { usePoll } from "../../api/poll";
import { ChartFrame } from "../../charts/frame";
import { type Band, LineChart } from "../../charts/line";
import { SeriesChart } from "../../charts/series";
import type { DatedStatistic, Statistic, Window } from "../../api/types";
import { count, interval, quantity, words } from "../../data/format";
import { EFFECTS, effectSize, forward, placeName, signalKey } from "../../data/shape";
import { Empty } from "../../parts/panel";
import { Distribution } from "./distribution";

const MOST = 500;

export function SignalDetail(props: {
  name: string;
  windows: Window[];
  window: Window;
  statistic: Statistic;
  /** When alerts were open. */
  bands: Band[];
  onWindow: (start: string) => void;
}) {
  const { statistic } = props;
  return (
    <section class="signal" aria-label={`Signal ${words(statistic.signal)} of ${placeName(statistic)}`}>
      <h3 class="signal-name">
        {words(statistic.signal)} <span class="muted">of {placeName(statistic)}</span>
      </h3>
      {statistic.guarantee === "broken" && (
        <p class="muted">
          The false-alarm budget is not promised for this signal: the reference's own windows break its premises.
        </p>
      )}
      <Effects statistic={statistic} />
      <Distribution name={props.name} start={props.window.start} statistic={statistic} />
      <History {...props} />
    </section>
  );
}

function Effects({ statistic }: { statistic: Statistic }) {
  const effect = statistic.effect;
  if (effect === null) return null;
  const order = Object.keys(EFFECTS);
  const measures: [string, number][] = Object.entries(effect)
    .sort(([a], [b]) => order.indexOf(a) - order.indexOf(b))
    .map(([name, value]) => [EFFECTS[name]?.title ?? name, value * (EFFECTS[name]?.times ?? 1)]);
  return (
    <dl class="effects">
      {measures.map(([measure, value]) => (
        <div key={measure}>
          <dt>{measure}</dt>
          <dd>{quantity(value)}</dd>
        </div>
      ))}
    </dl>
  );
}

/** The signal's evidence in every window. */
function History(props: { name: string; windows: Window[]; window: Window; statistic: Statistic; bands: Band[]; onWindow: (start: string) => void }) {
  const { name, windows, statistic } = props;
  const [hover, setHover] = useState<number | null>(null);
  const newest = windows.at(-1);
  const key = signalKey(statistic);
  const { data } = usePoll(
    `${name}|${key}|${newest?.start ?? ""}|${newest?.revision ?? 0}`,
    (signal) => api.signalHistory(name, statistic, statistic.signal, MOST, signal),
    { repeat: false },
  );
  const last = useRef<{ key: string; rows: DatedStatistic[] } | null>(null);
  if (data !== null) last.current = { key, rows: forward(data) };
  const rows = last.current?.key === key ? last.current.rows : null;

  const threshold = props.window.threshold;
  const line = useMemo(() => (rows ?? []).map((r) => ({ at: middle(r), evidence: r.evidence, threshold })), [rows, threshold]);
  const first = rows?.[0];
  const end = rows?.at(-1);
  const shown = rows?.[hover ?? -1];
  if (rows === null) return <p class="loading">Reading the history …</p>;
  if (first === undefined || end === undefined) return <Empty>No history is kept for this signal.</Empty>;
  const selected = rows.findIndex((r) => r.window_start === props.window.start);
  const range: [number, number] = [Date.parse(first.window_start) / 1000, Date.parse(end.window_end) / 1000];
  const judged = [{ name: "judged", points: rows.map((r) => ({ at: middle(r), value: r.n, low: 0, high: r.n })) }];
  return (
    <>
      <ChartFrame
        id="history"
        title="History"
        note={
          shown === undefined ? (
            <>evidence of this signal</>
          ) : (
            <>
              {interval(new Date(shown.window_start), new Date(shown.window_end), new Date())} <b>{quantity(shown.evidence)}</b> · n {count(shown.n)}
            </>
          )
        }
        table={() => <HistoryTable rows={rows} />}
      >
        <LineChart
          label={`Evidence of ${words(statistic.signal)} of ${placeName(statistic)} in ${rows.length} windows.`}
          points={line}
          bands={props.bands}
          range={range}
          height={130}
          gutter={48}
          hover={hover}
          selected={selected < 0 ? null : selected}
          onHover={setHover}
          onSelect={(index) => {
            const row = rows[index];
            if (row !== undefined) props.onWindow(row.window_start);
          }}
        />
      </ChartFrame>
      <ChartFrame id="judged" title="Judged" note="records, labels or tokens in each window" table={() => <HistoryTable rows={rows} />}>
        <SeriesChart
          label={`How much of ${words(statistic.signal)} of ${placeName(statistic)} was judged in ${rows.length} windows.`}
          series={judged}
          range={range}
          limits={[0, Math.max(1, ...rows.map((r) => r.n)) * 1.1]}
          height={84}
          gutter={48}
          text={count}
          hover={hover}
          onHover={setHover}
        />
      </ChartFrame>
    </>
  );
}

function HistoryTable({ rows }: { rows: DatedStatistic[] }) {
  const now = new Date();
  return (
    <table class="plain">
      <thead>
        <tr>
          <th scope="col">Window</th>
          <th scope="col" class="number">
            Evidence
          </th>
          <th scope="col" class="number">
            Effect
          </th>
          <th scope="col" class="number">
            n
          </th>
        </tr>
      </thead>
      <tbody>
        {rows.toReversed().map((row) => (
          <tr key={row.window_start}>
            <th scope="row">{interval(new Date(row.window_start), new Date(row.window_end), now)}</th>
            <td class="number">{quantity(row.evidence)}</td>
            <td class="number">{quantity(effectSize(row)?.value)}</td>
            <td class="number">{count(row.n)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const middle = (row: DatedStatistic): number => (Date.parse(row.window_start) + Date.parse(row.window_end)) / 2000;
