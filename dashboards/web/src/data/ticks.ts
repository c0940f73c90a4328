/** Ticks of a time axis at round local times. */

import { clock, day } from "./format";

const MINUTE = 60;
const HOUR = 3_600;
const DAY = 86_400;
const STEPS = [
  MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE,
  HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR,
  DAY, 2 * DAY, 7 * DAY, 14 * DAY, 28 * DAY,
];
/** Room that one label takes, in pixels. */
const LABEL = 74;

/** Seconds since the epoch of all ticks between two times, on `width` pixels. */
export function timeTicks(from: number, to: number, width: number): number[] {
  const wanted = Math.max(1, Math.floor(width / LABEL));
  const step = STEPS.find((s) => (to - from) / s <= wanted) ?? 28 * DAY;
  // Round times are round on the reader's clock, not in UTC.
  const offset = new Date(from * 1000).getTimezoneOffset() * -MINUTE;
  const ticks: number[] = [];
  for (let t = Math.ceil((from + offset) / step) * step - offset; t <= to; t += step) ticks.push(t);
  return ticks;
}

/** The clock, or the day where a new one begins. */
export function tickLabel(seconds: number, now: Date): string {
  const at = new Date(seconds * 1000);
  return at.getHours() === 0 && at.getMinutes() === 0 ? day(at, now) : clock(at);
}

/** Round values between two limits, at most about so many. */
export function valueTicks(low: number, high: number, most: number): number[] {
  if (!(high > low)) return [low];
  const rough = (high - low) / most;
  const decade = 10 ** Math.floor(Math.log10(rough));
  const step = decade * ([1, 2, 5].find((s) => s * decade >= rough * (1 - 1e-9)) ?? 10);
  const first = Math.ceil(low / step - 1e-9);
  // By whole steps: sums of steps would drift away from round values.
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => (first + i) * step);
}
