/** Evidence over time against its threshold, on a logarithmic axis. */

import { useLayoutEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { decade } from "../data/format";
import { decadesAround } from "../data/scale";
import { tickLabel, timeTicks } from "../data/ticks";
import { resolveColour, useTheme } from "../theme";
import { useWidth } from "./width";

export interface Point {
  /** Seconds since the epoch. */
  at: number;
  evidence: number | null;
  threshold: number;
}

/** A stretch of time in which an alert was open. */
export interface Band {
  from: number;
  to: number;
  /** When it fired; null while it has not. */
  fired: number | null;
}

interface Props {
  label: string;
  points: Point[];
  bands?: Band[];
  range: [number, number];
  height: number;
  /** Width left of the plot, so that charts below each other line up. */
  gutter: number;
  hover: number | null;
  selected: number | null;
  onHover: (index: number | null) => void;
  onSelect: (index: number) => void;
}

/** Room right of every plot. */
export const RIGHT = 12;
/** So near the left end a label would run into those of the other axis. */
const EDGE = 18;
const FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';

export function LineChart(props: Props) {
  const { ref, width } = useWidth<HTMLDivElement>();
  const theme = useTheme();
  const plot = useRef<uPlot | null>(null);
  // uPlot keeps its hooks for life; they look here for what is true now.
  const latest = useRef(props);
  latest.current = props;

  // Drawn before the browser paints: what is drawn and what is laid out must never be of two sizes.
  useLayoutEffect(() => {
    const element = ref.current;
    if (element === null || width === 0) return;
    const made = new uPlot(options(width, latest), dataOf(latest.current), element);
    plot.current = made;
    const indexAt = (event: MouseEvent): number | null => {
      if (latest.current.points.length === 0) return null;
      return made.posToIdx(event.clientX - made.over.getBoundingClientRect().left);
    };
    made.over.addEventListener("mousemove", (event) => latest.current.onHover(indexAt(event)));
    made.over.addEventListener("click", (event) => {
      const index = indexAt(event);
      if (index !== null) latest.current.onSelect(index);
    });
    made.over.addEventListener("mouseleave", () => latest.current.onHover(null));
    return () => {
      made.destroy();
      plot.current = null;
    };
  }, [width, theme, props.height, props.gutter]);

  useLayoutEffect(() => plot.current?.setData(dataOf(props)), [props.points, props.range[0], props.range[1]]);
  useLayoutEffect(() => plot.current?.redraw(false), [props.bands, props.selected]);
  useLayoutEffect(() => {
    const at = props.hover === null ? undefined : props.points[props.hover]?.at;
    const left = at === undefined ? -10 : (plot.current?.valToPos(at, "x") ?? -10);
    plot.current?.setCursor({ left, top: left < 0 ? -10 : 1 }, false);
  }, [props.hover, props.points]);

  const move = (event: KeyboardEvent): void => {
    const last = props.points.length - 1;
    const current = props.hover ?? props.selected ?? last;
    const to = { ArrowLeft: current - 1, ArrowRight: current + 1, Home: 0, End: last }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      props.onHover(Math.max(0, Math.min(last, to)));
    } else if (event.key === "Enter" && props.hover !== null) props.onSelect(props.hover);
    else if (event.key === "Escape") props.onHover(null);
  };

  return (
    <div
      ref={ref}
      class="line-chart"
      role="application"
      aria-roledescription="chart"
      aria-label={`${props.label} Left and right arrows move, Enter selects a window.`}
      tabIndex={0}
      onKeyDown={move}
      onBlur={() => props.onHover(null)}
      style={{ height: `${props.height}px` }}
    />
  );
}

// Drawn by its logarithm: uPlot's own logarithmic axis has no ticks beyond 10¹⁷, and evidence goes on to
// 10³⁰⁰. There is no place for zero: what is lower than the axis lies on its lower end.
function dataOf({ points }: Props): uPlot.AlignedData {
  const [floor] = decadesAround(points.map((p) => p.evidence), 1);
  return [
    points.map((p) => p.at),
    points.map((p) => (p.evidence === null ? null : Math.log10(Math.max(p.evidence, floor)))),
    points.map((p) => Math.log10(p.threshold)),
  ];
}

function options(width: number, latest: { current: Props }): uPlot.Options {
  const colour = {
    text: resolveColour("--muted"),
    grid: resolveColour("--grid"),
    line: resolveColour("--accent"),
    area: resolveColour("--accent-soft"),
    threshold: resolveColour("--drift"),
    selected: resolveColour("--text"),
    fired: resolveColour("--drift-soft"),
    pending: resolveColour("--warning-soft"),
  };
  const limits = (): [number, number] => {
    const { points } = latest.current;
    const threshold = points.reduce((most, p) => Math.max(most, p.threshold), 1);
    const [low, high] = decadesAround(points.map((p) => p.evidence), threshold);
    return [Math.round(Math.log10(low)), Math.round(Math.log10(high))];
  };
  return {
    width,
    height: latest.current.height,
    padding: [10, RIGHT, 0, 0],
    legend: { show: false },
    select: { show: false, left: 0, top: 0, width: 0, height: 0 },
    cursor: { y: false, drag: { x: false, y: false, setScale: false }, points: { size: 7, width: 2 } },
    scales: {
      x: { time: true, range: () => latest.current.range },
      y: { range: limits },
    },
    axes: [
      {
        font: FONT,
        stroke: colour.text,
        size: 26,
        gap: 4,
        splits: (u) => timeTicks(...latest.current.range, u.bbox.width / devicePixelRatio),
        values: (u, ticks) => ticks.map((t) => (u.valToPos(t, "x") < EDGE ? "" : tickLabel(t, new Date()))),
        grid: { stroke: colour.grid, width: 1 },
        ticks: { show: false },
      },
      {
        font: FONT,
        stroke: colour.text,
        size: latest.current.gutter,
        gap: 8,
        splits: () => decades(...limits(), latest.current.height),
        values: (_, ticks) => ticks.map((exponent) => decade(10 ** exponent)),
        filter: (_, ticks) => ticks,
        grid: { stroke: colour.grid, width: 1, filter: (_, ticks) => ticks },
        ticks: { show: false },
      },
    ],
    series: [
      {},
      { stroke: colour.line, fill: colour.area, fillTo: () => limits()[0], width: 1.75, points: { size: 4, fill: colour.line } },
      { stroke: colour.threshold, width: 1.25, dash: [5, 4], points: { show: false } },
    ],
    hooks: {
      drawClear: [(u) => drawBands(u, latest.current, colour.fired, colour.pending, colour.threshold)],
      draw: [(u) => drawSelected(u, latest.current, colour.selected)],
    },
  };
}

/** Exponents of the ticks. */
function decades(from: number, to: number, height: number): number[] {
  const step = Math.max(1, Math.ceil((to - from) / Math.max(2, height / 26)));
  return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, i) => from + i * step);
}

function drawBands(u: uPlot, { bands = [], range }: Props, fired: string, pending: string, mark: string): void {
  const { ctx, bbox } = u;
  const place = (at: number): number => u.valToPos(Math.max(range[0], Math.min(range[1], at)), "x", true);
  const stretch = (from: number, to: number, colour: string): void => {
    if (to <= range[0] || from >= range[1]) return;
    ctx.fillStyle = colour;
    ctx.fillRect(place(from), bbox.top, Math.max(1, place(to) - place(from)), bbox.height);
  };
  ctx.save();
  for (const band of bands) {
    stretch(band.from, band.fired ?? band.to, pending);
    if (band.fired === null) continue;
    stretch(band.fired, band.to, fired);
    if (band.fired < range[0]) continue;
    // The same diamond that stands for drift everywhere.
    const [x, y, r] = [place(band.fired), bbox.top, 5 * devicePixelRatio];
    ctx.fillStyle = mark;
    ctx.fillRect(x - devicePixelRatio / 2, bbox.top, devicePixelRatio, bbox.height);
    ctx.beginPath();
    ctx.moveTo(x, y - r);
    ctx.lineTo(x + r, y);
    ctx.lineTo(x, y + r);
    ctx.lineTo(x - r, y);
    ctx.fill();
  }
  ctx.restore();
}

function drawSelected(u: uPlot, { selected, points }: Props, colour: string): void {
  const at = selected === null ? undefined : points[selected]?.at;
  if (at === undefined) return;
  const { ctx, bbox } = u;
  const x = Math.round(u.valToPos(at, "x", true));
  ctx.save();
  ctx.strokeStyle = colour;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([]);
  ctx.beginPath();
  ctx.moveTo(x + 0.5, bbox.top);
  ctx.lineTo(x + 0.5, bbox.top + bbox.height);
  ctx.stroke();
  ctx.restore();
}
