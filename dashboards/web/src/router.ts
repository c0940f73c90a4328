/** Addresses after the hash: `#/` is the fleet, `#/models/NAME?window=START&signal=head.intent.confidence` a model. */

import { useEffect, useState } from "preact/hooks";

export type Route =
  | { view: "fleet" }
  | { view: "model"; name: string; window: string | null; signal: string | null };

export function parseRoute(hash: string): Route {
  const [path = "", search = ""] = hash.replace(/^#/, "").split("?", 2);
  const found = /^\/models\/([^/]+)\/?$/.exec(path);
  if (found?.[1] === undefined) return { view: "fleet" };
  const query = new URLSearchParams(search);
  return { view: "model", name: decode(found[1]), window: query.get("window"), signal: query.get("signal") };
}

export function modelHref(name: string, selection: { window?: string | null; signal?: string | null } = {}): string {
  const query = new URLSearchParams();
  if (selection.window) query.set("window", selection.window);
  if (selection.signal) query.set("signal", selection.signal);
  const search = query.toString();
  return `#/models/${encodeURIComponent(name)}${search === "" ? "" : `?${search}`}`;
}

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
