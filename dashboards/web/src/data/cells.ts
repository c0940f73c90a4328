/** Cells of a signal: shares with intervals, what moved, and in which order they stand. */

import type { Cell, Mover, Place, Statistic } from "../api/types";
import { levelOf, logRatio } from "./scale";
import { placeKey, signalKey } from "./shape";

/** Two-sided 95 %. */
const Z = 1.959964;

/** Wilson's interval of a share of n (Brown, Cai, DasGupta 2001: near its level at any share). */
export function wilson(share: number, n: number): [number, number] {
  if (!(n > 0)) return [0, 1];
  const middle = (share + Z ** 2 / (2 * n)) / (1 + Z ** 2 / n);
  const half = (Z / (1 + Z ** 2 / n)) * Math.sqrt((share * (1 - share)) / n + Z ** 2 / (4 * n ** 2));
  return [Math.max(0, middle - half), Math.min(1, middle + half)];
}

/** What is known of a signal's cells where the server keeps only those that moved most. */
export const fromMovers = (statistic: Statistic): Cell[] => statistic.movers.map((m) => cellOf(m, statistic.n));

function cellOf(mover: Mover, n: number): Cell {
  const { current_interval: given, ...cell } = mover;
  const [low, high] = given ?? wilson(mover.current_share, n);
  return { ...cell, low, high };
}

/** Whether the reference's share lies outside of the current share's interval. */
export const isClear = (cell: Cell): boolean =>
  cell.low !== null && cell.high !== null && (cell.reference_share < cell.low || cell.reference_share > cell.high);

/** How far a cell moved, in units of what chance moves it. */
const moved = (cell: Cell): number =>
  Math.abs(cell.current_share - cell.reference_share) / Math.sqrt(Math.max(cell.reference_share, 1e-6));

export type Order = "moved" | "own";

export const ordered = (cells: Cell[], order: Order): Cell[] =>
  order === "own" ? cells : [...cells].sort((a, b) => moved(b) - moved(a));

/** A cell that moved, and the signal it is of. */
export interface Moved extends Cell {
  place: Place;
  signal: string;
  key: string;
}

export interface MovedGroups {
  tokens: Moved[];
  classes: Moved[];
  pairs: Moved[];
}

const CLASS_SIGNALS = ["predicted_class", "labels_by_record", "label_sets"];

/** A signal of a window that is no likelier than this by chance has moved in it. */
const UNLIKELY = 0.001;

/** Whether a signal moved, in the window alone or over those before it: of hundreds of cells some always seem to. */
const hasMoved = (s: Statistic, threshold: number): boolean => {
  const ratio = s.sufficient ? logRatio(s.evidence, threshold) : null;
  return (s.p_value !== null && s.p_value < UNLIKELY) || (ratio !== null && levelOf(ratio) !== "calm");
};

/** Tokens (or words, where there is no tokenizer), classes and pairs of answers that moved most, over all signals of a window that did. */
export function movedGroups(statistics: Statistic[], threshold: number, most: number): MovedGroups {
  const of = (is: (s: Statistic) => boolean): Moved[] =>
    statistics
      .filter((s) => !s.segment && is(s) && hasMoved(s, threshold))
      .flatMap((s) => fromMovers(s).map((cell) => ({ ...cell, place: s, signal: s.signal, key: `${signalKey(s)}|${cell.cell}` })))
      .filter(isClear)
      .sort((a, b) => moved(b) - moved(a) || a.key.localeCompare(b.key))
      .slice(0, most);
  return {
    tokens: of((s) => s.scope === "input" && /^(token|word)_distribution/.test(s.signal)),
    classes: of((s) => s.scope === "head" && CLASS_SIGNALS.includes(s.signal)),
    pairs: of((s) => s.scope === "link"),
  };
}

/** Whether a statistic's key, `head.intent.confidence`, is of a part. */
export const belongs = (signal: string, place: Place): boolean => signal.startsWith(`${placeKey(place)}.`);
