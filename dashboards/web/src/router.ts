/** Addresses after the hash. Whatever a view shows can be told by one: a link shows the same again. */

import { useEffect, useState } from "preact/hooks";

export const TABS = ["overview", "performance", "map", "settings"] as const;
export type Tab = (typeof TABS)[number];

/** What is selected on a model's pages. */
export interface Selection {
  /** Start of a window. */
  window?: string | null;
  /** Key of a signal, `head.intent.confidence`. */
  signal?: string | null;
  /** Key of a part, `head.intent`. */
  part?: string | null;
  /** How many windows the timeline shows. */
  range?: string | null;
  task?: string | null;
  /** The chart to begin at. */
  at?: string | null;
}

const SELECTED = ["window", "signal", "part", "range", "task", "at"] as const;

export type ModelRoute = { view: "model"; name: string; tab: Tab } & Required<Selection>;

/** Which alerts are listed; null for all. */
export interface Which {
  state: string | null;
  model: string | null;
  cause: string | null;
  severity: string | null;
}

const WHICH = ["state", "model", "cause", "severity"] as const;

export type Route =
  | { view: "fleet" }
  | ModelRoute
  | ({ view: "alerts" } & Which)
  | { view: "alert"; id: string }
  | { view: "silences" }
  | { view: "pipeline" };

export function parseRoute(hash: string): Route {
  const [path = "", asked = ""] = hash.replace(/^#/, "").split("?", 2);
  const query = new URLSearchParams(asked);
  const [first = "", second = "", third = "", ...rest] = path.split("/").slice(1).map(decode);
  const plain = rest.length === 0;
  if (first === "models" && second !== "" && plain) {
    const tab = TABS.find((t) => t === (third === "" ? "overview" : third)) ?? "overview";
    const [window, signal, part, range, task, at] = SELECTED.map((key) => query.get(key)) as (string | null)[];
    return { view: "model", name: second, tab, window: window ?? null, signal: signal ?? null, part: part ?? null, range: range ?? null, task: task ?? null, at: at ?? null };
  }
  if (first === "alerts" && second !== "" && third === "" && plain) return { view: "alert", id: second };
  if (first === "alerts" && second === "") {
    const [state, model, cause, severity] = WHICH.map((key) => query.get(key)) as (string | null)[];
    return { view: "alerts", state: state ?? null, model: model ?? null, cause: cause ?? null, severity: severity ?? null };
  }
  if (first === "silences") return { view: "silences" };
  if (first === "pipeline") return { view: "pipeline" };
  return { view: "fleet" };
}

export function modelHref(name: string, selection: Selection = {}, tab: Tab = "overview"): string {
  return `#/models/${encodeURIComponent(name)}${tab === "overview" ? "" : `/${tab}`}${search(SELECTED, selection)}`;
}

export const alertsHref = (which: Partial<Which>): string => `#/alerts${search(WHICH, which)}`;

function search<K extends string>(keys: readonly K[], values: Partial<Record<K, string | null>>): string {
  const query = new URLSearchParams();
  for (const key of keys) {
    const value = values[key];
    if (value) query.set(key, value);
  }
  return query.size === 0 ? "" : `?${query}`;
}

export const alertHref = (id: string): string => `#/alerts/${encodeURIComponent(id)}`;

/** Selections replace each other in the history: going back leaves the model, not the last click. */
export function replaceRoute(href: string): void {
  history.replaceState(null, "", href);
  dispatchEvent(new HashChangeEvent("hashchange"));
}

export function useRoute(): Route {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const read = (): void => setHash(location.hash);
    addEventListener("hashchange", read);
    return () => removeEventListener("hashchange", read);
  }, []);
  return parseRoute(hash);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
