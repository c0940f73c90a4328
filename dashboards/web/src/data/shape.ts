/** Turns what the API answers into what charts and tables show. */

import type { Alert, DatedStatistic, Place, ScopeName, ScopeEvidence, Statistic, TaskSpec, Window } from "../api/types";

const SCOPE_ORDER: ScopeName[] = ["input", "encoder", "head", "labels", "link", "skew", "segment"];

const segmentOf = (place: Place): string | null => place.segment ?? null;

/** One name for a place, usable as a key and in an address: `input`, `head.intent`, `segment.channel=mail`. */
export const placeKey = (place: Place): string => {
  const segment = segmentOf(place);
  if (place.scope === "segment") return `segment.${segment}`;
  const own = place.task === null ? place.scope : `${place.scope}.${place.task}`;
  return segment === null ? own : `segment.${segment}.${own}`;
};

/** A place in words: `input`, `encoder`, `head intent`, `segment channel=mail`. */
export const placeName = (place: Place): string => {
  if (place.scope === "segment") return `segment ${segmentOf(place)}`;
  return within(place, place.task === null ? place.scope : `${place.scope} ${place.task}`);
};

/** A place as a row is labelled: tasks by their name alone. */
export const placeLabel = (place: Place): string => {
  if (place.scope === "segment") return segmentOf(place) ?? "segment";
  const own = place.task === null ? place.scope : place.scope === "head" ? place.task : `${place.task} · ${place.scope}`;
  return within(place, own);
};

const within = (place: Place, name: string): string => {
  const segment = segmentOf(place);
  return segment === null ? name : `${name} in ${segment}`;
};

export const signalKey = (statistic: Place & { signal: string }): string =>
  `${placeKey(statistic)}.${statistic.signal}`;

/** A segment as a whole is the same place as each of its statistics. */
export const samePlace = (a: Place, b: Place): boolean => {
  if (segmentOf(a) !== segmentOf(b)) return false;
  return a.scope === "segment" || b.scope === "segment" || (a.scope === b.scope && a.task === b.task);
};

export interface Heat {
  places: Place[];
  /** Oldest first. */
  windows: Window[];
  /** Evidence of each place (row) in each window (column); null where there is none. */
  evidence: (number | null)[][];
}

/** Rows are input, encoder, then each task in the manifest's order; columns go forward in time. */
export function heat(windows: Window[], tasks: TaskSpec[]): Heat {
  const places = heatPlaces(windows, tasks);
  const evidence = places.map((place) => windows.map((w) => evidenceAt(w, place)));
  return { places, windows, evidence };
}

export const evidenceAt = (window: Window, place: Place): number | null =>
  window.scopes.find((s) => samePlace(s, place))?.evidence ?? null;

function heatPlaces(windows: Window[], tasks: TaskSpec[]): Place[] {
  const seen = new Map<string, Place>();
  const add = (place: Place): void =>
    void seen.set(placeKey(place), { scope: place.scope, task: place.task, segment: segmentOf(place) });
  add({ scope: "input", task: null });
  add({ scope: "encoder", task: null });
  for (const task of tasks) add({ scope: "head", task: task.name });
  // Links, and tasks that an earlier manifest had, only appear where there is evidence of them.
  for (const window of windows) for (const scope of window.scopes) if (scope.evidence !== null && !seen.has(placeKey(scope))) add(scope);
  const taskOrder = new Map(tasks.map((task, index) => [task.name, index]));
  const rank = (place: Place): [number, number] => [
    place.scope === "segment" ? 3 + tasks.length
      : place.task === null ? SCOPE_ORDER.indexOf(place.scope)
      : 2 + (taskOrder.get(place.task) ?? tasks.length),
    SCOPE_ORDER.indexOf(place.scope),
  ];
  return [...seen.values()].sort((a, b) => {
    const [left, right] = [rank(a), rank(b)];
    return left[0] - right[0] || left[1] - right[1];
  });
}

/** The part with the most evidence; null if no part has any. */
export function strongest(scopes: ScopeEvidence[]): ScopeEvidence | null {
  return scopes.reduce<ScopeEvidence | null>(
    (best, scope) => ((scope.evidence ?? -1) > (best?.evidence ?? -1) ? scope : best),
    null,
  );
}

/** Windows known so far with newer answers laid over them, oldest first. */
export function mergeWindows(known: Window[], newer: Window[], most: number): Window[] {
  const byStart = new Map(known.map((w) => [w.start, w]));
  for (const window of newer) byStart.set(window.start, window);
  return [...byStart.values()].sort((a, b) => Date.parse(a.start) - Date.parse(b.start)).slice(-most);
}

/** Whether an answer of the newest windows leaves no gap after those known. */
export function continues(known: Window[], newer: Window[]): boolean {
  const starts = new Set(known.map((w) => w.start));
  return newer.some((w) => starts.has(w.start));
}

/** Most evidence first; those that could not be tested last. */
export function byEvidence(statistics: Statistic[]): Statistic[] {
  const weight = (s: Statistic): number => (s.sufficient && s.evidence !== null ? s.evidence : -1);
  return [...statistics].sort((a, b) => weight(b) - weight(a) || signalKey(a).localeCompare(signalKey(b)));
}

/** The one number of an effect, with its measure. */
export function effectSize(statistic: Statistic): { measure: string; unit: string; value: number } | null {
  const effect = statistic.effect;
  if (effect === null) return null;
  const found = Object.entries(effect).find(([name]) => name === "psi") ?? Object.entries(effect)[0];
  if (found === undefined) return null;
  const [name, value] = found;
  const { title, unit, times = 1 } = EFFECTS[name] ?? { title: name, unit: "" };
  return { measure: title, unit, value: value * times };
}

/** Measures of effect: what they are called, and the unit beside their number, which is so many `times` the API's. */
export const EFFECTS: Record<string, { title: string; unit: string; times?: number }> = {
  psi: { title: "PSI", unit: "PSI" },
  jensen_shannon: { title: "Jensen–Shannon", unit: "JS" },
  hellinger: { title: "Hellinger", unit: "H" },
  mahalanobis: { title: "Mahalanobis", unit: "σ" },
  standardized_mean: { title: "Standardized mean", unit: "σ" },
  mean_discrepancy: { title: "Mean discrepancy (MMD)", unit: "MMD" },
  rise: { title: "Rise of a share, in points", unit: "pp", times: 100 },
  pair_ratio: { title: "Equal pairs, against the reference", unit: "×" },
};

/** When the alert fired; null if it never did. */
export const firedAt = (alert: Alert): string | null =>
  alert.transitions.find((t) => t.to === "firing" && t.from !== "firing")?.at ?? null;

/** When the alert fired or last grew: its cause and its witnesses are of then. Null if it never fired. */
export const grownAt = (alert: Alert): string | null => alert.transitions.findLast((t) => t.to === "firing")?.at ?? null;

/** Firing first, then pending, then what is over; newest first within each. */
export function alertOrder(alerts: Alert[]): Alert[] {
  const rank = (alert: Alert): number => ["firing", "pending"].indexOf(alert.state) + 3 * Number(isOver(alert));
  return [...alerts].sort((a, b) => rank(a) - rank(b) || Date.parse(b.opened_at) - Date.parse(a.opened_at));
}

export const isOver = (alert: Alert): boolean => alert.state !== "firing" && alert.state !== "pending";

/** The window that made the alert fire, or else the one it was opened in. */
export function alertWindow(alert: Alert, windows: Window[]): Window | null {
  const end = firedAt(alert) ?? alert.opened_at;
  return windows.find((w) => Date.parse(w.end) === Date.parse(end)) ?? null;
}

/** The alert that was firing at a time; null if none was. */
export function firingAt(alerts: Alert[], time: string): Alert | null {
  const at = Date.parse(time);
  const fires = (alert: Alert): boolean => {
    const fired = firedAt(alert);
    return fired !== null && Date.parse(fired) <= at && (alert.resolved_at === null || at < Date.parse(alert.resolved_at));
  };
  return alertOrder(alerts).find(fires) ?? null;
}

/**
 * What an alert says of a part: `cause`, or `reached` for the heads that moved with the cause and
 * for the encoder between them.
 */
export function partInAlert(alert: Alert | null, place: Place): "cause" | "reached" | null {
  if (alert === null) return null;
  const { kind, task, tasks_affected: affected } = alert.cause;
  const segment = alert.cause.segment ?? null;
  const scope = kind === "prior_shift" || kind === "concept" ? "head" : kind;
  if (kind === "concept" && place.scope === "labels" && task === place.task) return "cause";
  if (scope === place.scope && (task ?? null) === place.task && segment === segmentOf(place)) return "cause";
  if (place.scope === "head" && place.task !== null && affected.includes(place.task)) return "reached";
  return null;
}

/** The window to look at first: what made a firing alert fire, or else the latest. */
export function firstToShow(windows: Window[], alerts: Alert[]): Window | null {
  const firing = alertOrder(alerts).find((alert) => alert.state === "firing");
  return (firing && alertWindow(firing, windows)) ?? windows.at(-1) ?? null;
}

/** A signal's history without what has no evidence, oldest first. */
export const forward = (rows: DatedStatistic[]): DatedStatistic[] =>
  [...rows].sort((a, b) => Date.parse(a.window_start) - Date.parse(b.window_start));

/** The index of the window that covers a time, or the nearest. */
export function nearestWindow(windows: Window[], ms: number): number | null {
  let best: number | null = null;
  let distance = Infinity;
  windows.forEach((window, index) => {
    const [start, end] = [Date.parse(window.start), Date.parse(window.end)];
    const gap = ms < start ? start - ms : ms >= end ? ms - end : -1;
    if (gap < distance) [best, distance] = [index, gap];
  });
  return best;
}
