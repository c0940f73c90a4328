/** The encoder's density on two coordinates: the current one as colour, the reference's as outlines. */

import { useLayoutEffect, useRef } from "preact/hooks";
import type { EncoderMap } from "../api/types";
import { centre, levelHolding, outline } from "../data/map";
import { resolveColour, useTheme } from "../theme";
import { useWidth } from "./width";

/** The outlines hold these shares of the reference. */
export const HELD = [0.5, 0.9];
const MOST = 560;
const GUTTER = 34;

export function DensityMap({ map, label }: { map: EncoderMap; label: string }) {
  const { ref, width } = useWidth<HTMLDivElement>();
  const canvas = useRef<HTMLCanvasElement>(null);
  const theme = useTheme();
  const side = Math.min(MOST, width - GUTTER);

  // Drawn before the browser paints: what is drawn and what is laid out must never be of two sizes.
  useLayoutEffect(() => {
    const ctx = canvas.current?.getContext("2d") ?? null;
    if (canvas.current === null || ctx === null || side <= 0) return;
    canvas.current.width = Math.round((side + GUTTER) * devicePixelRatio);
    canvas.current.height = Math.round((side + GUTTER) * devicePixelRatio);
    ctx.scale(devicePixelRatio, devicePixelRatio);
    draw(ctx, map, side);
  }, [map, side, theme]);

  return (
    <div ref={ref} class="density">
      <canvas ref={canvas} role="img" aria-label={label} style={{ width: `${Math.max(0, side + GUTTER)}px`, height: `${Math.max(0, side + GUTTER)}px` }} />
    </div>
  );
}

function draw(ctx: CanvasRenderingContext2D, map: EncoderMap, side: number): void {
  const [first, second] = map.axes;
  if (first === undefined || second === undefined) return;
  const [w, h] = [side / first.bins, side / second.bins];
  const x = (cell: number): number => GUTTER + cell * w;
  const y = (cell: number): number => side - cell * h;
  const most = Math.max(...map.current.density, 1e-12);
  ctx.fillStyle = resolveColour("--raised");
  ctx.fillRect(GUTTER, 0, side, side);
  ctx.fillStyle = resolveColour("--accent");
  map.current.density.forEach((d, i) => {
    if (d <= 0) return;
    // By its root, so that thin places are seen beside dense ones.
    ctx.globalAlpha = 0.12 + 0.88 * Math.sqrt(d / most);
    ctx.fillRect(x(i % first.bins), y(Math.floor(i / first.bins) + 1), w + 0.5, h + 0.5);
  });
  ctx.globalAlpha = 1;
  HELD.forEach((share, i) => {
    ctx.strokeStyle = resolveColour("--text");
    ctx.lineWidth = i === 0 ? 2 : 1.25;
    ctx.setLineDash(i === 0 ? [] : [4, 3]);
    ctx.beginPath();
    for (const [x1, y1, x2, y2] of outline(map.reference.density, first.bins, levelHolding(map.reference.density, share))) {
      ctx.moveTo(x(x1), y(y1));
      ctx.lineTo(x(x2), y(y2));
    }
    ctx.stroke();
  });
  ctx.setLineDash([]);
  drawCentres(ctx, map, (v) => GUTTER + ((v - first.low) / (first.high - first.low)) * side, (v) => side - ((v - second.low) / (second.high - second.low)) * side);
  ctx.fillStyle = resolveColour("--muted");
  ctx.font = '11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
  for (const share of [0, 0.5, 1]) {
    const [a, b] = [first.low + share * (first.high - first.low), second.low + share * (second.high - second.low)];
    ctx.textAlign = share === 0 ? "left" : share === 1 ? "right" : "center";
    ctx.fillText(short(a), GUTTER + share * side, side + 16);
    ctx.textAlign = "right";
    ctx.fillText(short(b), GUTTER - 6, Math.min(side, Math.max(10, side - share * side + 4)));
  }
}

/** An arrow from where the reference's middle is to the current one. */
function drawCentres(ctx: CanvasRenderingContext2D, map: EncoderMap, x: (v: number) => number, y: (v: number) => number): void {
  const [from, to] = [centre(map, map.reference.density), centre(map, map.current.density)];
  if (from === null || to === null) return;
  ctx.strokeStyle = resolveColour("--drift");
  ctx.fillStyle = resolveColour("--drift");
  ctx.lineWidth = 2.5;
  ctx.beginPath();
  ctx.moveTo(x(from[0]), y(from[1]));
  ctx.lineTo(x(to[0]), y(to[1]));
  ctx.stroke();
  ctx.beginPath();
  ctx.arc(x(to[0]), y(to[1]), 4, 0, 2 * Math.PI);
  ctx.fill();
}

const short = (value: number): string => String(Number(value.toPrecision(2))).replace("-", "−");
