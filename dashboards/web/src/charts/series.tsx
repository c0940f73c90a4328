/** Values with intervals over time, drawn as SVG: few points, styled by the page's own style sheet. */

import { tickLabel, timeTicks, valueTicks } from "../data/ticks";
import { RIGHT } from "./line";
import { useWidth } from "./width";

export interface SeriesPoint {
  /** Seconds since the epoch. */
  at: number;
  value: number | null;
  low: number | null;
  high: number | null;
  /** Drawn hollow: known, and does not count. */
  muted?: boolean;
}

export interface Series {
  /** Class that gives line, points and interval their colour. */
  name: string;
  points: SeriesPoint[];
}

interface Props {
  label: string;
  series: Series[];
  range: [number, number];
  limits: [number, number];
  height: number;
  gutter: number;
  text: (value: number) => string;
  hover: number | null;
  onHover: (index: number | null) => void;
}

const TOP = 8;
const AXIS = 24;

export function SeriesChart(props: Props) {
  const { ref, width } = useWidth<HTMLDivElement>();
  const { series, range, limits, height, gutter } = props;
  const plot = { width: Math.max(0, width - gutter - RIGHT), height: height - TOP - AXIS };
  const x = (at: number): number => gutter + ((at - range[0]) / Math.max(1, range[1] - range[0])) * plot.width;
  const y = (value: number): number => TOP + (1 - (value - limits[0]) / Math.max(1e-9, limits[1] - limits[0])) * plot.height;
  const times = series[0]?.points.map((p) => p.at) ?? [];
  const last = times.length - 1;
  const nearest = (clientX: number): number | null => {
    const left = ref.current?.getBoundingClientRect().left ?? 0;
    const at = range[0] + ((clientX - left - gutter) / Math.max(1, plot.width)) * (range[1] - range[0]);
    return times.length === 0 ? null : times.reduce((best, t, i) => (Math.abs(t - at) < Math.abs((times[best] ?? 0) - at) ? i : best), 0);
  };
  const move = (event: KeyboardEvent): void => {
    const from = props.hover ?? last + 1;
    const to = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: last }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      props.onHover(Math.max(0, Math.min(last, to)));
    } else if (event.key === "Escape") props.onHover(null);
  };
  const hovered = props.hover === null ? undefined : times[props.hover];
  const now = new Date();
  return (
    <div
      ref={ref}
      class="series-chart"
      role="application"
      aria-roledescription="chart"
      aria-label={`${props.label} Left and right arrows move.`}
      tabIndex={0}
      style={{ height: `${height}px` }}
      onKeyDown={move}
      onBlur={() => props.onHover(null)}
      onPointerMove={(event) => props.onHover(nearest(event.clientX))}
      onPointerLeave={() => props.onHover(null)}
    >
      {width > 0 && (
        <svg width={width} height={height} aria-hidden="true">
          {valueTicks(...limits, Math.max(2, Math.floor(plot.height / 28))).map((value) => (
            <g key={value}>
              <line class="grid" x1={gutter} x2={gutter + plot.width} y1={y(value)} y2={y(value)} />
              <text class="tick" x={gutter - 8} y={y(value) + 4} text-anchor="end">
                {props.text(value)}
              </text>
            </g>
          ))}
          {timeTicks(range[0], range[1], plot.width).map((tick) => (
            <text key={tick} class="tick" x={x(tick)} y={height - 6} text-anchor="middle">
              {x(tick) < gutter + 18 || x(tick) > width - 22 ? "" : tickLabel(tick, now)}
            </text>
          ))}
          {series.map((s) => (
            <g key={s.name} class={`series ${s.name}`}>
              {runs(s.points).map((run) => (
                <g key={run[0]?.at}>
                  <path class="interval" d={area(run, x, y)} />
                  <path class="value" d={line(run, x, y)} />
                </g>
              ))}
              {s.points.map(
                (p) => p.value !== null && <circle key={p.at} class={p.muted ? "point muted-point" : "point"} cx={x(p.at)} cy={y(p.value)} r={2.5} />,
              )}
            </g>
          ))}
          {hovered !== undefined && <line class="cursor" x1={x(hovered)} x2={x(hovered)} y1={TOP} y2={TOP + plot.height} />}
        </svg>
      )}
    </div>
  );
}

/** Stretches of points without a hole. */
function runs(points: SeriesPoint[]): SeriesPoint[][] {
  const found: SeriesPoint[][] = [];
  let open = false;
  for (const p of points) {
    if (p.value === null) open = false;
    else if (open) found.at(-1)?.push(p);
    else {
      found.push([p]);
      open = true;
    }
  }
  return found;
}

type Scale = (value: number) => number;

const line = (run: SeriesPoint[], x: Scale, y: Scale): string => run.map((p, i) => `${i === 0 ? "M" : "L"}${x(p.at)} ${y(p.value ?? 0)}`).join("");

function area(run: SeriesPoint[], x: Scale, y: Scale): string {
  const known = run.filter((p) => p.low !== null && p.high !== null);
  if (known.length === 0) return "";
  const above = known.map((p, i) => `${i === 0 ? "M" : "L"}${x(p.at)} ${y(p.high ?? 0)}`);
  const below = known.toReversed().map((p) => `L${x(p.at)} ${y(p.low ?? 0)}`);
  return `${above.join("")}${below.join("")}Z`;
}
