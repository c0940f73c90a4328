/** Data for tests. */

import type { Alert, AlertState, Model, Statistic, Window } from "../api/types";

const VALID = { status: "valid", reason: "" } as const;

/** Five minutes after midnight UTC for each index. */
export function window(index: number, changes: Partial<Window> = {}): Window {
  const start = Date.UTC(2026, 10, 23) + index * 300_000;
  return {
    index,
    start: new Date(start).toISOString(),
    end: new Date(start + 300_000).toISOString(),
    records: 250,
    evidence: 10,
    threshold: 8640,
    verdict: "ok",
    revision: 0,
    guarantee: VALID,
    scopes: [],
    ...changes,
  };
}

export function alert(state: AlertState, opened: Window, fired: Window | null, changes: Partial<Alert> = {}): Alert {
  const transitions: Alert["transitions"] = [{ at: opened.end, from: "inactive", to: "pending", reason: "" }];
  if (fired !== null) transitions.push({ at: fired.end, from: "pending", to: "firing", reason: "" });
  return {
    id: `${state} ${opened.start}`,
    model: "support",
    state,
    cause: { kind: "head", task: "intent", tasks_affected: ["intent"], summary: "" },
    opened_at: opened.end,
    opened_window: opened.index,
    resolved_at: null,
    evidence: 9000,
    threshold: 8640,
    guarantee: VALID,
    transitions,
    ...changes,
  };
}

export function model(changes: Partial<Model> = {}): Model {
  return {
    name: "support",
    version: "1",
    manifest: { encoder: { dimension: 96 }, tasks: [{ name: "intent", kind: "multiclass", classes: 8 }] },
    reference: { id: "r", created_at: "2026-11-01T00:00:00Z", records: 12_000, windows: 48, guarantee: VALID },
    inference: null,
    budget: "1/30d",
    threshold: 8640,
    state: "ok",
    worst: null,
    ...changes,
  };
}

export function statistic(signal: string, evidence: number | null, changes: Partial<Statistic> = {}): Statistic {
  return {
    scope: "head",
    task: "intent",
    signal,
    statistic: 1,
    degrees_of_freedom: 7,
    p_value: 0.5,
    ln_p_value: -0.7,
    e_value: 1,
    evidence,
    n: 250,
    effect: null,
    movers: [],
    sufficient: true,
    ...changes,
  };
}
