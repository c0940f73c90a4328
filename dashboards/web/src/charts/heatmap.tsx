/** Places × time: how near each part of the model is to an alarm, in every window. */

import { useLayoutEffect, useRef } from "preact/hooks";
import type { Place } from "../api/types";
import { heatColour, levelOf, logRatio, type Theme } from "../data/scale";
import { type Heat, nearestWindow, placeKey, placeLabel, placeName } from "../data/shape";
import { tickLabel, timeTicks } from "../data/ticks";
import { resolveColour, useTheme } from "../theme";
import { RIGHT } from "./line";
import { useWidth } from "./width";

export interface Cell {
  column: number;
  row: number | null;
}

interface Props {
  label: string;
  heat: Heat;
  range: [number, number];
  gutter: number;
  hover: Cell | null;
  /** Index of the selected window. */
  selected: number | null;
  /** A place that is looked at elsewhere. */
  marked: Place | null;
  onHover: (cell: Cell | null) => void;
  onSelect: (cell: Cell) => void;
}

const ROW = 24;
const AXIS = 22;
/** Room above input and encoder's end, so that tasks read as one group. */
const GROUP_GAP = 6;

export function Heatmap(props: Props) {
  const { ref, width } = useWidth<HTMLDivElement>();
  const theme = useTheme();
  const cells = useRef<HTMLCanvasElement>(null);
  const marks = useRef<HTMLCanvasElement>(null);
  const { heat, range, gutter } = props;
  const plotWidth = Math.max(0, width - gutter - RIGHT);
  const tops = rowTops(heat.places);
  const height = (tops.at(-1) ?? 0) + ROW + AXIS;

  // Drawn before the browser paints: what is drawn and what is laid out must never be of two sizes.
  useLayoutEffect(() => {
    const ctx = prepare(cells.current, plotWidth + RIGHT, height);
    if (ctx !== null) drawCells(ctx, heat, range, plotWidth, tops, theme);
  }, [heat, range[0], range[1], plotWidth, height, theme]);

  useLayoutEffect(() => {
    const ctx = prepare(marks.current, plotWidth + RIGHT, height);
    if (ctx !== null) drawMarks(ctx, props, plotWidth, tops);
  });

  const at = (event: PointerEvent | MouseEvent): Cell | null => {
    const box = marks.current?.getBoundingClientRect();
    if (box === undefined || plotWidth === 0) return null;
    const time = range[0] + ((event.clientX - box.left) / plotWidth) * (range[1] - range[0]);
    const column = nearestWindow(heat.windows, time * 1000);
    const row = tops.findIndex((top) => event.clientY - box.top >= top && event.clientY - box.top < top + ROW);
    return column === null ? null : { column, row: row < 0 ? null : row };
  };

  const move = (event: KeyboardEvent): void => {
    const last = heat.windows.length - 1;
    const from: Cell = props.hover ?? { column: props.selected ?? last, row: 0 };
    const row = from.row ?? 0;
    const to = {
      ArrowLeft: { ...from, column: from.column - 1 },
      ArrowRight: { ...from, column: from.column + 1 },
      ArrowUp: { ...from, row: row - 1 },
      ArrowDown: { ...from, row: row + 1 },
      Home: { ...from, column: 0 },
      End: { ...from, column: last },
    }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      const clamp = (value: number, most: number): number => Math.max(0, Math.min(most, value));
      props.onHover({ column: clamp(to.column, last), row: clamp(to.row ?? 0, heat.places.length - 1) });
    } else if (event.key === "Enter" && props.hover !== null) props.onSelect(props.hover);
    else if (event.key === "Escape") props.onHover(null);
  };

  return (
    <div ref={ref} class="heatmap" style={{ height: `${height}px` }}>
      <ul class="heat-rows" aria-hidden="true" style={{ width: `${gutter}px` }}>
        {heat.places.map((place, row) => (
          <li
            key={placeKey(place)}
            class={props.hover?.row === row ? "on" : ""}
            title={placeName(place)}
            style={{ top: `${tops[row] ?? 0}px`, height: `${ROW}px` }}
          >
            {placeLabel(place)}
          </li>
        ))}
      </ul>
      <div
        class="heat-plot"
        role="application"
        aria-roledescription="heatmap"
        aria-label={`${props.label} Arrow keys move, Enter selects a window.`}
        tabIndex={0}
        onKeyDown={move}
        onBlur={() => props.onHover(null)}
        onPointerMove={(event) => props.onHover(at(event))}
        onPointerLeave={() => props.onHover(null)}
        onClick={(event) => {
          const cell = at(event);
          if (cell !== null) props.onSelect(cell);
        }}
        style={{ left: `${gutter}px` }}
      >
        <canvas ref={cells} />
        <canvas ref={marks} />
      </div>
    </div>
  );
}

function rowTops(places: Place[]): number[] {
  let tasks = 0;
  return places.map((place, row) => {
    if (place.task !== null && tasks === 0) tasks = GROUP_GAP;
    return row * ROW + tasks;
  });
}

/** A canvas of this size in CSS pixels, cleared and sharp. */
function prepare(canvas: HTMLCanvasElement | null, width: number, height: number): CanvasRenderingContext2D | null {
  const ctx = canvas?.getContext("2d") ?? null;
  if (canvas === null || ctx === null) return null;
  canvas.width = Math.round(width * devicePixelRatio);
  canvas.height = Math.round(height * devicePixelRatio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  ctx.scale(devicePixelRatio, devicePixelRatio);
  return ctx;
}

/** Left and right edge of a window; edges lie on whole device pixels, so that cells meet. */
function edges(heat: Heat, column: number, [from, to]: [number, number], width: number): [number, number] {
  const window = heat.windows[column];
  if (window === undefined) return [0, 0];
  const place = (time: string): number => {
    const x = ((Date.parse(time) / 1000 - from) / (to - from)) * width;
    return Math.round(x * devicePixelRatio) / devicePixelRatio;
  };
  return [place(window.start), place(window.end)];
}

function drawCells(
  ctx: CanvasRenderingContext2D,
  heat: Heat,
  range: [number, number],
  width: number,
  tops: number[],
  theme: Theme,
): void {
  const none = resolveColour("--line");
  const onDrift = resolveColour("--surface");
  heat.windows.forEach((window, column) => {
    const [left, right] = edges(heat, column, range, width);
    // Neighbours are told apart where there is room for a gap.
    const gap = right - left > 5 ? 1 : 0;
    tops.forEach((top, row) => {
      const ratio = logRatio(heat.evidence[row]?.[column], window.threshold);
      const w = Math.max(right - left - gap, 0.5);
      if (ratio === null) {
        ctx.fillStyle = none;
        ctx.fillRect(left, top + ROW / 2 - 1, w, 1);
        return;
      }
      ctx.fillStyle = heatColour(ratio, theme);
      ctx.fillRect(left, top + 1, w, ROW - 2);
      // Drift is a shape too: a diamond in the cell, or a notch where it is narrow.
      if (levelOf(ratio) === "drift") {
        ctx.fillStyle = onDrift;
        const [x, y, r] = [left + w / 2, top + ROW / 2, Math.min(4, Math.max(1, w / 2 - 0.5))];
        ctx.beginPath();
        ctx.moveTo(x, y - 4);
        ctx.lineTo(x + r, y);
        ctx.lineTo(x, y + 4);
        ctx.lineTo(x - r, y);
        ctx.fill();
      }
    });
  });
  ctx.font = '11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
  ctx.fillStyle = resolveColour("--muted");
  ctx.textAlign = "center";
  ctx.textBaseline = "top";
  const bottom = (tops.at(-1) ?? 0) + ROW;
  const now = new Date();
  for (const tick of timeTicks(...range, width)) {
    const x = ((tick - range[0]) / (range[1] - range[0])) * width;
    const label = tickLabel(tick, now);
    const half = ctx.measureText(label).width / 2;
    if (x - half >= 0 && x + half <= width + RIGHT) ctx.fillText(label, x, bottom + 7);
  }
}

function drawMarks(ctx: CanvasRenderingContext2D, props: Props, width: number, tops: number[]): void {
  const { heat, range, hover, selected, marked } = props;
  const bottom = (tops.at(-1) ?? 0) + ROW;
  const text = resolveColour("--text");
  const outline = (column: number, top: number, height: number, line: number): void => {
    const [left, right] = edges(heat, column, range, width);
    ctx.strokeStyle = text;
    ctx.lineWidth = line;
    ctx.strokeRect(left - 0.5, top + 0.5, Math.max(right - left, 2), height - 1);
  };
  if (selected !== null) outline(selected, 0, bottom, 1);
  const row = marked === null ? -1 : heat.places.findIndex((p) => placeKey(p) === placeKey(marked));
  const markedTop = tops[row];
  if (selected !== null && markedTop !== undefined) outline(selected, markedTop, ROW, 2);
  if (hover === null) return;
  const [left, right] = edges(heat, hover.column, range, width);
  const middle = Math.round((left + right) / 2) + 0.5;
  ctx.strokeStyle = resolveColour("--muted");
  ctx.lineWidth = 1;
  ctx.setLineDash([3, 3]);
  ctx.beginPath();
  ctx.moveTo(middle, 0);
  ctx.lineTo(middle, bottom);
  ctx.stroke();
  ctx.setLineDash([]);
  const top = hover.row === null ? undefined : tops[hover.row];
  if (top !== undefined) outline(hover.column, top, ROW, 2);
}
