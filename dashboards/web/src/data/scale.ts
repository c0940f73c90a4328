/** How evidence becomes a place on a bar and a colour in the heatmap. */

import type { State } from "../api/types";

export type Theme = "light" | "dark";
export type Level = "calm" | "warning" | "drift";

/** A window warns at this share of the threshold. */
export const WARNING_SHARE = 0.1;
/** Where the threshold stands on a bar; what is right of it is beyond. */
export const THRESHOLD_AT = 0.75;

/** log10(evidence / threshold): 0 at the threshold, −1 at a tenth of it; null if there is no evidence. */
export function logRatio(evidence: number | null | undefined, threshold: number): number | null {
  if (evidence === null || evidence === undefined || Number.isNaN(evidence) || !(threshold > 0)) return null;
  return evidence <= 0 ? -Infinity : Math.log10(evidence / threshold);
}

/** What a ratio means, whatever its colour. */
export const levelOf = (ratio: number): Level =>
  ratio >= 0 ? "drift" : ratio >= Math.log10(WARNING_SHARE) ? "warning" : "calm";

export const levelOfState = (state: State): Level | null =>
  state === "ok" ? "calm" : state === "insufficient_data" ? null : state;

/**
 * Place of evidence on a bar from 0 to 1: 1 is at the left end, the threshold at
 * {@link THRESHOLD_AT}, logarithmic throughout.
 */
export function barPosition(evidence: number | null, threshold: number): number {
  if (evidence === null || !(evidence > 1)) return 0;
  const whole = Math.log(Math.max(threshold, 2));
  return Math.min(1, (THRESHOLD_AT * Math.log(evidence)) / whole);
}

type Stop = readonly [ratio: number, red: number, green: number, blue: number];

// Lightness runs one way through the whole scale, blue turns to orange (which every common kind of
// colour blindness can tell apart), and there is a step where a verdict changes: at −1 and at 0.
const STOPS: Record<Theme, readonly Stop[]> = {
  dark: [
    [-5, 22, 28, 37],
    [-3, 30, 48, 73],
    [-1.001, 66, 106, 160],
    [-1, 176, 125, 42],
    [-0.001, 208, 150, 54],
    [0, 255, 142, 102],
    [3, 255, 205, 184],
    [8, 255, 240, 232],
  ],
  light: [
    [-5, 241, 244, 248],
    [-3, 210, 222, 238],
    [-1.001, 138, 170, 212],
    [-1, 212, 148, 40],
    [-0.001, 196, 124, 14],
    [0, 184, 66, 26],
    [3, 122, 32, 8],
    [8, 66, 14, 2],
  ],
};

/** The colour of a ratio, as `rgb(…)`. */
export function heatColour(ratio: number, theme: Theme): string {
  const stops = STOPS[theme];
  const above = stops.findIndex(([at]) => at >= ratio);
  const [high, low] = above < 0 ? [stops.at(-1), stops.at(-1)] : [stops[above], stops[Math.max(0, above - 1)]];
  if (high === undefined || low === undefined) return "transparent";
  const share = high[0] === low[0] ? 1 : (ratio - low[0]) / (high[0] - low[0]);
  const mix = (channel: 1 | 2 | 3): number => Math.round(low[channel] + (high[channel] - low[channel]) * share);
  return `rgb(${mix(1)} ${mix(2)} ${mix(3)})`;
}

/** Whole decades that hold all values, so that an axis begins and ends on a labelled line. */
export function decadesAround(values: Iterable<number | null>, threshold: number): [number, number] {
  let low = Math.min(1, threshold);
  let high = threshold;
  for (const value of values) {
    if (value === null || !(value > 0) || !Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  // Below a hundredth nothing is to be learned, and a stray zero must not flatten the rest.
  const floor = Math.max(-2, Math.floor(Math.log10(low)));
  return [10 ** floor, 10 ** Math.ceil(Math.log10(high * 1.5))];
}
