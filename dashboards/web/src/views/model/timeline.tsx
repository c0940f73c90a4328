/** Evidence over time above the heatmap of the parts, on one time axis. */

import { useMemo, useState } from "preact/hooks";
import { type Cell, Heatmap } from "../../charts/heatmap";
import { ChartFrame } from "../../charts/frame";
import { type Band, LineChart } from "../../charts/line";
import { useWidth } from "../../charts/width";
import type { Alert, Place, Window } from "../../api/types";
import { count, interval, ofThreshold, quantity } from "../../data/format";
import { judgedIn, shownName, shownState } from "../../data/lacks";
import { heatColour } from "../../data/scale";
import { firedAt, type Heat, placeKey, placeLabel, placeName } from "../../data/shape";
import { StateIcon } from "../../parts/icons";
import { Panel } from "../../parts/panel";
import { useTheme } from "../../theme";

const RANGES = [48, 144, 500];

export function Timeline(props: {
  heat: Heat;
  alerts: Alert[];
  shown: Window | null;
  place: Place | null;
  /** How many windows are shown; null leaves it to the room there is. */
  range: number | null;
  onSelect: (start: string, place?: Place | null) => void;
  onRange: (windows: number) => void;
}) {
  const most = RANGES.find((n) => n === props.range) ?? RANGES[innerWidth < 640 ? 0 : 1] ?? 48;
  const [hover, setHover] = useState<Cell | null>(null);
  const { ref, width } = useWidth<HTMLDivElement>();
  // Labels get more room where there is more.
  const gutter = width > 700 ? 132 : 84;

  const heat = useMemo(() => newest(props.heat, most), [props.heat, most]);
  const { windows } = heat;
  const points = useMemo(
    () => windows.map((w) => ({ at: middle(w), evidence: w.evidence, threshold: w.threshold })),
    [windows],
  );
  const bands = useMemo(() => props.alerts.map(bandOf), [props.alerts]);
  const range: [number, number] = [seconds(windows[0]?.start), seconds(windows.at(-1)?.end)];
  const selectedIndex = windows.findIndex((w) => w.start === props.shown?.start);
  const selected = selectedIndex < 0 ? null : selectedIndex;
  const pick = (cell: Cell): void => {
    const window = windows[cell.column];
    const place = cell.row === null ? undefined : heat.places[cell.row];
    if (window !== undefined) props.onSelect(window.start, place ?? null);
  };
  const available = RANGES.filter((_, i) => i === 0 || props.heat.windows.length > (RANGES[i - 1] ?? 0));

  return (
    <Panel
      title="Timeline"
      class="timeline"
      aside={
        available.length > 1 && (
          <div class="segments" role="group" aria-label="Windows shown">
            {available.map((n) => (
              <button key={n} aria-pressed={most === n} onClick={() => props.onRange(n)}>
                {n >= props.heat.windows.length ? "All" : n}
                <span class="hidden"> windows</span>
              </button>
            ))}
          </div>
        )
      }
    >
      <Readout heat={heat} cell={hover ?? (selected === null ? null : { column: selected, row: rowOf(heat, props.place) })} hovering={hover !== null} />
      <div ref={ref}>
        <ChartFrame
          id="timeline"
          title="Evidence"
          note={<EvidenceLegend alerts={props.alerts.length > 0} />}
          table={() => <EvidenceTable windows={windows} />}
        >
          <LineChart
            label={`Evidence of the model in ${windows.length} windows, against its threshold.`}
            points={points}
            bands={bands}
            range={range}
            height={190}
            gutter={gutter}
            hover={hover?.column ?? null}
            selected={selected}
            onHover={(column) => setHover(column === null ? null : { column, row: null })}
            onSelect={(column) => pick({ column, row: null })}
          />
        </ChartFrame>
        <ChartFrame id="parts" title="By part" note={<HeatLegend />} table={() => <HeatTable heat={heat} />}>
          <Heatmap
            label={`Evidence of ${heat.places.length} parts in ${windows.length} windows.`}
            heat={heat}
            range={range}
            gutter={gutter}
            hover={hover}
            selected={selected}
            marked={props.place}
            onHover={setHover}
            onSelect={pick}
          />
        </ChartFrame>
      </div>
    </Panel>
  );
}

/** What is under the cursor, or else the selected window, in words. */
function Readout({ heat, cell, hovering }: { heat: Heat; cell: Cell | null; hovering: boolean }) {
  const window = cell === null ? undefined : heat.windows[cell.column];
  if (cell === null || window === undefined) return <p class="readout" />;
  const place = cell.row === null ? undefined : heat.places[cell.row];
  const evidence = cell.row === null ? window.evidence : (heat.evidence[cell.row]?.[cell.column] ?? null);
  return (
    <p class={`readout ${hovering ? "" : "resting"}`} aria-live={hovering ? "polite" : "off"}>
      <b>{interval(new Date(window.start), new Date(window.end), new Date())}</b>
      <span class="readout-state">
        <StateIcon state={shownState(judgedIn(window))} size={12} /> {shownName(judgedIn(window))}
      </span>
      <span>
        {place === undefined ? "model" : placeName(place)} <b>{quantity(evidence)}</b>
        <span class="muted">
          {" "}
          · {ofThreshold(evidence, window.threshold)} of {quantity(window.threshold)}
        </span>
      </span>
      <span class="muted">{count(window.records)} records</span>
      {!hovering && <span class="muted">selected</span>}
    </p>
  );
}

const EvidenceLegend = ({ alerts }: { alerts: boolean }) => (
  <ul class="legend">
    <li>
      <i class="key line" /> evidence
    </li>
    <li>
      <i class="key dash" /> threshold
    </li>
    {alerts && (
      <li>
        <i class="key band" /> ◆ alert firing
      </li>
    )}
  </ul>
);

function HeatLegend() {
  const theme = useTheme();
  const swatches: [string, number[]][] = [
    ["quiet", [-4, -3, -2, -1.2]],
    ["warning from 10 %", [-0.9, -0.4]],
    ["◆ drift from 100 %", [0, 1.5, 4]],
  ];
  return (
    <ul class="legend">
      {swatches.map(([name, ratios]) => (
        <li key={name}>
          <span class="swatches" aria-hidden="true">
            {ratios.map((ratio) => (
              <i key={ratio} style={{ background: heatColour(ratio, theme) }} />
            ))}
          </span>
          {name}
        </li>
      ))}
    </ul>
  );
}

function EvidenceTable({ windows }: { windows: Window[] }) {
  const now = new Date();
  return (
    <table class="plain">
      <thead>
        <tr>
          <th scope="col">Window</th>
          <th scope="col">Verdict</th>
          <th scope="col" class="number">
            Evidence
          </th>
          <th scope="col" class="number">
            Threshold
          </th>
          <th scope="col" class="number">
            Records
          </th>
        </tr>
      </thead>
      <tbody>
        {windows.toReversed().map((w) => (
          <tr key={w.start}>
            <th scope="row">{interval(new Date(w.start), new Date(w.end), now)}</th>
            <td>{shownName(judgedIn(w))}</td>
            <td class="number">{quantity(w.evidence)}</td>
            <td class="number">{quantity(w.threshold)}</td>
            <td class="number">{count(w.records)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function HeatTable({ heat }: { heat: Heat }) {
  const now = new Date();
  const columns = heat.windows.map((window, column) => ({ window, column })).toReversed();
  return (
    <table class="plain">
      <thead>
        <tr>
          <th scope="col">Window</th>
          {heat.places.map((place) => (
            <th key={placeKey(place)} scope="col" class="number">
              {placeLabel(place)}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {columns.map(({ window, column }) => (
          <tr key={window.start}>
            <th scope="row">{interval(new Date(window.start), new Date(window.end), now)}</th>
            {heat.places.map((place, row) => (
              <td key={placeKey(place)} class="number">
                {quantity(heat.evidence[row]?.[column])}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function newest(heat: Heat, most: number): Heat {
  if (heat.windows.length <= most) return heat;
  return {
    places: heat.places,
    windows: heat.windows.slice(-most),
    evidence: heat.evidence.map((row) => row.slice(-most)),
  };
}

export function bandOf(alert: Alert): Band {
  const fired = firedAt(alert);
  const over = alert.resolved_at ?? (alert.state === "firing" || alert.state === "pending" ? null : alert.transitions.at(-1)?.at);
  return {
    from: seconds(alert.opened_at),
    to: over ? seconds(over) : Infinity,
    fired: fired === null ? null : seconds(fired),
  };
}

const rowOf = (heat: Heat, place: Place | null): number | null => {
  const row = place === null ? -1 : heat.places.findIndex((p) => placeKey(p) === placeKey(place));
  return row < 0 ? null : row;
};

const seconds = (time: string | undefined): number => (time === undefined ? 0 : Date.parse(time) / 1000);

const middle = (w: Window): number => (seconds(w.start) + seconds(w.end)) / 2;
